package e2e

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sherpa/internal/pgtest"
)

// checkedPasswords is how many wrong passwords a replica checks for one user: five free ones, and one more
// whose failure costs the first wait.
const checkedPasswords = 6

// failures sends wrong passwords, each from a new address, to the replicas in turn. It returns how many they
// checked before the first 429.
func failures(t *testing.T, username string, replicas ...*process) int {
	t.Helper()
	for i := range 100 {
		r, err := replicas[i%len(replicas)].loginAs(username, "wrong")
		switch {
		case err != nil:
			t.Fatal(err)
		case r.status == 429:
			if seconds := r.header.Get("Retry-After"); seconds != "1" || r.Code != "throttled" {
				t.Errorf("code %s, Retry-After %q, want throttled, 1", r.Code, seconds)
			}
			return i
		case r.status != 401:
			t.Fatalf("status %d %s", r.status, r.Code)
		}
	}
	t.Fatal("100 wrong passwords, and no 429")
	return 0
}

func wantChecked(t *testing.T, n int) {
	t.Helper()
	if n != checkedPasswords {
		t.Errorf("the replicas checked %d passwords, want %d", n, checkedPasswords)
	}
}

// TestReplicasShareFailures does not run in parallel: the first wait is a second, in which all of it must
// happen.
func TestReplicasShareFailures(t *testing.T) {
	url, all := startReplicas(t, 3)
	a, b, c := all[0], all[1], all[2]
	for _, row := range []struct {
		name     string
		replicas []*process
	}{
		{"one", []*process{a}}, {"two", []*process{a, b}}, {"three", all},
	} {
		t.Run(row.name, func(t *testing.T) {
			wantChecked(t, failures(t, "nobody"+row.name, row.replicas...))
		})
	}
	t.Run("at the same time", func(t *testing.T) {
		var checked atomic.Int64
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				switch r, err := all[i%3].loginAs("crowd", "wrong"); {
				case err != nil || r.status != 401 && r.status != 429:
					t.Errorf("%+v, %v", r, err)
				case r.status == 401:
					checked.Add(1)
				}
			})
		}
		wg.Wait()
		// The sixth is refused when the replica stamped it before another one stamped the fifth.
		if n := checked.Load(); n != checkedPasswords && n != checkedPasswords-1 {
			t.Errorf("the replicas checked %d passwords, want %d, or one fewer", n, checkedPasswords)
		}
	})
	t.Run("a success elsewhere", func(t *testing.T) {
		addUsers(t, url, "ada")
		for _, p := range []*process{a, b, a, b} {
			want(t, 401)(p.loginAs("ada", "wrong"))
		}
		want(t, 200)(c.loginAs("ada", replicaPassword))
		wantChecked(t, failures(t, "ada", all...))
	})
	t.Run("a known address", func(t *testing.T) {
		const home = "192.0.2.7"
		addUsers(t, url, "bob")
		want(t, 200)(a.loginFrom(home, "bob", replicaPassword))
		failures(t, "bob", b)
		want(t, 429)(c.loginFrom("192.0.2.8", "bob", replicaPassword))
		want(t, 200)(c.loginFrom(home, "bob", replicaPassword))
	})
}

// TestReplicasShareAnAddress: an address has 100 logins at once and one more each 150 ms, however many
// replicas there are. The logins are for a name that must wait for an hour, which costs no hash. On a slow
// machine the hashes would take as long as the address needs to regain its logins.
func TestReplicasShareAnAddress(t *testing.T) {
	t.Parallel()
	const burst, interval, address = 100, 150 * time.Millisecond, "192.0.2.9"
	url, all := startReplicas(t, 3)
	want(t, 401)(all[0].loginAs("nobody", "wrong"))
	pgtest.Execute(t, pgtest.Connect(t, url),
		`UPDATE login_failures SET tries = 20, next_at = next_at + 3600000`)
	var admitted atomic.Int64
	var throttled atomic.Bool
	var wg sync.WaitGroup
	start := time.Now()
	for _, p := range all {
		wg.Go(func() {
			for !throttled.Load() {
				r, err := p.loginFrom(address, "nobody", "wrong")
				if err != nil || r.status != 429 || r.Code != "throttled" {
					t.Errorf("%+v, %v", r, err)
					return
				}
				if r.header.Get("Retry-After") == "1" { // because of the address
					throttled.Store(true)
				} else {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	most := burst + 1 + int64(time.Since(start)/interval)
	if n := admitted.Load(); n < burst || n > most {
		t.Errorf("%d logins were admitted, want %d to %d", n, burst, most)
	}
	for _, p := range all {
		want(t, 401)(p.loginFrom("192.0.2.10", "somebody"+p.address, "wrong"))
	}
}
