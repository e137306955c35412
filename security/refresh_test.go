package security

import (
	"errors"
	"testing"
	"time"

	"sherpa/models"
	"sherpa/security/token"
)

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada", "guide")
	login := b.logIn("ada")
	seen := map[string]bool{login.RefreshToken: true}
	for range 3 {
		b.clock.Add(time.Minute)
		next, err := b.Refresh(t.Context(), login.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		if seen[next.RefreshToken] || next.Session.ID != login.Session.ID || next.User.Username != "ada" {
			t.Errorf("%+v", next)
		}
		if len(next.User.Roles) != 1 || next.RefreshExpiresIn() != time.Hour {
			t.Errorf("%+v, expires in %v", next.User, next.RefreshExpiresIn())
		}
		seen[next.RefreshToken] = true
		login = next
	}
	b.wantAlive(login)
}

// TestRefreshAgain sends a token that was used before.
func TestRefreshAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		rotated  int // how often since the token was made
		after    time.Duration
		same     bool // the answer is the successor of before
		code     Code
		outlives bool // the session goes on
	}{
		{"previous, at once", 1, 0, true, "", true},
		{"previous, at the end of the grace", 1, refreshGrace, true, "", true},
		{"previous, too late", 1, refreshGrace + time.Second, false, SessionEnded, false},
		{"older, at once", 2, 0, false, SessionEnded, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.addUser("ada")
			first := b.logIn("ada")
			latest := first
			for range tt.rotated {
				var err error
				if latest, err = b.Refresh(t.Context(), latest.RefreshToken); err != nil {
					t.Fatal(err)
				}
			}
			b.wantAlive(first)
			b.clock.Add(tt.after)
			again, err := b.Refresh(t.Context(), first.RefreshToken)
			if tt.code != "" {
				wantCode(t, err, tt.code)
			} else if err != nil || (again.RefreshToken == latest.RefreshToken) != tt.same {
				t.Errorf("%+v, %v", again, err)
			}
			if tt.outlives {
				b.wantAlive(first)
			} else {
				b.wantEnded(first, models.EndedByReuse)
			}
		})
	}
}

func TestRefreshRejects(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	login := b.logIn("ada")
	other, err := token.ParseKeyRing(goodKey + "x")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"rubbish":           "x.y",
		"empty":             "",
		"other key":         other.NewRefresh(login.Session.ID, 0).String(),
		"no such session":   b.Keys().NewRefresh("nobody's", 0).String(),
		"from the future":   b.Keys().NewRefresh(login.Session.ID, 5).String(),
		"the next one, now": b.Keys().NewRefresh(login.Session.ID, 1).String(),
	} {
		_, err := b.Refresh(t.Context(), text)
		if !HasCode(err, RefreshInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		if err := b.LogOutByRefreshToken(t.Context(), text, ScopeLocal); !HasCode(err, RefreshInvalid) {
			t.Errorf("%s, a logout: %v", name, err)
		}
	}
	b.wantAlive(login)
}

func TestRefreshOfAnEndedSession(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end    func(*bench, Login)
		reason models.EndedReason
	}{
		"logout": {func(b *bench, l Login) {
			if err := b.LogOutByRefreshToken(b.t.Context(), l.RefreshToken, ScopeLocal); err != nil {
				b.t.Fatal(err)
			}
		}, models.EndedByLogout},
		"idle": {func(b *bench, _ Login) { b.clock.Add(time.Hour) }, models.EndedByIdle},
		"age": {func(b *bench, l Login) {
			for range 6 {
				b.clock.Add(30 * time.Minute)
				if next, err := b.Refresh(b.t.Context(), l.RefreshToken); err == nil {
					l = next
				}
			}
		}, models.EndedByAge},
		"disabled": {func(b *bench, l Login) {
			if err := b.DisableUser(b.t.Context(), l.User.ID); err != nil {
				b.t.Fatal(err)
			}
		}, models.EndedByDisable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.addUser("ada")
			login := b.logIn("ada")
			tt.end(b, login)
			_, err := b.Refresh(t.Context(), login.RefreshToken)
			var known *Error
			if !errors.As(err, &known) || known.Code != SessionEnded || known.Reason != tt.reason {
				t.Errorf("%v, want %s", err, tt.reason)
			}
			b.wantEnded(login, tt.reason)
		})
	}
}

// TestRetryDuringAnOutage: whether the retry is in time is not known before the outage ends.
func TestRetryDuringAnOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	first := b.logIn("ada")
	second, err := b.Refresh(t.Context(), first.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	b.clock.Add(time.Second)
	mend := b.breakFeed()
	b.clock.Add(time.Minute)
	if _, err := b.Refresh(t.Context(), first.RefreshToken); !errors.Is(err, models.ErrUnavailable) {
		t.Errorf("during the outage: %v", err)
	}
	mend() // and no poll: the retry notices the end of the outage
	again, err := b.Refresh(t.Context(), first.RefreshToken)
	if err != nil || again.RefreshToken != second.RefreshToken {
		t.Errorf("after the outage: %v", err)
	}
}

func TestRetryAtAServiceThatStartedDuringAnOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	first := b.logIn("ada")
	if _, err := b.Refresh(t.Context(), first.RefreshToken); err != nil {
		t.Fatal(err)
	}
	b.clock.Add(20 * time.Minute)
	b.StartedDuringOutage()
	if err := b.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Refresh(t.Context(), first.RefreshToken); err != nil {
		t.Error(err)
	}
}

// TestRetryAfterARemovedKey: nobody can make the same successor again, so the session ends.
func TestRetryAfterARemovedKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	first := b.logIn("ada")
	both, err := token.ParseKeyRing(goodKey + "new," + goodKey)
	if err != nil {
		t.Fatal(err)
	}
	old := *b.Keys()
	b.useKeys(both)
	if _, err := b.Refresh(t.Context(), first.RefreshToken); err != nil { // signed with the new key
		t.Fatal(err)
	}
	b.useKeys(old)
	_, err = b.Refresh(t.Context(), first.RefreshToken)
	wantCode(t, err, SessionEnded)
	b.wantEnded(first, models.EndedByReuse)
}
