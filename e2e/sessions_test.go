package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sherpa/command"
	"sherpa/internal/pgtest"
)

const replicaPassword = "a long walk to base camp"

// addUsers creates users with replicaPassword.
func addUsers(t *testing.T, url string, names ...string) {
	t.Helper()
	env := []string{"SHERPA_DATABASE_URL=" + url}
	for _, name := range names {
		std := silent()
		std.In = strings.NewReader(replicaPassword + "\n")
		err := command.Run(t.Context(), []string{"user", "add", name}, env, command.Build{}, std)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplicasKnowASessionAtOnce waits nowhere: what one replica has answered holds on all others.
func TestReplicasKnowASessionAtOnce(t *testing.T) {
	t.Parallel()
	_, all := startReplicas(t, 3)
	everywhere := func(sessionID string, access ...string) {
		t.Helper()
		for _, token := range access {
			for _, p := range all {
				if r := want(t, 200)(p.me(token)); r.Username != "sherpa" || r.SessionID != sessionID {
					t.Fatalf("session %s of %s, want %s", r.SessionID, r.Username, sessionID)
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

// ending is a user with two sessions, which began on replica a.
type ending struct {
	t             *testing.T
	a             *process
	elsewhere     []*process
	username      string
	victim, other reply
	bystander     reply // a session of another user
}

func (e ending) ask(method, path, body, access string) {
	e.t.Helper()
	want(e.t, 204)(e.a.ask(method, path, body, access))
}

func (e ending) sherpa(args ...string) { e.a.sherpa(e.t, "the way down is longer\n", args...) }

func (e ending) useTwice() {
	next := want(e.t, 200)(e.a.refresh(e.victim.Refresh))
	want(e.t, 200)(e.a.refresh(next.Refresh))
	want(e.t, 401)(e.a.refresh(e.victim.Refresh))
}

func (e ending) newPassword() {
	body := `{"current_password":"` + replicaPassword + `","new_password":"the way down is longer"}`
	e.ask("PUT", "/auth/password", body, e.other.Access)
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
	{"logout of the others", func(e ending) {
		e.ask("POST", "/auth/logout?scope=others", "", e.other.Access)
	}, "logout", false},
	{"logout of all", func(e ending) {
		e.ask("POST", "/auth/logout?scope=all", "", e.other.Access)
	}, "logout", true},
	{"one of the list", func(e ending) {
		e.ask("DELETE", "/auth/sessions/"+sessionOf(e.t, e.victim.Access), "", e.other.Access)
	}, "ended_by_user", false},
	{"new password", ending.newPassword, "password_change", false},
	{"refresh token used twice", ending.useTwice, "refresh_reuse", false},
	{"sherpa session end", func(e ending) {
		e.sherpa("session", "end", sessionOf(e.t, e.victim.Access))
	}, "ended_by_operator", false},
	{"sherpa session end --user", func(e ending) {
		e.sherpa("session", "end", "--user", e.username)
	}, "ended_by_operator", true},
	{"sherpa user passwd", func(e ending) {
		e.sherpa("user", "passwd", e.username)
	}, "password_change", true},
	{"sherpa user disable", func(e ending) {
		e.sherpa("user", "disable", e.username)
	}, "user_disabled", true},
	{"sherpa user delete", func(e ending) { e.sherpa("user", "delete", e.username) }, "", true},
}

// TestReplicasRefuseAnEndedSession holds the second that the documentation promises. A busy machine may need
// longer, so no other test runs meanwhile. It logs the longest time of all.
func TestReplicasRefuseAnEndedSession(t *testing.T) {
	url, all := startReplicas(t, 3)
	a := all[0]
	bystander := want(t, 200)(a.login())
	names := make([]string, len(endings))
	for i := range names {
		names[i] = fmt.Sprintf("climber%d", i)
	}
	addUsers(t, url, names...)
	var mu sync.Mutex
	var longest time.Duration
	t.Run("after", func(t *testing.T) {
		for i, row := range endings {
			victim := want(t, 200)(a.loginAs(names[i], replicaPassword))
			other := want(t, 200)(a.loginAs(names[i], replicaPassword))
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				e := ending{
					t: t, a: a, elsewhere: all[1:], username: names[i],
					victim: victim, other: other, bystander: bystander,
				}
				e.begin()
				// Each row ends its session at another point between two reads of the feed.
				time.Sleep(time.Duration(i) * 500 * time.Millisecond / time.Duration(len(endings)))
				row.end(e)
				took := e.untilRefused(row.reason, row.both)
				mu.Lock()
				defer mu.Unlock()
				longest = max(longest, took)
			})
		}
	})
	t.Logf("the longest of %d took %v", len(endings), longest)
}

// begin makes the other replicas cache the sessions.
func (e ending) begin() {
	for _, p := range e.elsewhere {
		for range 2 { // the second answer comes from the cache
			want(e.t, 200)(p.me(e.victim.Access))
			want(e.t, 200)(p.me(e.other.Access))
			want(e.t, 200)(p.me(e.bystander.Access))
		}
	}
}

// untilRefused returns how long the other replicas serve the victim's session, which has just ended.
func (e ending) untilRefused(reason string, both bool) (took time.Duration) {
	acknowledged := time.Now()
	want(e.t, 401)(e.elsewhere[0].refresh(e.victim.Refresh))
	took = untilEnded(e.t, e.elsewhere, e.victim.Access, reason, acknowledged)
	if took > time.Second {
		e.t.Errorf("refused after %v, want a second at most", took)
	}
	for _, p := range e.elsewhere {
		want(e.t, 200)(p.me(e.bystander.Access))
		want(e.t, map[bool]int{true: 401, false: 200}[both])(p.me(e.other.Access))
	}
	return took
}

// untilEnded returns how long after start the last replica began to refuse the token.
func untilEnded(
	t *testing.T, replicas []*process, access, reason string, start time.Time,
) (took time.Duration) {
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
				t.Fatalf("%d %s, reason %q, want 401 session_ended, %q", r.status, r.Code, r.Reason, reason)
			}
			return true
		})
		took = time.Since(start)
	}
	return took
}

// TestTwoProcessesOnOneFile measures how long a logout takes to be seen by another process on the same SQLite
// file.
func TestTwoProcessesOnOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := startProcess(t, dir), startProcess(t, dir)
	var longest time.Duration
	for range 10 {
		session := want(t, 200)(a.login())
		want(t, 200)(b.me(session.Access))
		start := time.Now()
		want(t, 204)(a.logOut(session.Access))
		took := untilEnded(t, []*process{b}, session.Access, "logout", start)
		if longest = max(longest, took); took > 10*time.Second {
			t.Fatal("the other process did not see the logout in time")
		}
	}
	t.Logf("the longest of 10 took %v", longest)
}

