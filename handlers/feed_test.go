package handlers_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/handlers"
	"sherpa/models"
)

// news is the answer of the feed.
type news struct {
	Cursor        string
	CompleteSince time.Time `json:"complete_since"`
	Reset         bool
	Revocations   []revocation
}

type revocation struct {
	Sid          string
	All          bool
	IssuedBefore time.Time `json:"issued_before"`
	At           time.Time
	Ended        bool
	Roles        []string
}

// verifier is a program that follows the feed.
type verifier struct {
	*server
	token string
}

func (s *server) newVerifier() verifier {
	s.t.Helper()
	s.addUser("vera", "verifies for others", "verifier")
	return verifier{s, s.login("vera", "verifies for others")}
}

func (v verifier) ask(query string) answer {
	v.t.Helper()
	return v.do("GET", "/auth/revocations"+query, "", "Authorization: Bearer "+v.token)
}

func (v verifier) read(query string) (n news) {
	v.t.Helper()
	v.ask(query).decode(v.t, &n)
	return n
}

// waitFor waits until so many requests wait for news.
func (s *server) waitFor(count int) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); s.service.Waiting() != count; {
		if time.Now().After(deadline) {
			s.t.Fatalf("%d requests wait, want %d", s.service.Waiting(), count)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestFeedTellsWhatHappened(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	first := v.read("")
	if !first.Reset || len(first.Revocations) != 0 {
		t.Errorf("at first: %+v", first)
	}
	mine, other := s.open(), s.open()
	s.logout("access token", "", mine)
	if _, err := s.service.AddRole(t.Context(), s.user.ID, "guide"); err != nil {
		t.Fatal(err)
	}
	s.poll()
	second := v.read("?after=" + first.Cursor)
	got := map[string]revocation{}
	for _, r := range second.Revocations {
		got[r.Sid] = revocation{All: r.All, IssuedBefore: r.IssuedBefore, Ended: r.Ended, Roles: r.Roles}
		if age := time.Since(r.At); age < -time.Second || age > time.Minute {
			t.Errorf("%s happened %v ago", r.Sid, age)
		}
	}
	want := map[string]revocation{
		sidOf(t, mine): {Ended: true}, sidOf(t, other): {Roles: []string{"guide"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || second.Reset {
		t.Errorf("reset %v %s", second.Reset, diff)
	}
	if again := v.read("?after=" + second.Cursor); again.Reset || len(again.Revocations) != 0 {
		t.Errorf("the same again: %+v", again)
	}
	if whole := v.read(""); !whole.Reset || len(whole.Revocations) != len(want) {
		t.Errorf("without a cursor: %+v", whole)
	}
}

func sidOf(t *testing.T, all tokens) string {
	t.Helper()
	sid, _ := claims(t, all.AccessToken)["sid"].(string)
	return sid
}

// TestFeedNamesAMemberThatMatters: no roles are not the same as the roles of the token.
func TestFeedNamesAMemberThatMatters(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	s.open()
	for _, change := range []func(context.Context, int64, string) (models.User, error){
		s.service.AddRole, s.service.RemoveRole,
	} {
		if _, err := change(t.Context(), s.user.ID, "guide"); err != nil {
			t.Fatal(err)
		}
	}
	s.poll()
	if a := v.ask(""); !strings.Contains(a.body, `"ended":false,"roles":[]`) {
		t.Error(a.body)
	}
}

func TestFeedAfterTheEndOfAllSessions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	if _, err := s.service.EndAllSessions(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.poll()
	v.token = s.login("vera", "verifies for others") // its own session has ended, too
	all := v.read("").Revocations
	if len(all) != 1 || !all[0].All || !all[0].Ended || all[0].Sid != "" {
		t.Fatalf("%+v", all)
	}
	if margin := all[0].IssuedBefore.Sub(all[0].At); margin != 10*time.Second { // for clocks
		t.Errorf("tokens are refused until %v after", margin)
	}
}

func TestFeedRefuses(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	for _, query := range []string{
		"?after=", "?after=x", "?after=1.2", "?after=1.0.A", "?wait=", "?wait=-1", "?wait=26", "?wait=1.5",
		"?wait=1s", "?wait=99999999999999999999", "?after=1.0.0&wait=x",
	} {
		if a := v.ask(query); a.status != 400 || a.problem(t).Code != "invalid_request" {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
	for _, query := range []string{"", "?wait=0", "?wait=25", "?after=1.0.0"} {
		if n := v.read(query); !n.Reset {
			t.Errorf("%s: %+v", query, n)
		}
	}
}

func TestFeedWaits(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	mine := s.open()
	cursor := v.read("").Cursor
	waited := make(chan answer)
	go func() { waited <- v.ask("?wait=25&after=" + cursor) }()
	s.waitFor(1)
	s.poll() // finds nothing
	select {
	case a := <-waited:
		t.Errorf("an answer without news: %s", a.body)
	default:
	}
	s.logout("access token", "", mine)
	s.poll()
	var n news
	(<-waited).decode(t, &n)
	if len(n.Revocations) != 1 || n.Revocations[0].Sid != sidOf(t, mine) || n.Reset {
		t.Errorf("%+v", n)
	}
	s.waitFor(0)
}

// TestFeedWithARunningService: the change of a replica reaches those who wait there without a poll by hand.
func TestFeedWithARunningService(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	mine := s.open()
	cursor := v.read("").Cursor
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { s.service.Run(ctx); close(ran) }()
	defer func() { cancel(); <-ran }()
	waited := make(chan answer)
	go func() { waited <- v.ask("?wait=25&after=" + cursor) }()
	s.waitFor(1)
	s.logout("access token", "", mine)
	if a := <-waited; !strings.Contains(a.body, sidOf(t, mine)) {
		t.Error(a.body)
	}
}

func TestFeedCursorsWorkOnOtherReplicas(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	replica := verifier{newServerOn(t, s, signingKey), v.token}
	mine := s.open()
	s.logout("access token", "", mine)
	s.poll()
	replica.poll()
	cursor := v.read("").Cursor
	replica.poll() // later than the cursor
	if n := replica.read("?after=" + cursor); n.Reset || len(n.Revocations) != 0 {
		t.Errorf("nothing is new: %+v", n)
	}
	other := s.open()
	s.logout("access token", "", other)
	replica.poll()
	n := replica.read("?after=" + cursor)
	if n.Reset || len(n.Revocations) != 1 || n.Revocations[0].Sid != sidOf(t, other) {
		t.Errorf("one is new: %+v", n)
	}
	s.execute(`DELETE FROM revocations`) // as a backup would that was restored
	restored := verifier{newServerOn(t, s, signingKey), v.token}
	if n := restored.read("?after=" + n.Cursor); !n.Reset || len(n.Revocations) != 0 {
		t.Errorf("an older state of the database: %+v", n)
	}
}

func TestFeedWhenTheServerStops(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	s := newServer(t, func(c *handlers.Config) { c.Stopping = stopping })
	v := s.newVerifier()
	mine := s.open()
	cursor := v.read("").Cursor
	waited := make(chan answer)
	go func() { waited <- v.ask("?wait=25&after=" + cursor) }()
	s.waitFor(1)
	close(stopping)
	for _, a := range []answer{<-waited, v.ask("?wait=25&after=" + cursor)} {
		var n news
		if a.decode(t, &n); n.Reset || len(n.Revocations) != 0 {
			t.Errorf("%+v", n)
		}
	}
	s.logout("access token", "", mine)
	s.poll()
	if n := v.read("?wait=25&after=" + cursor); len(n.Revocations) != 1 {
		t.Errorf("with news: %+v", n)
	}
}

// TestFeedThatIsNotReadSaysSo: "no news" would be a lie.
func TestFeedThatIsNotReadSaysSo(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	cursor := v.read("").Cursor
	waited := make(chan answer)
	go func() { waited <- v.ask("?wait=25&after=" + cursor) }()
	s.waitFor(1)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(2 * time.Second)
	if err := s.service.Poll(t.Context()); err == nil {
		t.Fatal("the feed of a closed database was read")
	}
	for _, a := range []answer{<-waited, v.ask("?after=" + cursor), v.ask("")} {
		if a.status != 503 || a.problem(t).Code != "unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

// TestFeedAfterAnOutage: polls have missed what happened meanwhile.
func TestFeedAfterAnOutage(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	v.read("") // from here on it is kept in memory
	mine := s.open()
	s.logout("access token", "", mine)
	s.execute(`UPDATE revocations SET revoked_at = revoked_at - 35000`) // further than a poll looks back
	s.clock.Add(31 * time.Second)
	s.poll()
	if n := v.read(""); len(n.Revocations) != 1 || n.Revocations[0].Sid != sidOf(t, mine) {
		t.Errorf("%+v", n)
	}
}

// TestFeedLimitsWaits, so that those who wait leave connections to others.
func TestFeedLimitsWaits(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.service.Settings.MaxWaiting = 1
	v := s.newVerifier()
	mine := s.open()
	cursor := v.read("").Cursor
	waited := make(chan answer)
	go func() { waited <- v.ask("?wait=25&after=" + cursor) }()
	s.waitFor(1)
	if n := v.read("?wait=25&after=" + cursor); n.Reset || len(n.Revocations) != 0 {
		t.Errorf("the second one: %+v", n)
	}
	s.logout("access token", "", mine)
	s.poll()
	if a := <-waited; !strings.Contains(a.body, sidOf(t, mine)) {
		t.Error(a.body)
	}
}

// TestFeedAnswersAreNotMixedUp, although those that are the same share a body.
func TestFeedAnswersAreNotMixedUp(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	v := s.newVerifier()
	first := v.read("").Cursor
	bodies := map[string]string{}
	for _, mine := range []tokens{s.open(), s.open()} {
		s.logout("access token", "", mine)
		s.poll()
		latest := v.read("").Cursor
		for _, query := range []string{"", "?after=" + first, "?after=" + latest} {
			bodies[query+" after "+latest] = v.ask(query).body
			if again := v.ask(query).body; again != bodies[query+" after "+latest] {
				t.Errorf("%s: %s, then %s", query, bodies[query+" after "+latest], again)
			}
		}
	}
	seen := map[string]string{}
	for query, body := range bodies {
		if other, ok := seen[body]; ok {
			t.Errorf("%q and %q get the same: %s", query, other, body)
		}
		seen[body] = query
	}
}

// TestThousandVerifiersWait: they share the polls of this replica, and take little memory, also when many
// sessions have just ended. It does not run in parallel, because it measures.
func TestThousandVerifiersWait(t *testing.T) {
	const count, polls, limit = 1000, 10, 100 << 20
	s := newServer(t)
	v := s.newVerifier()
	mine := s.open()
	s.execute(fmt.Sprintf(`INSERT INTO revocations (revoked_at, session_id)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
		SELECT CAST(%d AS BIGINT) - i, 'ended ' || i FROM n`, time.Now().UnixMilli()))
	s.poll()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	srv := handlers.NewServer(s.router, s.service.Logger, 2*count)
	go func() { _ = srv.Serve(listener) }()
	t.Cleanup(func() { _ = srv.Close() })
	first := v.read("")
	if len(first.Revocations) != 1000 {
		t.Fatalf("%d entries", len(first.Revocations))
	}
	cursor := first.Cursor
	var statements atomic.Int64
	var others atomic.Value
	s.store.Observe(func(_ context.Context, operation string, _ time.Duration, _ bool) {
		if operation != "read revocations" {
			others.Store(operation)
		}
		statements.Add(1)
	})
	before := memoryInUse()
	conns := make([]net.Conn, 0, count)
	for range count {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "GET /auth/revocations?wait=25&after=%s HTTP/1.1\r\nHost: x\r\n"+
			"Authorization: Bearer %s\r\n\r\n", cursor, v.token)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	s.waitFor(count)
	for range polls {
		s.poll()
	}
	used := memoryInUse() - before
	t.Logf("%d verifiers that wait take %d KiB", count, used>>10)
	if used > limit {
		t.Errorf("that is more than %d KiB", limit>>10)
	}
	if n := statements.Load(); n != polls || others.Load() != nil {
		t.Errorf("%d statements for %d polls, others: %v", n, polls, others.Load())
	}
	s.logout("access token", "", mine)
	s.poll()
	for _, conn := range conns {
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		var n news
		readAnswer(t, response).decode(t, &n)
		if len(n.Revocations) != 1 || n.Revocations[0].Sid != sidOf(t, mine) {
			t.Fatalf("%+v", n)
		}
	}
}

// memoryInUse is what objects and stacks take.
func memoryInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}
