package security

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/models"
	"sherpa/security/password"
	"sherpa/security/token"
)

func TestLogInStartsASession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada", "guide")
	client := Client{Address: "192.0.2.7", UserAgent: strings.Repeat("é", 200) + "\xff"}
	login, err := b.LogIn(t.Context(), Credentials{"ADA", goodPassword}, client)
	if err != nil {
		t.Fatal(err)
	}
	all, err := b.Sessions(t.Context(), *login.Principal())
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	s := all[0]
	if s.UserID != ada.ID || s.Address != "192.0.2.7" || len(s.UserAgent) > maxUserAgent ||
		s.EndedReason != "" {
		t.Errorf("%+v", s)
	}
	if login.RefreshExpiresIn() != time.Hour || s.RefreshHash != token.HashRefresh(login.RefreshToken) {
		t.Errorf("%v, %+v", login.RefreshExpiresIn(), s)
	}
	b.wantAlive(login)
}

func TestRefreshTokenLivesNoLongerThanItsSession(t *testing.T) {
	t.Parallel()
	l := Login{
		At:      noon,
		Session: models.Session{IdleEndsAt: noon.Add(time.Hour), EndsAt: noon.Add(time.Minute)},
	}
	if got := l.RefreshExpiresIn(); got != time.Minute {
		t.Error(got)
	}
}

// TestLogInTellsNothing: unknown, disabled and wrong-password users get the same error after the same work.
func TestLogInTellsNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	if err := b.DisableUser(t.Context(), b.addUser("disabled").ID); err != nil {
		t.Fatal(err)
	}
	for name, given := range map[string]Credentials{
		"wrong password":      {"ada", "wrong"},
		"impossible password": {"ada", "\x00"},
		"unknown user":        {"nobody", goodPassword},
		"impossible user":     {"a b", goodPassword},
		"disabled user":       {"disabled", goodPassword},
	} {
		before := b.Hasher.Computed()
		_, err := b.LogIn(t.Context(), given, Client{Address: name})
		var known *Error
		if !errors.As(err, &known) || known.Code != InvalidCredentials || known.Fact != "" {
			t.Errorf("%s: %v", name, err)
		}
		if n := b.Hasher.Computed() - before; n != 1 {
			t.Errorf("%s: %d hashes", name, n)
		}
	}
}

func TestLogInIsThrottled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	for range models.FreeTries + 1 {
		_, err := b.LogIn(t.Context(), Credentials{"ada", "wrong"}, Client{Address: "198.51.100.1"})
		wantCode(t, err, InvalidCredentials)
	}
	before := b.Hasher.Computed()
	_, err := b.LogIn(t.Context(), Credentials{"ada", goodPassword}, Client{Address: "198.51.100.2"})
	var known *Error
	if !errors.As(err, &known) || known.Code != Throttled || known.RetryAfter != time.Second {
		t.Errorf("%v", err)
	}
	if b.Hasher.Computed() != before {
		t.Error("a throttled login cost a hash")
	}
	b.clock.Add(known.RetryAfter)
	b.logIn("ada")
}

func TestLogInUnderOverload(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	slow := password.DefaultParams()
	slow.Time *= 10 // so that no hash ends before the last login comes
	b.Hasher = password.NewHasher(slow, 1)
	results := make(chan error)
	const many = 20
	for i := range many {
		go func() {
			given := Credentials{fmt.Sprint("nobody", i), "x"}
			_, err := b.LogIn(t.Context(), given, Client{Address: "198.51.100.3"})
			results <- err
		}()
	}
	overloaded := 0
	for range many {
		if err := <-results; HasCode(err, Overloaded) {
			overloaded++
		}
	}
	if overloaded == 0 {
		t.Errorf("%d logins at a time fit into one slot and its queue", many)
	}
}

func TestAuthenticateStrengthensAnOldHash(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	b.Hasher = password.NewHasher(password.Params{MemoryKiB: 128, Time: 2, Threads: 1}, 2)
	for i, computed := range []int64{2, 3} { // the second login has nothing left to do
		user, err := b.Authenticate(t.Context(), "ada", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		stored, err := b.Store.UserByID(t.Context(), user.ID)
		if err != nil || !strings.HasPrefix(stored.PasswordHash, "$argon2id$v=19$m=128,t=2,p=1$") {
			t.Errorf("login %d: %s, %v", i, stored.PasswordHash, err)
		}
		if got := b.Hasher.Computed(); got != computed {
			t.Errorf("login %d: %d hashes computed, want %d", i, got, computed)
		}
	}
}

// TestLogInLosesAgainst: the user is changed while the password is checked, and the roles as well.
func TestLogInLosesAgainst(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(context.Context, *bench, int64) error{
		"a disable":  func(ctx context.Context, b *bench, id int64) error { return b.DisableUser(ctx, id) },
		"a deletion": func(ctx context.Context, b *bench, id int64) error { return b.DeleteUser(ctx, id) },
		"a new password": func(ctx context.Context, b *bench, id int64) error {
			b.clock.Add(time.Second)
			return b.SetPassword(ctx, id, nextPassword)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ada := b.addUser("ada", "guide")
			if _, err := b.AddRole(t.Context(), ada.ID, "cook"); err != nil {
				t.Fatal(err)
			}
			if err := change(t.Context(), b, ada.ID); err != nil {
				t.Fatal(err)
			}
			_, err := b.startSession(t.Context(), ada, b.client()) // with the user as it was before
			wantCode(t, err, InvalidCredentials)
		})
	}
}

// TestLogInTakesTheRolesOfNow: a role is taken away while the password is checked. Nobody tells of a session
// that began later, so the token must not have the role.
func TestLogInTakesTheRolesOfNow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada", "guide", "cook")
	if _, err := b.RemoveRole(t.Context(), ada.ID, "cook"); err != nil {
		t.Fatal(err)
	}
	login, err := b.startSession(t.Context(), ada, b.client()) // with the user as it was before
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"guide"}, login.Principal().Roles); diff != "" {
		t.Error(diff)
	}
	b.wantAlive(login)
}

func TestAddressPrefix(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64", "": "", "unix": "unix",
	} {
		if got := addressPrefix(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
