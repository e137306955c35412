package e2e

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	_ "modernc.org/sqlite"             // registers the driver "sqlite"
)

const (
	// longestAnswer is the 4 s that a change in the database may take, and more for a busy machine.
	longestAnswer = 5 * time.Second
	// longestRecovery is how long after an outage or a kill everything must work again.
	longestRecovery = 5 * time.Second

	loginRequest   = "POST /auth" // takes longer: it waits for its turn and computes a hash
	getRequest     = "GET /mountain/x"
	meRequest      = "GET /auth/me"
	refreshRequest = "POST /auth/refresh"
	logoutRequest  = "POST /auth/logout"
)

// crowd is the load of all tests: clients that log in, ask, refresh and log out until the test ends them.
// They send each request to one of the replicas at random. They send what was answered with 503 or 429 again,
// unchanged, until it succeeds.
type crowd struct {
	t        *testing.T
	replicas []*target
	fragile  bool // replicas may die: clients send again what got no answer
	steady   bool // no replica may give a reason to send anything again
	thorough bool // clients also do what honest ones seldom do, such as a wrong password
	users    []identity
	pace     time.Duration // how long clients think, at most

	door chan struct{} // limits simultaneous logins: a replica refuses more than it can compute
	stop sync.Once
	over chan struct{}
	wg   sync.WaitGroup

	visitors atomic.Int64 // that were added, each with an address of its own
	hungUp   atomic.Int64 // logins whose client did not wait for the answer

	mu      sync.Mutex
	tallies map[answer]tally
	kept    []session     // that are over for their clients
	lasting []session     // of each client one
	tokens  []accessToken // of the lasting sessions, of every age
}

// target is a replica. Each request to it holds its lock for reading.
type target struct {
	*process
	open sync.RWMutex
}

// answer is what the replicas answer to one kind of request; the status 0 stands for no answer.
type answer struct {
	replica *process
	request string
	status  int
}

type tally struct {
	count   int
	longest time.Duration
}

type accessToken struct {
	text   string
	claims claims
}

// session is what one session's client knows, from answers.
type session struct {
	access    string
	first     string // the refresh token of the login
	refresh   string // the newest refresh token
	refreshed int
	ended     string // the reason why it ended, or ""
	endedAt   time.Time
}

// identity is a user who can log in.
type identity struct{ username, password string }

func newCrowd(t *testing.T, replicas ...*process) *crowd {
	t.Helper()
	c := &crowd{
		t: t, users: []identity{{"sherpa", "everest"}}, pace: 10 * time.Millisecond,
		door: make(chan struct{}, 2), over: make(chan struct{}), tallies: map[answer]tally{},
	}
	for _, p := range replicas {
		c.replicas = append(c.replicas, &target{process: p})
	}
	t.Cleanup(c.end)
	return c
}

// add starts n more clients, whose requests go through these transports. Each has logged in from its address
// before, so that failures of other clients do not count against it.
func (c *crowd) add(n int, transport func() http.RoundTripper) {
	c.t.Helper()
	for range n {
		user := c.users[int(c.visitors.Add(1))%len(c.users)]
		v := &visitor{crowd: c, transport: transport(), identity: user, address: newAddress()}
		s, ok := v.login()
		if !ok {
			c.t.FailNow()
		}
		c.share(s)
		c.wg.Go(func() { v.live(s) })
	}
}

func pooled() http.RoundTripper { return http.DefaultTransport }

// end waits until each client has got the answer to its last request.
func (c *crowd) end() {
	c.stop.Do(func() { close(c.over) })
	c.wg.Wait()
}

// begin lets clients be added after end.
func (c *crowd) begin() { c.stop, c.over = sync.Once{}, make(chan struct{}) }

func (c *crowd) ending() bool {
	select {
	case <-c.over:
		return true
	default:
		return false
	}
}

// without sends no requests to a replica while do runs.
func (c *crowd) without(p *process, do func()) {
	for _, r := range c.replicas {
		if r.process == p {
			r.open.Lock()
			defer r.open.Unlock()
		}
	}
	do()
}

// count returns how many answers match.
func (c *crowd) count(matches func(answer) bool) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a, tally := range c.tallies {
		if matches(a) {
			n += tally.count
		}
	}
	return n
}

func (c *crowd) requests() int { return c.count(func(answer) bool { return true }) }

func (c *crowd) answered(status int) int {
	return c.count(func(a answer) bool { return a.status == status })
}

// work waits until the clients have been served n times more.
func (c *crowd) work(n int) {
	c.t.Helper()
	enough := c.answered(http.StatusOK) + n
	for deadline := time.Now().Add(2 * time.Minute); c.answered(http.StatusOK) < enough; {
		if time.Now().After(deadline) {
			c.t.Fatal("the clients are not served")
		}
		time.Sleep(5 * time.Millisecond) // they work meanwhile
	}
}

