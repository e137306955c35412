// Command startup measures how long a server takes from its start to its first answer, and its resident memory when
// it is idle:
//
//	startup [flags] PROGRAM [ARGUMENT]...
//
// It prints the median time in milliseconds and the memory in MiB. It asks over and over without a pause, because a
// pause would be as long as some of the starts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	longestStart = 15 * time.Second
	longestStop  = 5 * time.Second
	longestAsk   = time.Second
)

// plan is what to measure.
type plan struct {
	program []string
	url     string
	status  int // of the first answer; another one is a failure
	runs    int
	idle    time.Duration
}

func main() {
	p := plan{}
	flag.StringVar(&p.url, "url", "http://127.0.0.1:5105/healthz", "what to ask the server for")
	flag.IntVar(&p.status, "status", http.StatusOK, "the status that the answer must have")
	flag.IntVar(&p.runs, "runs", 10, "how many starts to measure")
	flag.DurationVar(&p.idle, "idle", 2*time.Second, "how long to wait before reading the memory")
	flag.Parse()
	p.program = flag.Args()
	runtime.GOMAXPROCS(1) // the asking takes one core, and leaves the others to the server
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "startup:", err)
		os.Exit(1)
	}
}

func (p plan) run(ctx context.Context) error {
	if len(p.program) == 0 || p.runs < 1 {
		return errors.New("name a program, and one run or more")
	}
	// The first start is not measured: it makes the database and brings the program into the page cache.
	if _, _, err := p.start(ctx, 0); err != nil {
		return err
	}
	var times []time.Duration
	for range p.runs {
		took, _, err := p.start(ctx, 0)
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	_, kib, err := p.start(ctx, p.idle)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%.1f %.1f\n", median(times).Seconds()*1000, float64(kib)/1024)
	return err
}

// start starts the program, waits for its first answer, reads its memory after the idle time, and stops it.
func (p plan) start(ctx context.Context, idle time.Duration) (took time.Duration, kib int, err error) {
	if status, err := p.ask(ctx); err == nil {
		return 0, 0, fmt.Errorf("another program answers at %s (status %d)", p.url, status)
	}
	ctx, cancel := context.WithTimeout(ctx, longestStart+idle)
	defer cancel()
	command := exec.CommandContext(ctx, p.program[0], p.program[1:]...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = longestStop
	command.Stderr = os.Stderr // an *os.File is handed over as it is, without a pipe
	begin := time.Now()
	if err := command.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		cancel()
		_ = command.Wait() // says only that it was stopped
	}()
	if err := p.await(ctx); err != nil {
		return 0, 0, err
	}
	took = time.Since(begin)
	if idle == 0 {
		return took, 0, nil
	}
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(idle):
	}
	kib, err = residentKiB(command.Process.Pid)
	return took, kib, err
}

// await returns when the server has given an answer with the right status.
func (p plan) await(ctx context.Context) error {
	for {
		status, err := p.ask(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%s did not answer: %w", p.program[0], ctx.Err())
		case err == nil && status != p.status:
			return fmt.Errorf("%s answered with status %d, not %d", p.program[0], status, p.status)
		case err == nil:
			return nil
		}
	}
}

// ask opens a new connection, because one that was kept could be to the server of the run before.
func (p plan) ask(ctx context.Context) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, longestAsk)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return 0, err
	}
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// residentKiB reads VmRSS, as proc(5) has it: "VmRSS:	   12345 kB".
func residentKiB(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			return strconv.Atoi(fields[1])
		}
	}
	return 0, errors.New("the process has no VmRSS: it has ended")
}

// median returns the middle value, or the mean of the two in the middle.
func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	return (times[(len(times)-1)/2] + times[len(times)/2]) / 2
}
