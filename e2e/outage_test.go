//go:build unix

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sherpa/internal/pgtest"
)

const (
	// grace is how long replicas go on with the sessions that they know when the database is away.
	grace = 30 * time.Second
	// longestAnswer is the 4 s that a change in the database may take, and something for a busy machine.
	longestAnswer = 5 * time.Second
	// longestRecovery is how long after the return of the database everything must work again.
	longestRecovery = 5 * time.Second

	// longestStop is what compose.yaml gives a replica.
	longestStop = 15 * time.Second

	quiet = "SHERPA_ACCESS_LOG=false" // what remains is worth reading when a test fails

	login = "POST /auth" // takes longer: it also computes a hash, after a wait for its turn
)

// outageLength is how long the database stays away: as long as SHERPA_OUTAGE says, or else briefly.
func outageLength() time.Duration {
	length, err := time.ParseDuration(os.Getenv("SHERPA_OUTAGE"))
	if err != nil {
		return 3 * time.Second
	}
	return length
}

// crowd is clients who log in, ask, refresh and log out, each request at one of the replicas at random, until they are
// told to stop. What is answered with 503 or 429 they send again, unchanged, until it is done.
type crowd struct {
	t        *testing.T
	replicas []*process
	fragile  bool // replicas may die: what gets no answer is sent again, too
	steady   bool // nothing needs to be sent again

	door chan struct{} // few log in at the same time: beyond what it can compute, a replica refuses logins
	stop sync.Once
	over chan struct{}
	wg   sync.WaitGroup

	mu      sync.Mutex
	tallies map[string]tally // by request and answer
	kept    []acknowledged
}

type tally struct {
	count   int
	longest time.Duration
}

// acknowledged is what one session's client has been told.
type acknowledged struct {
	refresh   string // the newest refresh token
	refreshed int
	loggedOut bool
}

func newCrowd(t *testing.T, replicas ...*process) *crowd {
	t.Helper()
	c := &crowd{t: t, replicas: replicas, door: make(chan struct{}, 2), over: make(chan struct{}), tallies: map[string]tally{}}
	t.Cleanup(c.end)
	return c
}

// add begins with n more clients, whose requests go through these transports. Each has logged in from its address before,
// so that no failure of the others' counts against it.
func (c *crowd) add(n int, transport func() http.RoundTripper) {
	c.t.Helper()
	for range n {
		v := &visitor{crowd: c, transport: transport(), address: newAddress()}
		if _, ok := v.login(); !ok {
			c.t.FailNow()
		}
		c.wg.Go(v.live)
	}
}

// end waits until each client has got the answer to its last request.
func (c *crowd) end() {
	c.stop.Do(func() { close(c.over) })
	c.wg.Wait()
}

func (c *crowd) ending() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// count returns how many answers had this status; 0 stands for none at all, -1 for all requests.
func (c *crowd) count(status int) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what, tally := range c.tallies {
		if status < 0 || strings.HasSuffix(what, " "+strconv.Itoa(status)) {
			n += tally.count
		}
	}
	return n
}

// work waits until the clients have been served n times more.
func (c *crowd) work(n int) {
	c.t.Helper()
	enough := c.count(http.StatusOK) + n
	for deadline := time.Now().Add(2 * time.Minute); c.count(http.StatusOK) < enough; {
		if time.Now().After(deadline) {
			c.t.Fatal("the clients are not served")
		}
		time.Sleep(5 * time.Millisecond) // they work meanwhile
	}
}

// note keeps the tallies, and complains about answers that no fault excuses.
func (c *crowd) note(what string, r reply, err error, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := what + " " + strconv.Itoa(r.status)
	c.tallies[key] = tally{c.tallies[key].count + 1, max(c.tallies[key].longest, took)}
	refused := r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests
	switch {
	case c.steady && (err != nil || refused), err != nil && !c.fragile, err != nil && !errors.Is(err, errNoAnswer):
		c.t.Errorf("%s: %+v, %v", what, r, err)
	case refused && r.header.Get("Retry-After") == "":
		c.t.Errorf("%s: no Retry-After: %+v", what, r)
	case r.status == http.StatusServiceUnavailable && what != login && took > longestAnswer:
		c.t.Errorf("%s: the answer %d came after %v", what, r.status, took)
	}
}