// workAt waits until one replica has served requests of every kind.
func (c *crowd) workAt(p *process) {
	c.t.Helper()
	for request, n := range map[string]int{loginRequest: 2, refreshRequest: 6, getRequest: 12} {
		good := answer{p, request, http.StatusOK}
		served := func() int { return c.count(func(a answer) bool { return a == good }) }
		enough := served() + n
		eventually(c.t, "the replica has served "+request, func() bool { return served() >= enough })
	}
}

// note keeps the tallies, and reports answers that nothing excuses.
func (c *crowd) note(p *process, request string, r reply, err error, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := answer{p, request, r.status}
	c.tallies[a] = tally{c.tallies[a].count + 1, max(c.tallies[a].longest, took)}
	refused := r.status == http.StatusServiceUnavailable || r.status == http.StatusTooManyRequests
	excused := c.fragile && errors.Is(err, errNoAnswer)
	switch {
	case c.steady && (err != nil || refused), err != nil && !excused:
		c.t.Errorf("%s: %+v, %v", request, r, err)
	case refused && r.header.Get("Retry-After") == "":
		c.t.Errorf("%s: no Retry-After: %+v", request, r)
	case r.status == http.StatusServiceUnavailable && request != loginRequest && took > longestAnswer:
		c.t.Errorf("%s: the answer %d came after %v", request, r.status, took)
	}
}

