package security

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sherpa/models"
)

// sessions are one that logs out, another of the same user, and one of somebody else.
type sessions struct{ mine, second, other Login }

func (b *bench) threeSessions() sessions {
	b.t.Helper()
	b.addUser("ada")
	b.addUser("bob")
	s := sessions{b.logIn("ada"), b.logIn("ada"), b.logIn("bob")}
	for _, login := range []Login{s.mine, s.second, s.other} {
		b.wantAlive(login)
	}
	return s
}

func (b *bench) wantLogouts(s sessions, mine, second bool) {
	b.t.Helper()
	for login, ended := range map[*Login]bool{&s.mine: mine, &s.second: second, &s.other: false} {
		if ended {
			b.wantEnded(*login, models.EndedByLogout)
		} else {
			b.wantAlive(*login)
		}
	}
}

func TestLogoutScopes(t *testing.T) {
	t.Parallel()
	for scope, ends := range map[Scope]struct{ mine, second bool }{
		ScopeLocal: {true, false}, ScopeOthers: {false, true}, ScopeAll: {true, true},
	} {
		b := newBench(t)
		s := b.threeSessions()
		if err := b.LogOutByRefreshToken(t.Context(), s.mine.RefreshToken, scope); err != nil {
			t.Errorf("%s: %v", scope, err)
		}
		b.wantLogouts(s, ends.mine, ends.second)
	}
}

// TestLogoutFromAnEndedSession has no power over sessions that live, and must not claim that it ended them.
func TestLogoutFromAnEndedSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.threeSessions()
	logOut := func(scope Scope) error {
		return b.LogOutByRefreshToken(t.Context(), s.mine.RefreshToken, scope)
	}
	for range 2 { // sent twice
		if err := logOut(ScopeLocal); err != nil {
			t.Error(err)
		}
	}
	wantCode(t, logOut(ScopeAll), SessionEnded)
	b.wantAlive(s.second)
	if err := b.LogOutByRefreshToken(t.Context(), s.second.RefreshToken, ScopeLocal); err != nil {
		t.Fatal(err)
	}
	if err := logOut(ScopeAll); err != nil { // nothing is left to end
		t.Error(err)
	}
	b.wantAlive(s.other)
}

func TestLogoutByAnOldRefreshToken(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		scope  Scope
		after  time.Duration
		code   Code
		reason models.EndedReason // of the session
		second bool               // the other session ends too
	}{
		{"its own session", ScopeLocal, time.Minute, "", models.EndedByLogout, false},
		{"all, in time", ScopeAll, 0, "", models.EndedByLogout, true},
		{"all, too late", ScopeAll, time.Minute, SessionEnded, models.EndedByReuse, false},
	} {
		b := newBench(t)
		s := b.threeSessions()
		if _, err := b.Refresh(t.Context(), s.mine.RefreshToken); err != nil {
			t.Fatal(err)
		}
		b.clock.Add(tt.after)
		err := b.LogOutByRefreshToken(t.Context(), s.mine.RefreshToken, tt.scope)
		if (err != nil) != (tt.code != "") || err != nil && !HasCode(err, tt.code) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err := b.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.wantEnded(s.mine, tt.reason)
		if tt.second {
			b.wantEnded(s.second, models.EndedByLogout)
		} else {
			b.wantAlive(s.second)
		}
	}
}

func TestEndOwnSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.threeSessions()
	principal := *s.mine.Principal()
	for _, id := range []string{s.other.Session.ID, "nobody's", ""} {
		if err := b.EndOwnSession(t.Context(), principal, id); !errors.Is(err, models.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
	if err := b.EndOwnSession(t.Context(), principal, s.second.Session.ID); err != nil {
		t.Fatal(err)
	}
	b.wantEnded(s.second, models.EndedByUser)
	b.wantAlive(s.mine)
	b.wantAlive(s.other)
}

func TestOperatorEndsASession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.threeSessions()
	for i, want := range []bool{true, false} {
		if ended, err := b.EndSession(t.Context(), s.mine.Session.ID); ended != want || err != nil {
			t.Errorf("call %d: %v, %v", i, ended, err)
		}
	}
	b.wantEnded(s.mine, models.EndedByOperator)
	if _, err := b.EndSession(t.Context(), "nobody's"); !errors.Is(err, models.ErrNotFound) {
		t.Error(err)
	}
	var live []string
	for session, err := range b.LiveSessions(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		live = append(live, session.Username)
	}
	if len(live) != 2 {
		t.Errorf("%v live", live)
	}
}

