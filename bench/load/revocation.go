package main

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"
)

const (
	// longestPhase is more than the time between two polls of a server, so that a logout falls anywhere in between.
	longestPhase = 600 * time.Millisecond
	askEvery     = 2 * time.Millisecond
	longestStay  = 10 * time.Second
)

// trial is what became of a logout.
type trial struct {
	stay    time.Duration // from the answer to the logout to when the last request was sent that still passed
	longest time.Duration // that the other server took to answer one request meanwhile
}

// revocation logs the sessions of the file out, each worker one after the other, and prints both times of each trial in
// milliseconds.
func (p plan) revocation(ctx context.Context) error {
	clients := p.clients()
	if len(clients) != 2 {
		return errors.New("a revocation needs two servers")
	}
	lines, err := readLines(p.tokens)
	if err != nil {
		return err
	}
	if p.trials > len(lines) {
		return fmt.Errorf("%s has %d tokens and not %d", p.tokens, len(lines), p.trials)
	}
	trials, faults := make([]trial, p.trials), make([]error, p.workers)
	var all sync.WaitGroup
	for worker := range p.workers {
		all.Go(func() {
			for n := worker; n < p.trials && faults[worker] == nil; n += p.workers {
				trials[n], faults[worker] = revoke(ctx, clients[0], clients[1], lines[n])
			}
		})
	}
	all.Wait()
	if err := errors.Join(faults...); err != nil {
		return err
	}
	for _, t := range trials {
		fmt.Printf("%.1f %.1f\n", t.stay.Seconds()*1000, t.longest.Seconds()*1000)
	}
	return nil
}

// revoke logs a session out at one server, and asks the other one, which remembers the session, until it refuses.
func revoke(ctx context.Context, leaves, remembers client, token string) (t trial, err error) {
	if err := remembers.getWell(ctx, token); err != nil {
		return t, fmt.Errorf("before the logout: %w", err)
	}
	time.Sleep(mathrand.N(longestPhase))
	if err := leaves.logOut(ctx, token); err != nil {
		return t, fmt.Errorf("logout: %w", err)
	}
	ended := time.Now()
	for time.Since(ended) < longestStay && ctx.Err() == nil {
		sent := time.Now()
		status, err := remembers.get(ctx, token)
		t.longest = max(t.longest, time.Since(sent))
		switch {
		case err != nil:
			return t, err
		case status == http.StatusUnauthorized:
			return t, nil
		case status != http.StatusOK:
			return t, fmt.Errorf("after the logout: status %d", status)
		}
		t.stay = sent.Sub(ended)
		time.Sleep(askEvery - time.Since(sent))
	}
	return t, errors.Join(ctx.Err(), fmt.Errorf("a session still passed %v after its logout", longestStay))
}

// logOut fails unless the session of the access token has ended.
func (c client) logOut(ctx context.Context, token string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/auth/logout", nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	status, answer, err := c.do(request)
	if err == nil && status != http.StatusNoContent {
		err = fmt.Errorf("status %d: %s", status, answer)
	}
	return err
}
