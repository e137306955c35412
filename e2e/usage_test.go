//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// proc is a file of Linux about the process.
func (p *process) proc(name string) string {
	return filepath.Join("/proc", strconv.Itoa(p.command.Process.Pid), name)
}

// hasProc reports whether this system has these files.
func hasProc() bool {
	_, err := os.Stat("/proc/self/fd")
	return err == nil
}

// status reads a number from proc(5), status, such as Threads, or RssAnon in KiB.
func (p *process) status(t *testing.T, field string) int64 {
	t.Helper()
	if !hasProc() {
		return 0
	}
	text := readFile(t, p.proc("status"))
	found := regexp.MustCompile(`(?m)^` + field + `:\s+(\d+)`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in %s", field, text)
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// descriptors counts open files by their name, without the number of a socket or pipe.
func (p *process) descriptors(t *testing.T) map[string]int {
	t.Helper()
	kinds := map[string]int{}
	if !hasProc() {
		return kinds
	}
	entries, err := os.ReadDir(p.proc("fd"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(p.proc("fd"), entry.Name()))
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was closed meanwhile
		case err != nil:
			t.Fatal(err)
		default:
			kind, _, _ := strings.Cut(target, ":[")
			kinds[kind]++
		}
	}
	return kinds
}

// traceCollections is a setting of Go: each garbage collection writes a line to standard error.
const traceCollections = "GODEBUG=gctrace=1"

// collections returns how many MiB each garbage collection found to be in use.
func (p *process) collections() (live []int) {
	line := regexp.MustCompile(`(?m)^gc \d+ @.* \d+->\d+->(\d+) MB`)
	for _, found := range line.FindAllStringSubmatch(p.log.String(), -1) {
		n, _ := strconv.Atoi(found[1]) // the pattern takes digits alone
		live = append(live, n)
	}
	return live
}

// heap makes the process collect its garbage, and returns how many MiB of its heap are in use. It sends large
// bodies, because the garbage of logins is too large: a collection would find a hash under way.
func (p *process) heap(t *testing.T) int {
	t.Helper()
	const least = 3 // what a pool keeps outlives two
	body := postBody("/auth", strings.Repeat("a", 70_000))
	before := len(p.collections())
	for range 50 {
		for range 100 {
			if _, err := p.sendRaw(body); err != nil {
				t.Fatal(err)
			}
		}
		if live := p.collections(); len(live) >= before+least {
			return slices.Min(live[before:])
		}
	}
	t.Fatal("the process does not collect its garbage")
	return 0
}

// goroutines ends the process and counts its goroutines by the function that started them, without those of
// Go's runtime. Go writes them to standard error on SIGQUIT, so a running process needs no door for it.
func (p *process) goroutines(t *testing.T) map[string]int {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	_ = p.command.Wait() // "exit status 2"
	_, dump, found := strings.Cut(p.log.String(), "SIGQUIT: quit")
	if !found {
		t.Fatalf("no goroutines in %s", p.log.String())
	}
	counts := map[string]int{}
	creator := regexp.MustCompile(`(?m)^created by (.*?)(?: in goroutine \d+)?$`)
	for part := range strings.SplitSeq(dump, "\n\n") {
		if !strings.HasPrefix(part, "goroutine ") || strings.HasPrefix(part, "goroutine 0 ") {
			continue
		}
		name := "main"
		if found := creator.FindStringSubmatch(part); found != nil {
			name = found[1]
		}
		if !strings.HasPrefix(name, "runtime.") {
			counts[name]++
		}
	}
	return counts
}

func sum(counts map[string]int) (n int) {
	for _, count := range counts {
		n += count
	}
	return n
}

// alarms keeps the warnings and errors of a JSON log. All lines of a soak would be too many.
type alarms struct {
	mu    sync.Mutex
	begun string // a line whose end has not come
	lines []string
}

// Write never fails.
func (a *alarms) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	lines := strings.Split(a.begun+string(p), "\n")
	a.begun = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		if !strings.Contains(line, `"level":"INFO"`) {
			a.lines = append(a.lines, line)
		}
	}
	return len(p), nil
}

// withText returns how many lines contain the text, and all others.
func (a *alarms) withText(text string) (count int, others []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, line := range a.lines {
		if strings.Contains(line, text) {
			count++
		} else {
			others = append(others, line)
		}
	}
	return count, others
}

// watch measures a process again and again.
type watch struct {
	memory  []int64 // KiB of memory that is not a file's
	threads int64   // the most
	wal     int64   // the most bytes of SQLite's write-ahead log
}

// watch measures until over is closed.
func (p *process) watch(t *testing.T, each time.Duration, wal string, over <-chan struct{}) (w watch) {
	ticker := time.NewTicker(each)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return w
		case <-ticker.C:
		}
		w.memory = append(w.memory, p.status(t, "RssAnon"))
		w.threads = max(w.threads, p.status(t, "Threads"))
		if info, err := os.Stat(wal); err == nil {
			w.wal = max(w.wal, info.Size())
		}
	}
}

// ends returns the medians of the first quarter and of the last, in MiB.
func (w watch) ends() (early, late int64) {
	quarter := len(w.memory) / 4
	return middle(w.memory[:quarter]), middle(w.memory[len(w.memory)-quarter:])
}

func middle(all []int64) int64 {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2] / 1024
}

func (w watch) String() string {
	early, late := w.ends()
	return fmt.Sprintf("memory %d MiB early, %d MiB late, %d MiB at most; %d threads; WAL %.1f MiB",
		early, late, slices.Max(append(w.memory, 0))/1024, w.threads, float64(w.wal)/(1<<20))
}
