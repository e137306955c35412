package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// times are how long requests took, by their outcome. It is safe for concurrent use.
type times struct {
	mu   sync.Mutex
	took map[string][]time.Duration
}

// flood starts logins at a rate, however many of them still run, each with another unknown name and from
// another address. It measures protected requests before and meanwhile.
func (p plan) flood(ctx context.Context) error {
	const alone, getRate = 5 * time.Second, 200.0
	tokens, err := p.readTokens()
	if err != nil {
		return err
	}
	get := func(int) string { return outcome(p.send(ctx, tokens[0], 0, "")) }
	run := rand.Text()[:6] // of no earlier flood
	login := func(n int) string { return outcome(p.send(ctx, "", n, fmt.Sprintf("nobody-%s-%d", run, n))) }
	var before, gets, logins times
	before.arrive(ctx, getRate, alone, get)
	var both sync.WaitGroup
	both.Go(func() { gets.arrive(ctx, getRate, p.duration, get) })
	both.Go(func() { logins.arrive(ctx, p.rate, p.duration, login) })
	both.Wait()
	return errors.Join(before.print("GET before"), gets.print("GET meanwhile"), logins.print("login"))
}

// outcome is a word for the table.
func outcome(status int, _ []byte, err error) string {
	if err != nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %s", status, http.StatusText(status))
}

// arrive starts a request every 1/rate seconds, however many still run, and waits for all.
func (t *times) arrive(ctx context.Context, rate float64, duration time.Duration, ask func(n int) string) {
	t.took = map[string][]time.Duration{}
	var all sync.WaitGroup
	begin := time.Now()
	for n := 0; n < int(rate*duration.Seconds()) && ctx.Err() == nil; n++ {
		due := begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		all.Go(func() {
			sent := time.Now()
			t.add("sent too late by", sent.Sub(due)) // this program's own delay
			outcome := ask(n)
			t.add(outcome, time.Since(sent))
		})
	}
	all.Wait()
}

func (t *times) add(outcome string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.took[outcome] = append(t.took[outcome], took)
}

// print writes a line for each outcome: how many, and the p50, the p99 and the longest time in milliseconds.
func (t *times) print(what string) error {
	for _, outcome := range slices.Sorted(maps.Keys(t.took)) {
		all := t.took[outcome]
		slices.Sort(all)
		ms := func(d time.Duration) float64 { return d.Seconds() * 1000 }
		_, err := fmt.Printf("%s: %s\t%d\t%.1f\t%.1f\t%.1f\n", what, outcome, len(all),
			ms(all[len(all)/2]), ms(all[len(all)*99/100]), ms(all[len(all)-1]))
		if err != nil {
			return err
		}
	}
	return nil
}
