package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// promise is what the server has acknowledged to one client.
type promise struct {
	refresh   string
	loggedOut bool
	asked     bool // a logout whose answer never came: it may have happened or not
}

// client logs in, refreshes a few times, logs out one time in two, and begins anew, until the server is gone. It counts
// what it was served. Its address stays the same, so that logins which were cut off do not count against the others.
func (p *process) client(address string, served *atomic.Int64, keep func(promise)) {
	for {
		r, err := p.loginFrom(address, "sherpa", "everest")
		if err != nil {
			return
		}
		if r.status != http.StatusOK {
			time.Sleep(50 * time.Millisecond) // logins that were cut off count as failed ones
			continue
		}
		have := promise{refresh: r.Refresh}
		served.Add(1)
		for range rand.N(8) {
			next, err := p.refresh(have.refresh)
			if err != nil || next.status != http.StatusOK {
				keep(have)
				return
			}
			have.refresh = next.Refresh
			served.Add(1)
		}
		if rand.N(2) == 0 {
			_, err = p.ask("POST", "/auth/logout", refreshBody(have.refresh), "")
			have.asked, have.loggedOut = true, err == nil
		}
		keep(have)
		if err != nil {
			return
		}
	}
}

// TestKill kills the server in the middle of refreshes and logouts, and checks after each restart that what it had
// acknowledged holds. SHERPA_KILLS says how often.
func TestKill(t *testing.T) {
	t.Parallel()
	kills, err := strconv.Atoi(os.Getenv("SHERPA_KILLS"))
	if err != nil {
		kills = 5
	}
	p := startProcess(t, t.TempDir())
	var refreshes, logouts int
	for round := range kills {
		var mu sync.Mutex
		var promises []promise
		var wg sync.WaitGroup
		var served atomic.Int64
		for i := range 4 {
			wg.Go(func() {
				p.client(fmt.Sprint("10.0.0.", i), &served, func(have promise) {
					mu.Lock()
					defer mu.Unlock()
					promises = append(promises, have)
				})
			})
		}
		enough := 20 + rand.Int64N(60)
		eventually(t, "the server has work until its end", func() bool { return served.Load() >= enough })
		p.kill()
		wg.Wait()
		p.start()
		for _, have := range promises {
			r, err := p.refresh(have.refresh)
			switch {
			case err != nil:
				t.Fatalf("round %d: %v", round, err)
			case have.loggedOut && (r.status != 401 || r.Reason != "logout"):
				t.Errorf("round %d: a logout was lost: %+v", round, r)
			case !have.asked && r.status != 200:
				t.Errorf("round %d: a refresh was lost: %+v", round, r)
			}
			if have.loggedOut {
				logouts++
			} else {
				refreshes++
			}
		}
	}
	t.Logf("%d kills: %d acknowledged logouts hold, %d sessions go on", kills, logouts, refreshes)
	if logouts == 0 || refreshes == 0 {
		t.Error("nothing was under way: the test proves nothing")
	}
}

// TestTwoProcessesOnOneDatabase measures how long a logout takes to be seen by another process.
func TestTwoProcessesOnOneDatabase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := startProcess(t, dir), startProcess(t, dir)
	var longest time.Duration
	for range 10 {
		session, err := a.login()
		if err != nil {
			t.Fatal(err)
		}
		if r, err := b.ask("GET", "/mountain/x", "", session.Access); err != nil || r.status != 200 {
			t.Fatal(r, err)
		}
		start := time.Now()
		if r, err := a.ask("POST", "/auth/logout", "", session.Access); err != nil || r.status != 204 {
			t.Fatal(r, err)
		}
		for {
			r, err := b.ask("GET", "/mountain/x", "", session.Access)
			if err != nil {
				t.Fatal(err)
			}
			if r.status == 401 {
				break
			}
			if time.Since(start) > 10*time.Second {
				t.Fatal("the other process never saw the logout")
			}
			time.Sleep(5 * time.Millisecond) // the other process polls meanwhile
		}
		longest = max(longest, time.Since(start))
	}
	t.Logf("the longest of 10 took %v", longest)
}

// TestFullDisk runs the program on a file system of 2 MiB.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a small file system")
	}
	t.Parallel()
	dir := t.TempDir()
	unmount, err := mountSmall(dir)
	if err != nil {
		t.Skipf("no small file system here: %v", err)
	}
	t.Cleanup(unmount)
	p := startProcess(t, dir)
	session, err := p.login()
	if err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	var r reply
	for range 200 {
		if r, err = p.refresh(session.Refresh); err != nil || r.status != 200 {
			break
		}
		session = r
	}
	if err != nil || r.status != 503 || r.Code != "unavailable" {
		t.Fatalf("refreshing on a full disk: %+v, %v", r, err)
	}
	if r, err := p.ask("GET", "/mountain/x", "", session.Access); err != nil || r.status != 200 {
		t.Errorf("a known session: %+v, %v", r, err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	next, err := p.refresh(session.Refresh)
	if err != nil || next.status != 200 {
		t.Errorf("after the disk has room again: %+v, %v", next, err)
	}
	if r, err := p.ask("POST", "/auth/logout", "", next.Access); err != nil || r.status != 204 {
		t.Errorf("logout: %+v, %v", r, err)
	}
}

func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 512)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
