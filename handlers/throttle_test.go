package handlers_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"sherpa/models"
)

// attempt logs in from an address; the server trusts this machine to name it.
func (s *server) attempt(name, password, address string) answer {
	s.t.Helper()
	return s.do("POST", "/auth", credentials(name, password), jsonType, "X-Forwarded-For: "+address)
}

// failUntilThrottled returns how many wrong tries passed before the 429, and that answer.
func (s *server) failUntilThrottled(t *testing.T, name, address string) (int, answer) {
	t.Helper()
	for passed := range 1000 {
		a := s.attempt(name, "wrong", address)
		if a.status == 429 {
			return passed, a
		}
		if a.status != 401 {
			t.Fatalf("try %d: %d %s", passed, a.status, a.body)
		}
	}
	t.Fatal("never throttled")
	return 0, answer{}
}

func (a answer) retryAfter(t *testing.T) time.Duration {
	t.Helper()
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if p := a.problem(t); err != nil || p.Code != "throttled" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%v %s", a.header, a.body)
	}
	return time.Duration(seconds) * time.Second
}

func TestThrottleGrowsAndIsHonest(t *testing.T) {
	t.Parallel()
	for _, name := range []string{username, "nobody", "a b\x00"} { // who exists makes no difference
		s := newServer(t, trust("127.0.0.0/8"))
		passed, a := s.failUntilThrottled(t, name, "192.0.2.1")
		if passed < 5 || passed > 40 {
			t.Errorf("%q: %d wrong tries passed", name, passed)
		}
		computed := s.service.Hasher.Computed()
		var waits []time.Duration
		for range 14 {
			wait := a.retryAfter(t)
			waits = append(waits, wait)
			s.clock.Add(wait - time.Second)
			if early := s.attempt(name, "wrong", "192.0.2.1"); early.status != 429 {
				t.Errorf("%q: a second before the end of %v: %d", name, wait, early.status)
			}
			s.clock.Add(time.Second)
			if again := s.attempt(name, "wrong", "192.0.2.1"); again.status != 401 {
				t.Fatalf("%q: after waiting %v: %d %s", name, wait, again.status, again.body)
			}
			a = s.attempt(name, "wrong", "192.0.2.1")
		}
		if waits[0] != time.Second || waits[1] != 2*time.Second || waits[13] != time.Hour {
			t.Errorf("%q: waits %v", name, waits)
		}
		if got := s.service.Hasher.Computed() - computed; got != 14 {
			t.Errorf("%q: %d hashes for 14 tries that were let in", name, got)
		}
	}
}

func TestThrottleIsResetBySuccess(t *testing.T) {
	t.Parallel()
	s := newServer(t, trust("127.0.0.0/8"))
	for range 20 {
		for range models.FreeTries {
			if a := s.attempt(username, "wrong", "192.0.2.1"); a.status != 401 {
				t.Fatalf("%d %s", a.status, a.body)
			}
		}
		if a := s.attempt(username, password, "192.0.2.1"); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
		s.clock.Add(time.Second) // for the allowance of the address
	}
}

func TestParallelTriesCannotSlipThrough(t *testing.T) {
	t.Parallel()
	s := newServer(t, trust("127.0.0.0/8"))
	var wg sync.WaitGroup
	statuses := make(chan int, 64)
	for i := range cap(statuses) {
		wg.Go(func() { statuses <- s.attempt(username, "wrong", fmt.Sprintf("192.0.2.%d", i)).status })
	}
	wg.Wait()
	close(statuses)
	count := map[int]int{}
	for status := range statuses {
		count[status]++
	}
	if count[401] > models.FreeTries+1 || count[401] < models.FreeTries || count[401]+count[429] != 64 {
		t.Errorf("statuses %v", count)
	}
}

