// Command load measures what the scripts of bench ask for; -kind says what:
//
//	hash      bare argon2id with Sherpa's parameters, on all cores
//	login     logins that succeed, each of another user from another address
//	flood     the times of protected requests while too many logins arrive: a table
//	update    bare updates of a session's row in SQLite, one transaction each
//	sessions  nothing: it logs in as many users as there are workers, and prints their refresh tokens
//	warm      nothing: it sends every access token of a file twice
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// plan is what to do.
type plan struct {
	kind     string
	url      string
	database string
	tokens   string
	users    int
	password string
	workers  int
	rate     float64
	duration time.Duration
}

func main() {
	var p plan
	flag.StringVar(&p.kind, "kind", "", "what to measure")
	flag.StringVar(&p.url, "url", "http://127.0.0.1:5106", "the server")
	flag.StringVar(&p.database, "database", "", "path of the SQLite database to update")
	flag.StringVar(&p.tokens, "tokens", "", "file with access tokens, one a line")
	flag.IntVar(&p.users, "users", 1, "how many users there are: user0, user1, ...")
	flag.StringVar(&p.password, "password", "", "the password of all users")
	flag.IntVar(&p.workers, "workers", 1, "how many requests to send at a time")
	flag.Float64Var(&p.rate, "rate", 1, "logins to start in a second, for the flood")
	flag.DurationVar(&p.duration, "duration", 5*time.Second, "how long to measure")
	flag.Parse()
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
	kinds := map[string]func(context.Context) error{
		"hash": p.hash, "login": p.login, "flood": p.flood,
		"update": p.update, "sessions": p.sessions, "warm": p.warm,
	}
	do, ok := kinds[p.kind]
	if !ok {
		return fmt.Errorf("%q is no kind of load", p.kind)
	}
	return errors.Join(do(ctx), ctx.Err())
}

// each lets the workers work at the same time until one of them reports an error or the end.
func (p plan) each(work func() (more bool, err error)) error {
	problems := make([]error, p.workers)
	var all sync.WaitGroup
	for worker := range p.workers {
		all.Go(func() {
			for more := true; more && problems[worker] == nil; {
				more, problems[worker] = work()
			}
		})
	}
	all.Wait()
	return errors.Join(problems...)
}
