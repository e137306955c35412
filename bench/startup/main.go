// Command startup measures how long a server takes from its start to its first answer, and its resident
// memory when it is idle:
//
//	startup [flags] PROGRAM [ARGUMENT]...
//
// It prints the median time in milliseconds and the memory in MiB. It asks without a pause, because a pause
// would be as long as some of the starts.
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

// plan is what to measure.
type plan struct {
	program []string
	url     string
	status  int // of the first answer; another one is an error
	runs    int
	idle    time.Duration // before the memory is read; 0 leaves it out
}

func main() {
	p := plan{}
	flag.StringVar(&p.url, "url", "http://127.0.0.1:5105/healthz", "what to ask the server for")
	flag.IntVar(&p.status, "status", http.StatusOK, "the status that the answer must have")
	flag.IntVar(&p.runs, "runs", 10, "how many starts to measure")
	flag.DurationVar(&p.idle, "idle", 2*time.Second, "the wait before the memory is read; 0 leaves it out")
	flag.Parse()
	p.program = flag.Args()
	runtime.GOMAXPROCS(1) // leaves the other cores to the server
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
	var times []time.Duration
	for range p.runs + 1 {
		took, _, err := p.start(ctx, 0)
		if err != nil {
			return err
		}
		times = append(times, took)
	}
	times = times[1:] // the first start creates the database and brings the program into the page cache
	slices.Sort(times)
	median := (times[(len(times)-1)/2] + times[len(times)/2]) / 2
	if p.idle <= 0 {
		_, err := fmt.Printf("%.1f\n", median.Seconds()*1000)
		return err
	}
	_, kib, err := p.start(ctx, p.idle)
	if err != nil {
		return err
	}
	_, err = fmt.Printf("%.1f %.1f\n", median.Seconds()*1000, float64(kib)/1024)
	return err
}

// start starts the program, waits for its first answer, reads its memory after the idle time, and stops it.
func (p plan) start(ctx context.Context, idle time.Duration) (took time.Duration, kib int, err error) {
	if status, err := p.ask(ctx); err == nil {
		return 0, 0, fmt.Errorf("another program answers at %s (status %d)", p.url, status)
	}
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second+idle)
	defer cancel()
	command := exec.CommandContext(ctx, p.program[0], p.program[1:]...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 5 * time.Second
	command.Stderr = os.Stderr // the program gets an *os.File itself, without a pipe
	begin := time.Now()
	if err := command.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		cancel()
		_ = command.Wait() // says only that it was stopped
	}()
	status, err := p.ask(ctx)
	for err != nil && ctx.Err() == nil {
		status, err = p.ask(ctx)
	}
	if err != nil || status != p.status {
		return 0, 0, fmt.Errorf("%s: status %d and not %d: %w", p.program[0], status, p.status, err)
	}
	took = time.Since(begin)
	if idle > 0 {
		time.Sleep(idle)
		kib, err = residentKiB(command.Process.Pid)
	}
	return took, kib, err
}

// ask opens a new connection, because a kept one could be to the server of the run before.
func (p plan) ask(ctx context.Context) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
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

// residentKiB reads VmRSS (proc(5), status): "VmRSS:	   12345 kB".
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
