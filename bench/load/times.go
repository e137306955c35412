package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// times are how long requests took, by their outcome. It is safe for concurrent use.
type times struct {
	mu   sync.Mutex
	took map[string][]time.Duration
	late []time.Duration // how much later than planned the requests were sent: the fault of this program
}

func newTimes() *times { return &times{took: map[string][]time.Duration{}} }

// arrive starts a request every 1/rate seconds, whether those before have ended or not, and waits for all.
func (t *times) arrive(ctx context.Context, rate float64, duration time.Duration, ask func(ctx context.Context, n int) string) {
	var all sync.WaitGroup
	begin := time.Now()
	for n := range int(rate * duration.Seconds()) {
		due := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		if ctx.Err() != nil {
			break
		}
		all.Go(func() {
			sent := time.Now()
			outcome := ask(ctx, n)
			t.add(outcome, time.Since(sent), sent.Sub(due))
		})
	}
	all.Wait()
}

func (t *times) add(outcome string, took, late time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took[outcome] = append(t.took[outcome], took)
	t.late = append(t.late, late)
}

// print writes a line for each outcome: what, how many, and p50, p99 and greatest time in milliseconds, with tabs.
func (t *times) print(what string) error {
	for _, outcome := range slices.Sorted(maps.Keys(t.took)) {
		if err := printTimes(what+": "+outcome, t.took[outcome]); err != nil {
			return err
		}
	}
	return printTimes(what+": sent too late by", t.late)
}

func printTimes(what string, all []time.Duration) error {
	if len(all) == 0 {
		return fmt.Errorf("%s: nothing was sent", what)
	}
	slices.Sort(all)
	ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
	_, err := fmt.Printf("%s\t%d\t%.1f\t%.1f\t%.1f\n", what, len(all),
		ms(all[len(all)/2]), ms(all[len(all)*99/100]), ms(all[len(all)-1]))
	return err
}