// report logs the tallies.
func (c *crowd) report() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines strings.Builder
	for _, what := range slices.Sorted(maps.Keys(c.tallies)) {
		fmt.Fprintf(&lines, "\n%6d %-23s, the longest %v", c.tallies[what].count, what, c.tallies[what].longest.Round(time.Millisecond))
	}
	c.t.Logf("%d sessions; requests by answer:%s", len(c.kept), lines.String())
}

// check asks the replica and the database whether all holds that was acknowledged, and whether each session was
// refreshed as often as its client was told.
func (c *crowd) check(p *process, database string) {
	c.t.Helper()
	c.end()
	c.report()
	counts := refreshes(c.t, database)
	var living, ended int
	for _, have := range c.kept {
		id, _, _ := strings.Cut(have.refresh, ".")
		if counts[id] != have.refreshed {
			c.t.Errorf("a session was refreshed %d times, and its client was told %d times", counts[id], have.refreshed)
		}
		r, err := p.refresh(have.refresh)
		switch {
		case err != nil:
			c.t.Fatal(err)
		case have.loggedOut && (r.status != http.StatusUnauthorized || r.Reason != "logout"):
			c.t.Errorf("a logout was lost: %+v", r)
		case !have.loggedOut && r.status != http.StatusOK:
			c.t.Errorf("a session was lost: %+v", r)
		case have.loggedOut:
			ended++
		default:
			living++
		}
	}
	c.t.Logf("%d logouts hold, %d sessions go on", ended, living)
	if ended == 0 || living == 0 {
		c.t.Error("nothing was under way: the test proves nothing")
	}
}

// refreshes returns how often each session was refreshed, by its id.
func refreshes(t *testing.T, database string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	rows, err := pgtest.Connect(t, database).Query(t.Context(), "SELECT id, refresh_count FROM sessions")
	if err != nil {
		t.Fatal(err)
	}
	var id string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&id, &n}, func() error { counts[id] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return counts
}

// visitor is one client of the crowd.
type visitor struct {
	*crowd
	transport http.RoundTripper
	address   string // its own, so that nobody is throttled
}

func (v *visitor) live() {
	for !v.ending() {
		s, ok := v.login()
		if !ok {
			return
		}
		have := acknowledged{refresh: s.Refresh}
		for range rand.N(12) {
			time.Sleep(rand.N(5 * time.Millisecond)) // clients think
			if _, ok := v.insist(http.StatusOK, "GET", "/mountain/x", "", s.Access); !ok {
				return
			}
			if s, ok = v.insist(http.StatusOK, "POST", "/auth/refresh", refreshBody(have.refresh), ""); !ok {
				return
			}
			have.refresh = s.Refresh
			have.refreshed++
		}
		if rand.N(2) == 0 {
			if _, have.loggedOut = v.insist(http.StatusNoContent, "POST", "/auth/logout", refreshBody(have.refresh), ""); !have.loggedOut {
				return
			}
		}
		v.mu.Lock()
		v.kept = append(v.kept, have)
		v.mu.Unlock()
	}
}

func (v *visitor) login() (reply, bool) {
	v.door <- struct{}{}
	defer func() { <-v.door }()
	return v.insist(http.StatusOK, "POST", "/auth", credentials("sherpa", "everest"), "")
}

// insist sends a request until it is done, and reports whether the answer is the expected one.
func (v *visitor) insist(want int, method, path, body, token string) (reply, bool) {
	what := method + " " + path
	for deadline := time.Now().Add(outageLength() + time.Minute); time.Now().Before(deadline); {
		start := time.Now()
		r, err := v.send(method, path, body, token)
		if v.t.Context().Err() != nil {
			return reply{}, false // the test has failed already
		}
		v.note(what, r, err, time.Since(start))
		switch {
		case err == nil && r.status == want:
			return r, true
		case r.status == http.StatusTooManyRequests && !v.steady:
			seconds, _ := strconv.Atoi(r.header.Get("Retry-After"))
			time.Sleep(time.Duration(seconds) * time.Second) // what comes sooner is refused
		case (err != nil || r.status == http.StatusServiceUnavailable) && !v.steady:
			time.Sleep(20*time.Millisecond + rand.N(40*time.Millisecond)) // sooner than asked for: the test has no time
		default:
			v.t.Errorf("%s: %+v, %v", what, r, err)
			return reply{}, false
		}
	}
	v.t.Errorf("%s: not done for ever", what)
	return reply{}, false
}