func TestStrangerCannotLockTheOwnerOut(t *testing.T) {
	t.Parallel()
	s := newServer(t, trust("127.0.0.0/8"))
	s.attempt(username, password, "192.0.2.1").tokens(t)
	s.clock.Add(24 * time.Hour)
	_, a := s.failUntilThrottled(t, username, "203.0.113.66")
	for range 10 { // the stranger goes on for as long as it takes
		s.clock.Add(a.retryAfter(t))
		s.attempt(username, "wrong", "203.0.113.66")
		a = s.attempt(username, "wrong", "203.0.113.66")
	}
	if a := s.attempt(username, password, "203.0.113.67"); a.status != 429 {
		t.Errorf("a third address: %d, it must wait as the stranger does", a.status)
	}
	if a := s.attempt(username, password, "192.0.2.1"); a.status != 200 {
		t.Errorf("the owner: %d %s", a.status, a.body)
	}
	if passed, _ := s.failUntilThrottled(t, username, "192.0.2.1"); passed > 40 {
		t.Errorf("the owner's address got %d tries", passed)
	}
}

func TestThrottleIsSharedByReplicasAndOutlivesThem(t *testing.T) {
	t.Parallel()
	s := newServer(t, trust("127.0.0.0/8"))
	s.failUntilThrottled(t, username, "192.0.2.1")
	replica := newServerOn(t, s, signingKey)
	if a := replica.post("/auth", credentials(username, password)); a.status != 429 {
		t.Errorf("another replica: %d %s", a.status, a.body)
	}
}

func TestAddressAllowance(t *testing.T) {
	t.Parallel()
	s := newServer(t, trust("127.0.0.0/8"))
	burst := func(address func(i int) string) (passed int, refused answer) {
		for i := range 1000 {
			a := s.attempt(fmt.Sprint("nobody", i), "x", address(i))
			if a.status == 429 {
				return passed, a
			}
			passed++
		}
		return passed, answer{}
	}
	passed, a := burst(func(int) string { return "192.0.2.1" })
	if passed < 100 || passed > 110 {
		t.Errorf("a burst of %d passed", passed)
	}
	s.clock.Add(a.retryAfter(t))
	if a := s.attempt("somebody", "x", "192.0.2.1"); a.status != 401 {
		t.Errorf("after the wait: %d", a.status)
	}
	if a := s.attempt("somebody else", "x", "192.0.2.2"); a.status != 401 {
		t.Errorf("the neighbour: %d", a.status)
	}
	if passed, _ := burst(func(i int) string { return fmt.Sprintf("2001:db8:1:2::%x", i) }); passed > 110 {
		t.Errorf("a /64 network got %d tries", passed)
	}
	s.clock.Add(time.Minute)
	for i := range 400 { // evenly spread over a minute
		if a := s.attempt(fmt.Sprint("anybody", i), "x", "192.0.2.3"); a.status != 401 {
			t.Fatalf("request %d of the minute: %d", i, a.status)
		}
		s.clock.Add(150 * time.Millisecond)
	}
}

func TestForwardedForCannotForgeTheThrottle(t *testing.T) {
	t.Parallel()
	s := newServer(t) // trusts nobody
	for i := range 110 {
		a := s.attempt(fmt.Sprint("nobody", i), "x", fmt.Sprintf("192.0.2.%d", i))
		if a.status == 429 {
			return
		}
	}
	t.Error("every forged address had an allowance of its own")
}

// TestClockStepsDoNoHarm: an operator or a time server may move the clock by ten seconds either way.
func TestClockStepsDoNoHarm(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{10 * time.Second, -10 * time.Second} {
		s := newServer(t)
		mine := s.open()
		s.mountain(mine.AccessToken)
		s.post("/auth", credentials(username, "a slip"))
		s.clock.Add(step)
		if a := s.mountain(mine.AccessToken); a.status != 200 {
			t.Errorf("%v: the token: %d %s", step, a.status, a.body)
		}
		if a := s.post("/auth", credentials(username, password)); a.status != 200 {
			t.Errorf("%v: a login: %d %s", step, a.status, a.body)
		}
		next := s.refresh(mine.RefreshToken).tokens(t)
		if a := s.mountain(next.AccessToken); a.status != 200 {
			t.Errorf("%v: the next token: %d %s", step, a.status, a.body)
		}
		s.logout("access token", "", next)
		s.mountain(next.AccessToken).wantEnded(t, "logout")
	}
}
