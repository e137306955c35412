package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sherpa/command"
	"sherpa/internal/pgtest"
	"sherpa/models"
	"sherpa/security"
)

// startReplicas starts so many servers on a new database.
func startReplicas(t *testing.T, count int, env ...string) (url string, all []*process) {
	t.Helper()
	url = pgtest.Database(t)
	for range count {
		all = append(all, startReplica(t, url, env...))
	}
	return url, all
}

// want takes an answer, which must have the status.
func want(t *testing.T, status int) func(reply, error) reply {
	return func(r reply, err error) reply {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r.status != status {
			t.Fatalf("status %d (%s %s), want %d", r.status, r.Code, r.Reason, status)
		}
		return r
	}
}

func (p *process) me(access string) (reply, error) { return p.ask("GET", "/auth/me", "", access) }

// readClaims reads an access token without a check.
func readClaims(access string) (claims security.Claims, err error) {
	_, rest, _ := strings.Cut(access, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(text, &claims)
	}
	return claims, err
}

func sessionOf(t *testing.T, access string) string {
	t.Helper()
	claims, err := readClaims(access)
	if err != nil || claims.SessionID == "" {
		t.Fatalf("access token %q: %v", access, err)
	}
	return claims.SessionID
}

// sherpa runs a command of the program on the replica's database, as another process, and returns when it has ended.
func (p *process) sherpa(t *testing.T, input string, args ...string) {
	t.Helper()
	program := p.program(t.Context(), args...)
	program.Stdin = strings.NewReader(input)
	if output, err := program.CombinedOutput(); err != nil {
		t.Fatalf("sherpa %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

// number runs a query that returns one.
func number(t *testing.T, url, query string, args ...any) (n int64) {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(t.Context())
	if err := connection.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// eventually waits for what other processes do meanwhile.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s not yet: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

const replicaPassword = "a long walk to base camp"

// addUsers makes users with replicaPassword, whom all replicas know from now on.
func addUsers(t *testing.T, url string, names ...string) {
	t.Helper()
	lookup := func(name string) (string, bool) { return url, name == "SHERPA_DATABASE_URL" }
	for _, name := range names {
		std := command.Streams{In: strings.NewReader(replicaPassword + "\n"), Out: io.Discard, Err: io.Discard}
		if err := command.Run(t.Context(), []string{"user", "add", name}, lookup, std); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplicasKnowASessionAtOnce has no wait anywhere: what one replica has answered holds on all others.
func TestReplicasKnowASessionAtOnce(t *testing.T) {
	t.Parallel()
	_, all := startReplicas(t, 3)
	everywhere := func(sessionID string, access ...string) {
		t.Helper()
		for _, token := range access {
			for _, p := range all {
				if r := want(t, 200)(p.me(token)); r.Username != "sherpa" || r.SessionID != sessionID {
					t.Fatalf("the token of session %s is one of %s in session %s", sessionID, r.Username, r.SessionID)
				}
			}
		}
	}
	for i := range 9 {
		a, b, c := all[i%3], all[(i+1)%3], all[(i+2)%3]
		first := want(t, 200)(a.login())
		id := sessionOf(t, first.Access)
		want(t, 200)(b.me(first.Access))
		second := want(t, 200)(b.refresh(first.Refresh))
		everywhere(id, first.Access, second.Access)
		third := want(t, 200)(c.refresh(second.Refresh))
		everywhere(id, first.Access, second.Access, third.Access)
	}
	all[0].sherpa(t, replicaPassword+"\n", "user", "add", "ada")
	for _, p := range all {
		want(t, 200)(p.loginAs("ada", replicaPassword))
	}
}

// ending is a user with two sessions, which replica a has made.
type ending struct {
	t             *testing.T
	a             *process
	username      string
	victim, other reply
}

func (e ending) ask(method, path, body, access string) {
	e.t.Helper()
	want(e.t, 204)(e.a.ask(method, path, body, access))
}

func (e ending) sherpa(args ...string) { e.a.sherpa(e.t, "", args...) }

func (e ending) useTwice() {
	next := want(e.t, 200)(e.a.refresh(e.victim.Refresh))
	want(e.t, 200)(e.a.refresh(next.Refresh))
	want(e.t, 401)(e.a.refresh(e.victim.Refresh))
}

// endings are the ways in which a session ends.
var endings = []struct {
	name   string
	end    func(ending)
	reason string
	both   bool // the user's other session ends as well
}{
	{"logout", func(e ending) { e.ask("POST", "/auth/logout", "", e.victim.Access) }, "logout", false},
	{"logout with the refresh token", func(e ending) {
		e.ask("POST", "/auth/logout", refreshBody(e.victim.Refresh), "")
	}, "logout", false},
	{"logout of the others", func(e ending) { e.ask("POST", "/auth/logout?scope=others", "", e.other.Access) }, "logout", false},
	{"logout of all", func(e ending) { e.ask("POST", "/auth/logout?scope=all", "", e.other.Access) }, "logout", true},
	{"one of the list", func(e ending) {
		e.ask("DELETE", "/auth/sessions/"+sessionOf(e.t, e.victim.Access), "", e.other.Access)
	}, "ended_by_user", false},
	{"new password", func(e ending) {
		e.ask("PUT", "/auth/password", `{"current_password":"`+replicaPassword+`","new_password":"the way down is longer"}`, e.other.Access)
	}, "password_change", false},
	{"refresh token used twice", ending.useTwice, "refresh_reuse", false},
	{"sherpa session end", func(e ending) { e.sherpa("session", "end", sessionOf(e.t, e.victim.Access)) }, "ended_by_operator", false},
	{"sherpa session end --user", func(e ending) { e.sherpa("session", "end", "--user", e.username) }, "ended_by_operator", true},
	{"sherpa user passwd", func(e ending) { e.a.sherpa(e.t, "the way down is longer\n", "user", "passwd", e.username) }, "password_change", true},
	{"sherpa user disable", func(e ending) { e.sherpa("user", "disable", e.username) }, "user_disabled", true},
	{"sherpa user delete", func(e ending) { e.sherpa("user", "delete", e.username) }, "", true},
}

// TestReplicasRefuseAnEndedSession asserts a time, which a busy machine may not keep: the second is what the README
// promises. So it does not run in parallel.
func TestReplicasRefuseAnEndedSession(t *testing.T) {
	url, all := startReplicas(t, 3)
	a, elsewhere := all[0], all[1:]
	bystander := want(t, 200)(a.login())
	names := make([]string, len(endings))
	for i := range names {
		names[i] = fmt.Sprintf("climber%d", i)
	}
	addUsers(t, url, names...)
	cases := make([]ending, len(endings))
	for i, name := range names {
		cases[i] = ending{a: a, username: name, victim: want(t, 200)(a.loginAs(name, replicaPassword)), other: want(t, 200)(a.loginAs(name, replicaPassword))}
	}
	var longest time.Duration
	for i, row := range endings {
		t.Run(row.name, func(t *testing.T) {
			e := cases[i]
			e.t = t
			for _, p := range elsewhere {
				for range 2 { // the second comes from memory
					want(t, 200)(p.me(e.victim.Access))
					want(t, 200)(p.me(e.other.Access))
					want(t, 200)(p.me(bystander.Access))
				}
			}
			// The row before ended as the feed was read; each row begins at another point between two reads.
			time.Sleep(time.Duration(i) * 500 * time.Millisecond / time.Duration(len(endings)))
			row.end(e)
			acknowledged := time.Now()
			want(t, 401)(elsewhere[0].refresh(e.victim.Refresh))
			took := untilEnded(t, elsewhere, e.victim.Access, row.reason, acknowledged)
			if longest = max(longest, took); took > time.Second {
				t.Errorf("refused after %v, want a second at most", took)
			}
			for _, p := range elsewhere {
				want(t, 200)(p.me(bystander.Access))
				want(t, map[bool]int{true: 401, false: 200}[row.both])(p.me(e.other.Access))
			}
		})
	}
	t.Logf("the longest of %d took %v", len(endings), longest)
}

// untilEnded returns how long after start the last replica began to refuse the token.
func untilEnded(t *testing.T, replicas []*process, access, reason string, start time.Time) (took time.Duration) {
	t.Helper()
	for _, p := range replicas {
		eventually(t, "a replica refuses the token", func() bool {
			r, err := p.me(access)
			if err != nil {
				t.Fatal(err)
			}
			if r.status == 200 {
				return false
			}
			if r.status != 401 || r.Code != "session_ended" || r.Reason != reason {
				t.Fatalf("status %d, %s, reason %q, want 401, session_ended, %q", r.status, r.Code, r.Reason, reason)
			}
			return true
		})
		took = time.Since(start)
	}
	return took
}

// failures sends wrong passwords from everywhere to the replicas in turn, and returns how many were looked at before
// the first was turned away.
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
	t.Fatal("100 wrong passwords, and none was turned away")
	return 0
}

// TestReplicasShareFailures does not run in parallel: the first wait is a second, in which all of it must happen.
func TestReplicasShareFailures(t *testing.T) {
	const allowed = models.FreeTries + 1 // from this one on each costs a wait
	url, all := startReplicas(t, 3)
	a, b, c := all[0], all[1], all[2]
	for _, row := range []struct {
		name     string
		replicas []*process
	}{
		{"one", []*process{a}}, {"two", []*process{a, b}}, {"three", all},
	} {
		t.Run(row.name, func(t *testing.T) {
			if n := failures(t, "nobody"+row.name, row.replicas...); n != allowed {
				t.Errorf("%d passwords were looked at, want %d", n, allowed)
			}
		})
	}
	t.Run("at the same time", func(t *testing.T) {
		var lookedAt atomic.Int64
		var wg sync.WaitGroup
		for i := range 30 {
			wg.Go(func() {
				switch r, err := all[i%3].loginAs("crowd", "wrong"); {
				case err != nil || r.status != 401 && r.status != 429:
					t.Errorf("%+v, %v", r, err)
				case r.status == 401:
					lookedAt.Add(1)
				}
			})
		}
		if wg.Wait(); lookedAt.Load() != allowed {
			t.Errorf("%d passwords were looked at, want %d", lookedAt.Load(), allowed)
		}
	})
	t.Run("a success elsewhere", func(t *testing.T) {
		addUsers(t, url, "ada")
		for _, p := range []*process{a, b, a, b} {
			want(t, 401)(p.loginAs("ada", "wrong"))
		}
		want(t, 200)(c.loginAs("ada", replicaPassword))
		if n := failures(t, "ada", all...); n != allowed {
			t.Errorf("%d passwords were looked at, want %d", n, allowed)
		}
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

// TestReplicasShareAnAddress: an address has 100 logins at once, and one more each 150 ms, however many replicas there
// are. They are for a name that must wait for an hour, which costs no hash: on a slow
// machine the logins would else take as long as the address needs to regain them.
func TestReplicasShareAnAddress(t *testing.T) {
	t.Parallel()
	const burst, interval, address = 100, 150 * time.Millisecond, "192.0.2.9"
	url, all := startReplicas(t, 3)
	want(t, 401)(all[0].loginAs("nobody", "wrong"))
	number(t, url, `UPDATE login_failures SET tries = 20, next_at = next_at + 3600000 RETURNING tries`)
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

// TestReplicasRefreshOneTokenAtOnce is what a client does whose windows wake up together.
func TestReplicasRefreshOneTokenAtOnce(t *testing.T) {
	t.Parallel()
	const times = 50
	url, all := startReplicas(t, 3)
	session := want(t, 200)(all[0].login())
	id := sessionOf(t, session.Access)
	answers := make([]reply, times)
	errs := make([]error, times)
	release := holdSession(t, url, id) // so that none is done before the others have begun
	var wg sync.WaitGroup
	for i := range times {
		wg.Go(func() { answers[i], errs[i] = all[i%3].refresh(session.Refresh) })
	}
	eventually(t, "all replicas wait for the session", func() bool {
		return number(t, url, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) >= 12
	})
	release()
	wg.Wait()
	for i, r := range answers {
		want(t, 200)(r, errs[i])
		if r.Refresh != answers[0].Refresh {
			t.Fatalf("two successors: %s and %s", answers[0].Refresh, r.Refresh)
		}
		if got := sessionOf(t, r.Access); got != id {
			t.Fatalf("session %s became %s", id, got)
		}
		want(t, 200)(all[(i+1)%3].me(r.Access))
	}
	if n := number(t, url, `SELECT refresh_count FROM sessions WHERE id = $1`, id); n != 1 {
		t.Errorf("the session was refreshed %d times, want once", n)
	}
	next := want(t, 200)(all[0].refresh(answers[0].Refresh))
	for _, p := range all { // each says the same, and works on
		if r := want(t, 200)(p.refresh(answers[0].Refresh)); r.Refresh != next.Refresh {
			t.Errorf("two successors: %s and %s", next.Refresh, r.Refresh)
		}
		want(t, 200)(p.me(next.Access))
	}
	if n := number(t, url, `SELECT count(*) FROM sessions WHERE ended_at IS NULL`); n != 1 {
		t.Errorf("%d sessions live, want 1", n)
	}
}

// holdSession lets nobody change the session until release is called.
func holdSession(t *testing.T, url, id string) (release func()) {
	t.Helper()
	connection := pgtest.Connect(t, url)
	pgtest.Execute(t, connection, `BEGIN`)
	pgtest.Execute(t, connection, `SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE`, id)
	return func() {
		if err := connection.Close(t.Context()); err != nil { // which ends the transaction
			t.Error(err)
		}
	}
}

// TestReplicasRefreshInTurn hops from one replica to the next.
func TestReplicasRefreshInTurn(t *testing.T) {
	t.Parallel()
	const times = 50
	url, all := startReplicas(t, 3)
	r := want(t, 200)(all[0].login())
	id := sessionOf(t, r.Access)
	for i := range times {
		r = want(t, 200)(all[i%3].refresh(r.Refresh))
		if got := want(t, 200)(all[(i+1)%3].me(r.Access)).SessionID; got != id {
			t.Fatalf("session %s became %s", id, got)
		}
	}
	if n := number(t, url, `SELECT refresh_count FROM sessions WHERE id = $1 AND ended_at IS NULL`, id); n != times {
		t.Errorf("the session was refreshed %d times, want %d", n, times)
	}
}

// newKey takes the place of testKey.
const newKey = "Zr8dVq3NwYb6KtXj1PfLm9ChRs5GuAe2"

func keys(all ...string) string { return "SHERPA_SECRET_KEY=" + strings.Join(all, ",") }

// TestKeyMustBeKnownBeforeItSigns is why a key changes in three steps.
func TestKeyMustBeKnownBeforeItSigns(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		a, b   string // a signs, b verifies
		status int
		code   string
	}{
		{"added last on a", keys(testKey, newKey), keys(testKey), 200, ""},
		{"put first on a, unknown to b", keys(newKey, testKey), keys(testKey), 401, "token_invalid"},
		{"put first on a, last on b", keys(newKey, testKey), keys(testKey, newKey), 200, ""},
		{"removed on a, still known to b", keys(newKey), keys(newKey, testKey), 200, ""},
		{"removed on b, still signing on a", keys(testKey, newKey), keys(newKey), 401, "token_invalid"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			a, b := startReplica(t, url, row.a), startReplica(t, url, row.b)
			session := want(t, 200)(a.login())
			if r := want(t, row.status)(b.me(session.Access)); r.Code != row.code {
				t.Errorf("code %s, want %s", r.Code, row.code)
			}
			want(t, 200)(a.me(session.Access))
		})
	}
}

// member is a replica that requests may go to: they hold its lock for reading.
type member struct {
	*process
	rotation sync.RWMutex
	answered [kinds]atomic.Int64
}

// restart lets no request come until the replica has new keys.
func (m *member) restart(t *testing.T, setting string) {
	t.Helper()
	m.rotation.Lock()
	defer m.rotation.Unlock()
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	m.env = append(m.env, setting)
	m.start()
	for kind := range m.answered {
		m.answered[kind].Store(0)
	}
}

// The requests of a load.
const (
	kindLogin = iota
	kindRefresh
	kindGet
	kinds
)

// load is what clients do all the time: log in, refresh, and ask with access tokens of every age.
type load struct {
	members []*member
	stopped atomic.Bool
	clients sync.WaitGroup

	mu     sync.Mutex
	tokens []accessToken
	total  int
	faults []string
}

type accessToken struct {
	text      string
	expiresAt int64
}

func (a accessToken) expired() bool { return time.Now().Unix() >= a.expiresAt }

// startLoad starts clients that work until stop.
func startLoad(members []*member) *load {
	l := &load{members: members}
	for range 4 {
		l.clients.Go(l.client)
	}
	return l
}

func (l *load) stop() {
	l.stopped.Store(true)
	l.clients.Wait()
}

// client refreshes one session all the time, and others a few times.
func (l *load) client() {
	lasting := l.send(kindLogin, (*process).login)
	var brief reply
	for i := 0; !l.stopped.Load(); i++ {
		switch i % 10 {
		case 0:
			brief = l.send(kindLogin, (*process).login)
		case 1, 2:
			brief = l.send(kindRefresh, func(p *process) (reply, error) { return p.refresh(brief.Refresh) })
		case 3:
			lasting = l.send(kindRefresh, func(p *process) (reply, error) { return p.refresh(lasting.Refresh) })
		default:
			token := l.draw()
			l.send(kindGet, func(p *process) (reply, error) {
				r, err := p.me(token.text)
				if r.Code == "token_expired" && token.expired() { // on its way
					r.status = 200
				}
				return r, err
			})
		}
		time.Sleep(5 * time.Millisecond) // other tests want the machine, too
	}
}

// send goes to any replica that is in the rotation.
func (l *load) send(kind int, ask func(*process) (reply, error)) reply {
	i := rand.N(len(l.members))
	for !l.members[i].rotation.TryRLock() {
		i = (i + 1) % len(l.members)
	}
	m := l.members[i]
	defer m.rotation.RUnlock()
	r, err := ask(m.process)
	m.answered[kind].Add(1)
	l.note(kind, r, err)
	return r
}

func (l *load) note(kind int, r reply, err error) {
	var claims security.Claims
	if err == nil && r.Access != "" {
		claims, err = readClaims(r.Access)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total++
	switch {
	case err != nil || r.status != 200:
		l.faults = append(l.faults, fmt.Sprintf("%s: %d %s %s %v", [kinds]string{"login", "refresh", "get"}[kind], r.status, r.Code, r.Reason, err))
	case r.Access != "":
		l.tokens = append(l.tokens, accessToken{r.Access, claims.ExpiresAt})
	}
}

// draw returns a token of any age, and forgets those that have expired.
func (l *load) draw() accessToken {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tokens = slices.DeleteFunc(l.tokens, accessToken.expired)
	if len(l.tokens) == 0 { // after faults
		return accessToken{}
	}
	return l.tokens[rand.N(len(l.tokens))]
}

// TestRollingChangeOfKeys follows the README: the new key goes last, then first, then it is the only one, and each time
// the replicas restart one after the other.
func TestRollingChangeOfKeys(t *testing.T) {
	t.Parallel()
	_, replicas := startReplicas(t, 2, "SHERPA_ACCESS_TTL=10s", "SHERPA_ACCESS_LOG=false", keys(testKey))
	members := []*member{{process: replicas[0]}, {process: replicas[1]}}
	a, b := replicas[0], replicas[1]
	kept := want(t, 200)(a.login()) // nobody refreshes it before the old key is gone
	l := startLoad(members)
	t.Cleanup(l.stop)
	roll := func(setting string) {
		t.Helper()
		for _, m := range members {
			m.restart(t, setting)
			eventually(t, "the replica has answered requests of every kind", func() bool {
				return m.answered[kindLogin].Load() >= 2 && m.answered[kindRefresh].Load() >= 6 && m.answered[kindGet].Load() >= 12
			})
		}
	}
	roll(keys(testKey, newKey))
	roll(keys(newKey, testKey))

	last := want(t, 200)(b.login()) // later than all that the old key has signed
	claims, err := readClaims(last.Access)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the tokens of the old key have expired", accessToken{last.Access, claims.ExpiresAt}.expired)
	refused := func(code string) {
		t.Helper()
		for _, p := range replicas {
			if r := want(t, 401)(p.me(kept.Access)); r.Code != code {
				t.Errorf("a token of the old key: %s, want %s", r.Code, code)
			}
		}
	}
	refused("token_expired")
	roll(keys(newKey))
	refused("token_invalid")
	if r := want(t, 401)(b.refresh(kept.Refresh)); r.Code != "refresh_token_invalid" {
		t.Errorf("a refresh token of the old key: %s", r.Code)
	}

	l.stop()
	t.Logf("%d requests in %d restarts", l.total, 3*len(members))
	if len(l.faults) > 0 {
		t.Errorf("%d of %d requests failed, first:\n%s", len(l.faults), l.total, strings.Join(l.faults[:min(len(l.faults), 10)], "\n"))
	}
}

// TestReplicasStartTogether is the first start of a deployment: nobody has made the schema yet, nor a user.
func TestReplicasStartTogether(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, setting, says, username string }{
		{"demo", "SHERPA_DEMO=true", "DEMO: created the user sherpa", security.DemoUsername},
		{"administrator", "SHERPA_DEMO=false", "Created the first user.", security.AdminUsername},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			var all []*process
			for range 5 {
				all = append(all, newReplica(t, url, row.setting))
			}
			for _, p := range all {
				p.launch()
			}
			password := security.DemoPassword
			said := 0
			for _, p := range all {
				eventually(t, "the replica is ready", func() bool {
					r, err := p.ask("GET", "/readyz", "", "")
					return err == nil && r.status == 200
				})
				said += strings.Count(p.log.String(), row.says)
				if found := regexp.MustCompile(`password: (\S+)`).FindStringSubmatch(p.log.String()); found != nil {
					password = found[1]
				}
			}
			if said != 1 {
				t.Errorf("%d replicas say %q, want 1", said, row.says)
			}
			for _, p := range all {
				want(t, 200)(p.loginAs(row.username, password))
			}
			if n := number(t, url, `SELECT count(*) FROM users`); n != 1 {
				t.Errorf("there are %d users, want 1", n)
			}
			if n := number(t, url, `SELECT max(n) FROM (SELECT count(*) AS n FROM sherpa_db_version GROUP BY version_id) AS v`); n != 1 {
				t.Errorf("a migration was carried out %d times", n)
			}
		})
	}
}
