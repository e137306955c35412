//go:build unix

package e2e

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sherpa/internal/pgtest"
)

const (
	// staleness is how long replicas serve the sessions in their caches during an outage.
	staleness = 30 * time.Second

	// longestStop is the time to stop that compose.yaml gives a replica.
	longestStop = 15 * time.Second
)

// TestOutage stops the database under load, for longer than replicas use their caches if SHERPA_OUTAGE says
// so.
func TestOutage(t *testing.T) {
	t.Parallel()
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		server := pgtest.Start(t)
		outage(t, server, outageLength(), func() { server.Stop(t) }, func() { server.Resume(t) })
	})
	t.Run("hung", func(t *testing.T) { // its connections stay open, and it answers nothing
		t.Parallel()
		server := pgtest.Start(t)
		length := max(outageLength(), longestAnswer+time.Second) // longer than any client waits
		operator := pgtest.Connect(t, server.URL())
		var thaw func()
		outage(t, server, length, func() {
			lockTable(t, operator, "revocations", "EXCLUSIVE")
			// Now a logout waits, in the middle of its transaction.
			await(t, operator, ours+" AND wait_event_type = 'Lock'")
			thaw = freeze(t, server)
		}, func() {
			thaw()
			pgtest.Execute(t, operator, "COMMIT")
		})
	})
}

func outage(t *testing.T, server *pgtest.Server, length time.Duration, begin, end func()) {
	a, b := startReplica(t, server.URL(), quiet), startReplica(t, server.URL(), quiet)
	var o outageTest
	for i, p := range []*process{a, b} {
		cached, other := want(t, 200)(p.login()), want(t, 200)(p.login())
		o.replicas[i] = &outageReplica{process: p, cached: cached, other: other}
	}
	clients := newCrowd(t, a, b)
	clients.add(6, pooled)
	clients.work(50)
	for _, p := range o.replicas {
		want(t, 200)(p.mountain(p.cached.Access))
	}

	before := time.Now()
	begin()
	o.during(t, before, time.Now(), length)
	end()
	o.recovered(t, time.Now())
	clients.work(50)
	clients.check(b, server.URL())
}

type outageTest struct{ replicas [2]*outageReplica }

type outageReplica struct {
	*process
	cached reply // a session in the replica's cache
	other  reply // a session outside it
}

// during looks at the replicas for the length of the outage, which began between two times.
func (o *outageTest) during(t *testing.T, before, after time.Time, length time.Duration) {
	var wg sync.WaitGroup
	for _, p := range o.replicas {
		wg.Go(func() { p.servesCached(t, before, after, after.Add(length)) })
		for what, ask := range p.needsDatabase() {
			wg.Go(func() {
				start := time.Now()
				r, err := ask()
				took := time.Since(start)
				if err != nil || !r.unavailable() || took > longestAnswer {
					t.Errorf("%s without the database, after %v: %+v, %v", what, took, r, err)
				}
				t.Logf("%s without the database: 503 after %v", what, took.Round(time.Millisecond))
			})
		}
		wg.Go(func() {
			if r, err := p.ask("GET", "/healthz", "", ""); err != nil || r.status != http.StatusOK {
				t.Errorf("/healthz without the database: %+v, %v", r, err)
			}
		})
	}
	wg.Wait()
}

// needsDatabase returns requests that the replica cannot serve without the database.
func (p *outageReplica) needsDatabase() map[string]func() (reply, error) {
	return map[string]func() (reply, error){
		"a login":         p.login,
		"a refresh":       func() (reply, error) { return p.refresh(p.other.Refresh) },
		"another session": func() (reply, error) { return p.mountain(p.other.Access) },
		"/readyz":         func() (reply, error) { return p.ask("GET", "/readyz", "", "") },
	}
}

// servesCached asks with the cached session until the end. The answer is 200 for as long as the cache may be
// stale, and then 503. That time begins when the replica last read the feed, at most a second before the
// outage.
func (p *outageReplica) servesCached(t *testing.T, before, after, end time.Time) {
	served, refused := 0, 0
	for time.Now().Before(end) {
		start := time.Now()
		r, err := p.mountain(p.cached.Access)
		switch {
		case err == nil && r.status == http.StatusOK && start.Before(after.Add(staleness)):
			served++
		case err == nil && r.unavailable() && time.Now().After(before.Add(staleness-time.Second)):
			refused++
		default:
			t.Errorf("a cached session, %v without the database: %+v, %v", start.Sub(after), r, err)
			return
		}
		time.Sleep(20 * time.Millisecond) // it is a long time
	}
	t.Logf("a cached session was served %d times, and refused %d times", served, refused)
	if long := end.Sub(after) > staleness+time.Second; served == 0 || long != (refused > 0) {
		t.Errorf("a cached session was served %d times, and refused %d times", served, refused)
	}
}

