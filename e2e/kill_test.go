package e2e

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"sherpa/internal/pgtest"
)

// TestKill kills the server in the middle of logins, refreshes and logouts, and starts it again. What clients
// have an answer for must hold. SHERPA_KILLS says how often.
func TestKill(t *testing.T) {
	t.Parallel()
	kills, err := strconv.Atoi(os.Getenv("SHERPA_KILLS"))
	if err != nil {
		kills = 5
	}
	p := startProcess(t, t.TempDir(), quiet)
	clients := newCrowd(t, p)
	clients.fragile = true
	clients.add(4, pooled)
	for range kills {
		clients.work(20 + rand.N(60))
		p.kill()
		p.start()
	}
	clients.work(50)
	t.Logf("%d kills: %d of %d requests got no answer", kills, clients.answered(0), clients.requests())
	if clients.answered(0) < kills {
		t.Error("no request was under way: the test proves nothing")
	}
	clients.check(p, "sqlite:"+filepath.Join(p.dir, "data", "sherpa.db"))
}

// TestReplicaKilled kills one of two replicas again and again.
func TestReplicaKilled(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	a := startReplica(t, database+"&application_name=a", quiet)
	b := startReplica(t, database+"&application_name=b", quiet)
	clients := newCrowd(t, a, b)
	clients.fragile = true
	clients.add(6, pooled)
	operator := pgtest.Connect(t, database)
	var longest time.Duration
	for range 3 {
		clients.work(50)
		a.kill()
		killed := time.Now()
		for backends(t, operator, "application_name = 'a'") > 0 {
			if time.Since(killed) > longestRecovery {
				t.Fatal("a replica is dead, and its connections are not")
			}
			time.Sleep(5 * time.Millisecond) // the server notices meanwhile
		}
		longest = max(longest, time.Since(killed))
		clients.work(50) // at the other replica
		a.start()
	}
	clients.work(50)
	t.Logf("the connections of a dead replica were gone after %v at most", longest)
	clients.check(b, database)
}