func TestOperatorEndsAllSessions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.threeSessions()
	for i, want := range []int{3, 0} {
		if ended, err := b.EndAllSessions(t.Context()); ended != want || err != nil {
			t.Errorf("call %d: %d, want %d; %v", i, ended, want, err)
		}
	}
	for _, login := range []Login{s.mine, s.second, s.other} {
		b.wantEnded(login, models.EndedByOperator)
		if _, err := b.Refresh(t.Context(), login.RefreshToken); !HasCode(err, SessionEnded) {
			t.Errorf("refresh: %v", err)
		}
	}
	b.wantAlive(b.logIn("bob")) // everybody may log in again
}

// TestOtherReplicasForgetAllSessions: they learn it from the feed.
func TestOtherReplicasForgetAllSessions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.threeSessions()
	if _, err := b.Store.EndAllSessions(t.Context(), models.EndedByOperator, b.Now()); err != nil {
		t.Fatal(err)
	}
	b.wantAlive(s.mine) // from the cache: otherwise this test would show nothing
	if err := b.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, login := range []Login{s.mine, s.second, s.other} {
		b.wantEnded(login, models.EndedByOperator)
	}
}

func TestSessionsTellWhyTheyEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.threeSessions()
	if err := b.EndOwnSession(t.Context(), *s.mine.Principal(), s.second.Session.ID); err != nil {
		t.Fatal(err)
	}
	b.clock.Add(2 * time.Hour)
	all, err := b.Sessions(t.Context(), *s.mine.Principal())
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	got := map[string]models.EndedReason{}
	for _, session := range all {
		got[session.ID] = session.EndedReason
	}
	if got[s.mine.Session.ID] != models.EndedByIdle || got[s.second.Session.ID] != models.EndedByUser {
		t.Errorf("%v", got)
	}
}

// TestRevocationOvertakesALoad: a request that read the session just before its end must not put it back into
// the cache.
func TestRevocationOvertakesALoad(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(context.Context, *bench, Login) error
	}{
		{"of one session", func(ctx context.Context, b *bench, login Login) error {
			return b.endByScope(ctx, login.User.ID, login.Session.ID, ScopeLocal)
		}},
		{"of all sessions", func(ctx context.Context, b *bench, _ Login) error {
			_, err := b.EndAllSessions(ctx)
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.addUser("ada")
			for range 50 {
				overtakeLoads(t, b, b.logIn("ada"), tt.end)
			}
		})
	}
}

func overtakeLoads(t *testing.T, b *bench, login Login, end func(context.Context, *bench, Login) error) {
	t.Helper()
	var ended atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				gone := ended.Load()
				_, err := b.live(t.Context(), login.Session.ID, b.Now(), (*Service).loadSession)
				if gone && err == nil {
					t.Error("a session passed after it had ended")
					return
				}
			}
		})
	}
	wg.Go(func() {
		if err := end(t.Context(), b, login); err != nil {
			t.Error(err)
		}
		ended.Store(true)
	})
	wg.Wait()
	_, err := b.live(t.Context(), login.Session.ID, b.Now(), (*Service).loadSession)
	if !HasCode(err, SessionEnded) {
		t.Fatal(err)
	}
}

func TestCacheSavesTheDatabase(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	login := b.logIn("ada")
	before := b.CacheStats()
	for range 10 {
		b.wantAlive(login)
	}
	after := b.CacheStats()
	if after.Loads != before.Loads+1 || after.Hits != before.Hits+9 || after.Sessions != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	b.clock.Add(59 * time.Minute)
	if err := b.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	next, err := b.Refresh(t.Context(), login.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Add(2 * time.Minute) // the cached end of the session is over, the real one is not
	b.wantAlive(next)
}
