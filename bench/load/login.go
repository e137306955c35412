package main

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

// hash measures argon2id as Sherpa has it: 19 MiB, 2 passes, 1 lane, 32 bytes.
func (p plan) hash(ctx context.Context) error {
	p.workers = runtime.GOMAXPROCS(0)
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	return p.measure(ctx, func(context.Context, int) error {
		argon2.IDKey([]byte(p.password), salt, 2, 19456, 1, 32)
		return nil
	})
}

// login begins with any of the users, so that a run goes on with other users than the one before.
func (p plan) login(ctx context.Context) error {
	c := newClient(p.urls[0])
	var next atomic.Int64
	next.Store(mathrand.Int64N(int64(p.users)))
	return p.measure(ctx, func(ctx context.Context, _ int) error {
		n := int(next.Add(1)) % p.users
		_, err := c.logIn(ctx, address(n), username(n), p.password)
		return err
	})
}

// sessions logs as many users in as there are workers, and prints their refresh tokens.
func (p plan) sessions(ctx context.Context) error {
	c := newClient(p.urls[0])
	for n := range p.workers {
		t, err := c.logIn(ctx, address(n), username(n), p.password)
		if err != nil {
			return err
		}
		fmt.Println(t.Refresh)
	}
	return nil
}

const (
	calm    = 5 * time.Second // protected requests alone, for comparison
	getRate = 200.0
)

// flood lets logins arrive at a rate, whatever becomes of those before, each with another name that nobody has and
// from another address, and protected requests beside them.
func (p plan) flood(ctx context.Context) error {
	if p.rate <= 0 {
		return fmt.Errorf("a flood needs a -rate")
	}
	lines, err := readLines(p.tokens)
	if err != nil {
		return err
	}
	c := newClient(p.urls[0])
	get := func(ctx context.Context, _ int) string {
		return c.outcome(c.get(ctx, lines[0]))
	}
	run := rand.Text()[:6] // of no earlier flood
	login := func(ctx context.Context, n int) string {
		who := credentials{fmt.Sprintf("nobody-%s-%d", run, n), p.password}
		status, _, err := c.post(ctx, "/auth", address(n), who)
		return c.outcome(status, err)
	}
	before, gets, logins := newTimes(), newTimes(), newTimes()
	before.arrive(ctx, getRate, calm, get)
	var both sync.WaitGroup
	both.Go(func() { gets.arrive(ctx, getRate, p.duration, get) })
	both.Go(func() { logins.arrive(ctx, p.rate, p.duration, login) })
	both.Wait()
	for _, err := range []error{ctx.Err(), before.print("GET before"), gets.print("GET meanwhile"), logins.print("login")} {
		if err != nil {
			return err
		}
	}
	return nil
}

// outcome is a word for the table.
func (c client) outcome(status int, err error) string {
	if err != nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %s", status, http.StatusText(status))
}