func (v *visitor) send(method, path, body, token string) (reply, error) {
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	return v.replicas[rand.N(len(v.replicas))].send(ctx, v.transport, v.address, method, path, body, token)
}

func pooled() http.RoundTripper { return http.DefaultTransport }

// TestOutage takes the database away under load, longer than replicas remember if SHERPA_OUTAGE says so.
func TestOutage(t *testing.T) {
	t.Parallel()
	t.Run("stopped", func(t *testing.T) {
		t.Parallel()
		server := pgtest.Start(t)
		outage(t, server, outageLength(), func() { server.Stop(t) }, func() { server.Resume(t) })
	})
	t.Run("hung", func(t *testing.T) { // its connections stay, and nothing comes out of them
		t.Parallel()
		server := pgtest.Start(t)
		length := max(outageLength(), longestAnswer+time.Second) // longer than anybody waits
		operator := pgtest.Connect(t, server.URL())
		var thaw func()
		outage(t, server, length, func() {
			pgtest.Execute(t, operator, "BEGIN")
			pgtest.Execute(t, operator, "LOCK TABLE revocations IN EXCLUSIVE MODE")
			await(t, operator, "application_name = 'sherpa' AND wait_event_type = 'Lock'") // a logout, in the middle of its transaction
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
		o.replicas[i] = &outageReplica{process: p, known: mustLogin(t, p), refreshed: mustLogin(t, p)}
		if r, err := p.ask("GET", "/mountain/x", "", o.replicas[i].known.Access); err != nil || r.status != http.StatusOK {
			t.Fatal(r, err)
		}
	}
	clients := newCrowd(t, a, b)
	clients.add(6, pooled)
	clients.work(50)

	before := time.Now()
	begin()
	o.gone(t, before, time.Now(), length)
	end()
	o.recovered(t, time.Now())
	clients.work(50)
	clients.check(b, server.URL())
}

// TestRestartDuringAnOutage: a refresh whose answer was lost can be sent again to a replica that was restarted meanwhile.
func TestRestartDuringAnOutage(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	p := startReplica(t, server.URL(), quiet)
	first := mustLogin(t, p)
	second, err := p.refresh(first.Refresh)
	if err != nil || second.status != http.StatusOK {
		t.Fatal(second, err)
	}
	refreshed := time.Now()
	server.Stop(t)
	p.kill()
	p.launch()
	eventually(t, "it says that it waits", func() bool { return strings.Contains(p.log.String(), "waiting for the database") })
	time.Sleep(time.Until(refreshed.Add(11 * time.Second))) // what clients have otherwise
	server.Resume(t)
	waitUntilReady(t, "http://"+p.address)
	if again, err := p.refresh(first.Refresh); err != nil || again.Refresh != second.Refresh {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestStopDuringAnOutage: nobody waits long for a server that hangs.
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
		t.Error("that is too long: whoever runs it kills it meanwhile")
	}
}

type outageTest struct{ replicas [2]*outageReplica }

type outageReplica struct {
	*process
	known     reply // a session that the replica remembers
	refreshed reply // one that it does not
}

func mustLogin(t *testing.T, p *process) reply {
	t.Helper()
	r, err := p.login()
	if err != nil || r.status != http.StatusOK {
		t.Fatal(r, err)
	}
	return r
}

// gone looks at the replicas for as long as the database is away, which it began to be between two times.
func (o *outageTest) gone(t *testing.T, before, after time.Time, length time.Duration) {
	var wg sync.WaitGroup
	for _, p := range o.replicas {
		wg.Go(func() { p.remembers(t, before, after, after.Add(length)) })
		for what, ask := range p.needs() {
			wg.Go(func() {
				start := time.Now()
				r, err := ask()
				took := time.Since(start)
				if err != nil || r.status != http.StatusServiceUnavailable || r.Code != "unavailable" || r.header.Get("Retry-After") == "" || took > longestAnswer {
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

// needs is what cannot be done without the database.
func (p *outageReplica) needs() map[string]func() (reply, error) {
	return map[string]func() (reply, error){
		"a login":         p.login,
		"a refresh":       func() (reply, error) { return p.refresh(p.refreshed.Refresh) },
		"another session": func() (reply, error) { return p.ask("GET", "/mountain/x", "", p.refreshed.Access) },
		"/readyz":         func() (reply, error) { return p.ask("GET", "/readyz", "", "") },
	}
}

// remembers asks with the known session until the end: 200 for the grace, which runs from when the feed was last read,
// at most a second before the database was gone, and then 503.
func (p *outageReplica) remembers(t *testing.T, before, after, end time.Time) {
	served, refused := 0, 0
	for time.Now().Before(end) {
		start := time.Now()
		r, err := p.ask("GET", "/mountain/x", "", p.known.Access)
		switch {
		case err == nil && r.status == http.StatusOK && start.Before(after.Add(grace)):
			served++
		case err == nil && r.status == http.StatusServiceUnavailable && r.Code == "unavailable" && r.header.Get("Retry-After") != "" &&
			time.Now().After(before.Add(grace-time.Second)):
			refused++
		default:
			t.Errorf("a known session, %v without the database: %+v, %v", start.Sub(after), r, err)
			return
		}
		time.Sleep(20 * time.Millisecond) // it is a long time
	}
	t.Logf("a known session was served %d times, and refused %d times", served, refused)
	if long := end.Sub(after) > grace+time.Second; served == 0 || long != (refused > 0) {
		t.Errorf("a known session was served %d times, and refused %d times", served, refused)
	}
}

// recovered measures how long after the return everything works again.
func (o *outageTest) recovered(t *testing.T, returned time.Time) {
	var wg sync.WaitGroup
	for _, p := range o.replicas {
		for what, ask := range p.needs() {
			wg.Go(func() {
				for {
					r, err := ask()
					took := time.Since(returned)
					if err == nil && r.status == http.StatusOK && took < longestRecovery {
						t.Logf("%s works again after %v", what, took.Round(time.Millisecond))
						return
					}
					if took > longestRecovery {
						t.Errorf("%s, %v after the return of the database: %+v, %v", what, took, r, err)
						return
					}
					time.Sleep(20 * time.Millisecond) // it recovers meanwhile
				}
			})
		}
	}
	wg.Wait()
}

// freeze stops every process of the server, as a machine does that hangs.
func freeze(t *testing.T, server *pgtest.Server) (thaw func()) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(server.Dir(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	postmaster, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	inside := pgtest.Connect(t, server.URL())
	pids := []int{postmaster}
	thaw = func() {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT) // it may have ended
		}
	}
	t.Cleanup(thaw)
	halt(t, postmaster) // first, so that there are no new ones
	rows, _ := inside.Query(t.Context(), "SELECT pid FROM pg_stat_activity ORDER BY pid = pg_backend_pid()")
	others, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range others {
		pids = append(pids, pid)
		halt(t, pid)
	}
	return thaw
}

func halt(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && !errors.Is(err, syscall.ESRCH) { // some end by themselves
		t.Fatalf("stop %d: %v", pid, err)
	}
}

// TestCutConnections cuts all connections to the database every now and then, at times while statements wait there.
func TestCutConnections(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	a, b := startReplica(t, database, quiet), startReplica(t, database, quiet)
	clients := newCrowd(t, a, b)
	clients.add(6, pooled)
	clients.work(50)
	operator := pgtest.Connect(t, database)
	requests, refused := clients.count(-1), clients.count(http.StatusServiceUnavailable)
	var cuts, waiting int
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); cuts++ {
		if cuts%2 == 0 {
			cut(t, operator)
		} else {
			waiting += cutWaiting(t, operator)
		}
		time.Sleep(50*time.Millisecond + rand.N(50*time.Millisecond)) // the clients work meanwhile
	}
	requests, refused = clients.count(-1)-requests, clients.count(http.StatusServiceUnavailable)-refused
	t.Logf("%d cuts, %d statements that waited: 503 for %d of %d requests", cuts, waiting, refused, requests)
	if waiting == 0 {
		t.Error("no statement was cut in the middle")
	}
	clients.work(50)
	clients.check(b, database)
}

const ours = ` FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'sherpa'`

func cut(t *testing.T, operator *pgx.Conn) {
	t.Helper()
	pgtest.Execute(t, operator, "SELECT pg_terminate_backend(pid)"+ours)
}

// cutWaiting makes statements wait for a table, cuts them off, and returns how many they were.
func cutWaiting(t *testing.T, operator *pgx.Conn) (waiting int) {
	t.Helper()
	pgtest.Execute(t, operator, "BEGIN")
	pgtest.Execute(t, operator, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
	time.Sleep(100 * time.Millisecond) // some come to wait
	if err := operator.QueryRow(t.Context(), "SELECT count(*)"+ours+" AND wait_event_type = 'Lock'").Scan(&waiting); err != nil {
		t.Fatal(err)
	}
	cut(t, operator)
	pgtest.Execute(t, operator, "COMMIT")
	return waiting
}

// TestReplicaKilled kills one of two replicas again and again.
func TestReplicaKilled(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	a, b := startReplica(t, database+"&application_name=a", quiet), startReplica(t, database+"&application_name=b", quiet)
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

func backends(t *testing.T, operator *pgx.Conn, which string) (n int) {
	t.Helper()
	if err := operator.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "+which).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReplicaFrozen stops a replica in the middle of a transaction that keeps the row of a session: the server must end
// it, so that the other replica can go on.
func TestReplicaFrozen(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	a, b := startReplica(t, database+"&application_name=a", quiet), startReplica(t, database+"&application_name=b", quiet)
	operator := pgtest.Connect(t, database)
	if r, err := a.ask("POST", "/auth/logout", "", mustLogin(t, a).Access); err != nil || r.status != http.StatusNoContent {
		t.Fatal(r, err) // the connection now has the statement prepared: it takes one message
	}
	session := mustLogin(t, a)

	pgtest.Execute(t, operator, "BEGIN")
	pgtest.Execute(t, operator, "LOCK TABLE sessions IN EXCLUSIVE MODE")
	done := make(chan reply, 1)
	go func() {
		r, _ := a.ask("POST", "/auth/logout", "", session.Access)
		done <- r
	}()
	await(t, operator, "application_name = 'a' AND wait_event_type = 'Lock'")
	if err := a.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(a.command.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatal(status, err)
	}
	pgtest.Execute(t, operator, "COMMIT") // now the statement goes on, and nobody says what is next
	await(t, operator, "application_name = 'a' AND state = 'idle in transaction'")

	frozen := time.Now()
	var r reply
	var refused int
	for ; r.status != http.StatusOK; refused++ {
		var err error
		if r, err = b.refresh(session.Refresh); err != nil || r.status != http.StatusOK && r.Code != "unavailable" {
			t.Fatal(r, err)
		}
		if time.Since(frozen) > 4*longestAnswer {
			t.Fatal("a frozen replica keeps a session locked")
		}
	}
	if r, err := b.refresh(r.Refresh); err != nil || r.status != http.StatusOK {
		t.Error(r, err)
	}
	t.Logf("the session could be refreshed after %v", time.Since(frozen).Round(time.Millisecond))
	if refused == 1 {
		t.Error("nothing was locked: the test proves nothing")
	}

	if err := a.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	woken := time.Now()
	logout := <-done
	mustLogin(t, a)
	t.Logf("the frozen replica answered the logout with %d, and a login, after %v", logout.status, time.Since(woken).Round(time.Millisecond))
	if logout.status == http.StatusNoContent {
		t.Error("a logout was acknowledged whose transaction was undone")
	}
}

// await waits for a connection to the database to come into a state.
func await(t *testing.T, operator *pgx.Conn, state string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); backends(t, operator, state) == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("no connection with %s", state)
		}
		time.Sleep(5 * time.Millisecond) // it gets there meanwhile
	}
}