// share lets all clients ask with the access token of a lasting session.
func (c *crowd) share(s session) {
	claims, err := readClaims(s.access)
	if err != nil {
		c.t.Errorf("access token %q: %v", s.access, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = append(c.tokens, accessToken{s.access, claims})
}

// draw returns an access token of any age, or the other one when all have expired.
func (c *crowd) draw(other string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tokens = slices.DeleteFunc(c.tokens, func(t accessToken) bool { return t.claims.expired() })
	if len(c.tokens) == 0 {
		return other
	}
	return c.tokens[rand.N(len(c.tokens))].text
}

// keep notes what must hold at the end.
func (c *crowd) keep(list *[]session, s session) {
	s.access = "" // it expires
	c.mu.Lock()
	defer c.mu.Unlock()
	*list = append(*list, s)
}

// check asks the replica and the database whether everything holds that clients have an answer for, and
// whether each session was refreshed as often as its client knows.
func (c *crowd) check(p *process, database string) {
	c.t.Helper()
	c.end()
	c.report()
	counts := refreshes(c.t, database)
	var living, ended int
	for _, s := range slices.Concat(c.lasting, c.kept) {
		id, _, _ := strings.Cut(s.refresh, ".")
		if counts[id] != s.refreshed {
			c.t.Errorf("a session has %d refreshes, and its client knows of %d", counts[id], s.refreshed)
		}
		r, err := p.refresh(s.refresh)
		switch {
		case err != nil:
			c.t.Fatal(err)
		case s.ended != "" && (r.status != http.StatusUnauthorized || r.Reason != s.ended):
			c.t.Errorf("a session lives after its end by %s: %+v", s.ended, r)
		case s.ended == "" && r.status != http.StatusOK:
			c.t.Errorf("a session ended: %+v", r)
		case s.ended != "":
			ended++
		default:
			living++
		}
	}
	c.t.Logf("%d sessions stay ended, %d sessions live", ended, living)
	if ended == 0 || living <= len(c.lasting) {
		c.t.Error("the clients did too little: the test proves nothing")
	}
}

// report logs the tallies.
func (c *crowd) report() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	sums := map[string]tally{}
	for a, t := range c.tallies {
		key := a.request + " " + strconv.Itoa(a.status)
		sums[key] = tally{sums[key].count + t.count, max(sums[key].longest, t.longest)}
	}
	var lines strings.Builder
	for _, key := range slices.Sorted(maps.Keys(sums)) {
		longest := sums[key].longest.Round(time.Millisecond)
		fmt.Fprintf(&lines, "\n%6d %-23s, the longest %v", sums[key].count, key, longest)
	}
	c.t.Logf("%d sessions; requests by answer:%s", len(c.kept)+len(c.lasting), lines.String())
}

// refreshes returns how often each session was refreshed, by its id.
func refreshes(t *testing.T, database string) map[string]int {
	t.Helper()
	driver, source := "pgx", database
	if path, ok := strings.CutPrefix(database, "sqlite:"); ok {
		driver, source = "sqlite", path
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT id, refresh_count FROM sessions")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	counts := map[string]int{}
	for rows.Next() {
		var id string
		var n int
		if err := rows.Scan(&id, &n); err != nil {
			t.Fatal(err)
		}
		counts[id] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return counts
}

// visitor is one client of the crowd.
type visitor struct {
	*crowd
	transport http.RoundTripper
	identity
	address string // its own, so that the throttle lets it pass
}

// live has one session that lasts, and many brief ones.
func (v *visitor) live(lasting session) {
	for !v.ending() {
		if !v.visit() || !v.exchange(&lasting) {
			return
		}
		v.share(lasting)
	}
	v.keep(&v.lasting, lasting)
}

// visit is a session from its login to its logout, which every second client omits.
func (v *visitor) visit() bool {
	if v.thorough && !v.stumble() {
		return false
	}
	s, ok := v.login()
	for range rand.N(12) {
		ok = ok && v.get(s) && v.exchange(&s)
	}
	if ok && rand.N(2) == 0 {
		ok = v.leave(&s)
	}
	if ok {
		v.keep(&v.kept, s)
	}
	return ok
}

func (v *visitor) login() (session, bool) {
	r, ok := v.enter(http.StatusOK, v.password)
	return session{access: r.Access, first: r.Refresh, refresh: r.Refresh}, ok
}

// enter waits for its turn to log in.
func (v *visitor) enter(want int, password string) (reply, bool) {
	v.door <- struct{}{}
	defer func() { <-v.door }()
	return v.insist(want, loginRequest, credentials(v.username, password), "")
}

// leave ends the session: with a logout, or by sending a refresh token that was replaced twice.
func (v *visitor) leave(s *session) bool {
	if v.thorough && s.refreshed >= 2 && rand.N(3) == 0 {
		s.ended = "refresh_reuse"
		_, ok := v.insist(http.StatusUnauthorized, refreshRequest, refreshBody(s.first), "")
		s.endedAt = time.Now()
		return ok && v.shutOut(*s)
	}
	s.ended = "logout"
	_, ok := v.insist(http.StatusNoContent, logoutRequest, refreshBody(s.refresh), "")
	s.endedAt = time.Now()
	return ok && (!v.thorough || v.shutOut(*s))
}

// get asks with the session's newest access token, or with any of a lasting session.
func (v *visitor) get(s session) bool {
	time.Sleep(rand.N(v.pace)) // clients think
	access := s.access
	if rand.N(2) == 0 {
		access = v.draw(access)
	}
	r, ok := v.insist(http.StatusOK, getRequest, "", access)
	if r.status == http.StatusOK && r.Mountain != "x" {
		v.t.Errorf("%s: %+v", getRequest, r)
	}
	return ok
}

// exchange refreshes the session.
func (v *visitor) exchange(s *session) bool {
	before := s.refresh
	r, ok := v.insist(http.StatusOK, refreshRequest, refreshBody(before), "")
	s.access, s.refresh, s.refreshed = r.Access, r.Refresh, s.refreshed+1
	return ok && (!v.thorough || v.repeat(before, *s) && v.recognised(*s))
}

// insist sends a request until it succeeds, and reports whether the answer is the expected one.
func (v *visitor) insist(want int, request, body, access string) (reply, bool) {
	for deadline := time.Now().Add(outageLength() + time.Minute); time.Now().Before(deadline); {
		r, err := v.send(request, body, access)
		if v.t.Context().Err() != nil {
			return reply{}, false // the test has failed already
		}
		switch {
		case err == nil && r.status == want, r.Code == "token_expired" && expired(access): // on its way
			return r, true
		case r.status == http.StatusTooManyRequests && !v.steady:
			seconds, _ := strconv.Atoi(r.header.Get("Retry-After"))
			time.Sleep(time.Duration(seconds) * time.Second) // the replica refuses what comes sooner
		case (err != nil || r.status == http.StatusServiceUnavailable) && !v.steady:
			// Sooner than Retry-After says: the test has no time.
			time.Sleep(20*time.Millisecond + rand.N(40*time.Millisecond))
		default:
			v.t.Errorf("%s: %+v, %v", request, r, err)
			return reply{}, false
		}
	}
	v.t.Errorf("%s: it never succeeds", request)
	return reply{}, false
}

// send sends a request to any replica that takes requests.
func (v *visitor) send(request, body, access string) (reply, error) {
	i := rand.N(len(v.replicas))
	for !v.replicas[i].open.TryRLock() {
		i = (i + 1) % len(v.replicas)
	}
	target := v.replicas[i]
	defer target.open.RUnlock()
	ctx, cancel := context.WithTimeout(v.t.Context(), time.Minute)
	defer cancel()
	method, path, _ := strings.Cut(request, " ")
	start := time.Now()
	r, err := target.send(ctx, v.transport, v.address, method, path, body, access)
	if v.t.Context().Err() == nil {
		v.note(target.process, request, r, err, time.Since(start))
	}
	return r, err
}

// outageLength is how long the database stays unavailable: as long as SHERPA_OUTAGE says, or else briefly.
func outageLength() time.Duration {
	length, err := time.ParseDuration(os.Getenv("SHERPA_OUTAGE"))
	if err != nil {
		return 3 * time.Second
	}
	return length
}