// TestReplicasRefreshOneTokenAtOnce is what a client does whose windows wake up together.
func TestReplicasRefreshOneTokenAtOnce(t *testing.T) {
	t.Parallel()
	const times = 50
	url, all := startReplicas(t, 3)
	operator := pgtest.Connect(t, url)
	session := want(t, 200)(all[0].login())
	id := sessionOf(t, session.Access)
	answers := make([]reply, times)
	errs := make([]error, times)
	release := holdSession(t, url, id) // so that no request is done before the others have begun
	var wg sync.WaitGroup
	for i := range times {
		wg.Go(func() { answers[i], errs[i] = all[i%3].refresh(session.Refresh) })
	}
	eventually(t, "all replicas wait for the session", func() bool {
		return backends(t, operator, "wait_event_type = 'Lock'") >= 12
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
	wantRefreshes(t, operator, id, 1)
	next := want(t, 200)(all[0].refresh(answers[0].Refresh))
	for _, p := range all { // each gives the same successor, and works on
		if r := want(t, 200)(p.refresh(answers[0].Refresh)); r.Refresh != next.Refresh {
			t.Errorf("two successors: %s and %s", next.Refresh, r.Refresh)
		}
		want(t, 200)(p.me(next.Access))
	}
	if n := number(t, operator, `SELECT count(*) FROM sessions WHERE ended_at IS NULL`); n != 1 {
		t.Errorf("%d sessions live, want 1", n)
	}
}

// wantRefreshes checks how often a living session was refreshed.
func wantRefreshes(t *testing.T, operator *pgx.Conn, id string, want int64) {
	t.Helper()
	n := number(t, operator, `SELECT refresh_count FROM sessions WHERE id = $1 AND ended_at IS NULL`, id)
	if n != want {
		t.Errorf("the session was refreshed %d times, want %d", n, want)
	}
}

// holdSession locks the row of the session until the test calls release.
func holdSession(t *testing.T, url, id string) (release func()) {
	t.Helper()
	connection := pgtest.Connect(t, url)
	pgtest.Execute(t, connection, `BEGIN`)
	pgtest.Execute(t, connection, `SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE`, id)
	return func() { pgtest.Execute(t, connection, `COMMIT`) }
}

// TestReplicasRefreshInTurn goes from one replica to the next.
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
	wantRefreshes(t, pgtest.Connect(t, url), id, times)
}
