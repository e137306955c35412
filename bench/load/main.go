// Command load measures what the scripts of bench ask for; -kind says what:
//
//	hash        bare argon2id with Sherpa's parameters, on all cores
//	login       logins that succeed, each of another user at another address
//	flood       the times of protected requests while too many logins arrive: a table
//	sessions    nothing; it logs in as many users as there are workers, and prints their refresh tokens
//	revocation  how long the second of two servers lets a session pass that was logged out at the first
//	update      bare updates of a session's row in SQLite, one transaction each
//	warm        nothing; it sends every token of a file twice
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// plan is what to do.
type plan struct {
	kind     string
	urls     []string
	database string
	tokens   string
	users    int
	password string
	workers  int
	rate     float64
	trials   int
	duration time.Duration
}

func main() {
	var p plan
	var urls string
	flag.StringVar(&p.kind, "kind", "", "what to measure")
	flag.StringVar(&urls, "url", "http://127.0.0.1:5106", "the server, or several with commas between")
	flag.StringVar(&p.database, "database", "", "path of the SQLite database to update")
	flag.StringVar(&p.tokens, "tokens", "", "file with access tokens, one a line")
	flag.IntVar(&p.users, "users", 1, "how many users there are: user0, user1, ...")
	flag.StringVar(&p.password, "password", "", "the password of all users")
	flag.IntVar(&p.workers, "workers", 1, "how many requests to make at a time")
	flag.Float64Var(&p.rate, "rate", 0, "logins to start in a second, for the flood")
	flag.IntVar(&p.trials, "trials", 200, "how many sessions to log out, for the revocation")
	flag.DurationVar(&p.duration, "duration", 5*time.Second, "how long to measure")
	flag.Parse()
	p.urls = strings.Split(urls, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func (p plan) run(ctx context.Context) error {
	if p.workers < 1 || p.users < 1 || p.duration <= 0 {
		return errors.New("there must be a worker, a user and a duration")
	}
	switch p.kind {
	case "hash":
		return p.hash(ctx)
	case "login":
		return p.login(ctx)
	case "flood":
		return p.flood(ctx)
	case "sessions":
		return p.sessions(ctx)
	case "revocation":
		return p.revocation(ctx)
	case "update":
		return p.update(ctx)
	case "warm":
		return p.warm(ctx)
	}
	return fmt.Errorf("%q is no kind of load", p.kind)
}

// measure lets each worker do its work over and over for the duration, and prints how often all did it in a second, how
// often in all, and the processor time of this program for each in microseconds.
func (p plan) measure(ctx context.Context, work func(ctx context.Context, worker int) error) error {
	begin := time.Now()
	counts, faults := make([]int, p.workers), make([]error, p.workers)
	var all sync.WaitGroup
	for worker := range p.workers {
		all.Go(func() {
			for time.Since(begin) < p.duration && faults[worker] == nil && ctx.Err() == nil {
				faults[worker] = work(ctx, worker)
				counts[worker]++
			}
		})
	}
	all.Wait()
	took := time.Since(begin)
	if err := errors.Join(append(faults, ctx.Err())...); err != nil {
		return err
	}
	total := 0
	for _, n := range counts {
		total += n
	}
	cpu, err := processorTime()
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%.1f %d %.1f\n", float64(total)/took.Seconds(), total, float64(cpu.Microseconds())/float64(total))
	return err
}

// processorTime is what this program has used since its start.
func processorTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}