// recovered measures how long after the outage everything works again.
func (o *outageTest) recovered(t *testing.T, ended time.Time) {
	var wg sync.WaitGroup
	for _, p := range o.replicas {
		for what, ask := range p.needsDatabase() {
			wg.Go(func() {
				for {
					r, err := ask()
					took := time.Since(ended)
					if err == nil && r.status == http.StatusOK && took < longestRecovery {
						t.Logf("%s works again after %v", what, took.Round(time.Millisecond))
						return
					}
					if took > longestRecovery {
						t.Errorf("%s, %v after the outage: %+v, %v", what, took, r, err)
						return
					}
					time.Sleep(20 * time.Millisecond) // it recovers meanwhile
				}
			})
		}
	}
	wg.Wait()
}

// TestRestartDuringAnOutage restarts a replica during an outage. A client may send a refresh whose answer it
// did not get again to that replica.
func TestRestartDuringAnOutage(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	p := startReplica(t, server.URL(), quiet)
	first := want(t, 200)(p.login())
	second := want(t, 200)(p.refresh(first.Refresh))
	refreshed := time.Now()
	server.Stop(t)
	p.kill()
	p.launch()
	p.awaitWaiting(t)
	time.Sleep(time.Until(refreshed.Add(11 * time.Second))) // without an outage the grace period is over then
	server.Resume(t)
	waitUntilReady(t, "http://"+p.address)
	if again, err := p.refresh(first.Refresh); err != nil || again.Refresh != second.Refresh {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestStartDuringAnOutage: a replica that starts during an outage serves when the outage is over.
func TestStartDuringAnOutage(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	server.Stop(t)
	p := newReplica(t, server.URL(), "SHERPA_DEMO=true")
	p.launch()
	p.awaitWaiting(t)
	server.Resume(t)
	waitUntilReady(t, "http://"+p.address)
	want(t, 200)(p.login())
}

// awaitWaiting waits until the replica says that it waits for its database.
func (p *process) awaitWaiting(t *testing.T) {
	t.Helper()
	eventually(t, "the replica says that it waits", func() bool {
		return strings.Contains(p.log.String(), "waiting for the database")
	})
}

// TestStopDuringAnOutage: no replica waits long for a database server that hangs.
func TestStopDuringAnOutage(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	p := startReplica(t, server.URL(), quiet)
	clients := newCrowd(t, p)
	clients.add(6, pooled)
	clients.work(50) // on several connections
	clients.end()
	freeze(t, server)
	stopped := time.Now()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	took := time.Since(stopped)
	t.Logf("it ended after %v", took)
	if took > longestStop {
		t.Error("that is too long: Compose kills it meanwhile")
	}
}

// TestCutConnections ends all connections to the database now and then, sometimes while statements wait
// there.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	a, b := startReplica(t, database, quiet), startReplica(t, database, quiet)
	clients := newCrowd(t, a, b)
	clients.add(6, pooled)
	clients.work(50)
	operator := pgtest.Connect(t, database)
	requests, refused := clients.requests(), clients.answered(http.StatusServiceUnavailable)
	var cuts int
	var waiting int64
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); cuts++ {
		if cuts%2 == 0 {
			cutConnections(t, operator)
		} else {
			waiting += cutWaiting(t, operator)
		}
		time.Sleep(50*time.Millisecond + rand.N(50*time.Millisecond)) // the clients work meanwhile
	}
	requests, refused = clients.requests()-requests, clients.answered(http.StatusServiceUnavailable)-refused
	t.Logf("%d cuts, %d statements that waited: 503 for %d of %d requests", cuts, waiting, refused, requests)
	if waiting == 0 {
		t.Error("no connection was cut in the middle of a statement")
	}
	clients.work(50)
	clients.check(b, database)
}

// cutWaiting makes statements wait for a table, ends their connections, and returns how many they were.
func cutWaiting(t *testing.T, operator *pgx.Conn) (waiting int64) {
	t.Helper()
	lockTable(t, operator, "sessions", "ACCESS EXCLUSIVE")
	time.Sleep(100 * time.Millisecond) // some come to wait
	waiting = backends(t, operator, ours+" AND wait_event_type = 'Lock'")
	cutConnections(t, operator)
	pgtest.Execute(t, operator, "COMMIT")
	return waiting
}
