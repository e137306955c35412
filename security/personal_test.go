package security

import (
	"context"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/models"
	"sherpa/security/token"
)

// addToken makes a token of the user, and returns its id and text.
func (b *bench) addToken(owner models.User, n NewToken) (models.PersonalToken, string) {
	b.t.Helper()
	made, text, err := b.CreateToken(b.t.Context(), newPrincipal(owner, ""), n)
	if err != nil {
		b.t.Fatal(err)
	}
	return made, text
}

func TestPersonalPrincipal(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada", "editor", "guide")
	made, text := b.addToken(ada, NewToken{
		Name: "x", Roles: []string{"guide", "guide"}, Allows: []Allow{AllowAccount},
	})
	want := &Principal{UserID: ada.ID, Username: "ada", Roles: []string{"guide"}, TokenID: made.ID,
		Allows: []Allow{AllowAccount}}
	for range 2 { // cold and warm
		got, err := b.Identify(t.Context(), text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
	if made.Hash == text || strings.Contains(made.Hash, text[28:40]) {
		t.Error("the token is kept in the clear")
	}
}

// TestPersonalRolesAreThoseOfTheOwnerNow: a role that the owner loses and gets again comes back.
func TestPersonalRolesAreThoseOfTheOwnerNow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada", "editor", "guide")
	_, text := b.addToken(ada, NewToken{Name: "x", Roles: []string{"editor", "guide"}})
	for _, roles := range [][]string{{"editor", "guide"}, {"editor", "cook"}, {}, {"guide"}} {
		if _, err := b.ChangeUser(t.Context(), ada.ID, UserChange{Roles: roles}); err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, role := range roles {
			if role != "cook" {
				want = append(want, role)
			}
		}
		p, err := b.Identify(t.Context(), text)
		if err != nil || !slices.Equal(p.Roles, want) {
			t.Errorf("owner %v: %v, %v", roles, p, err)
		}
	}
}

func TestNewTokenRules(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := newPrincipal(b.addUser("ada", "editor", "admin"), "")
	weak := ada
	weak.TokenID, weak.Roles, weak.Allows = "none", []string{"editor"}, []Allow{AllowAccount}
	day := 24 * time.Hour
	tests := []struct {
		name   string
		owner  Principal
		n      NewToken
		member string
	}{
		{"no name", ada, NewToken{}, "name"},
		{"long name", ada, NewToken{Name: strings.Repeat("ë", 65)}, "name"},
		{"line end", ada, NewToken{Name: "a\nb"}, "name"},
		{"escape", ada, NewToken{Name: "a\x1b[2J"}, "name"},
		{"other direction", ada, NewToken{Name: "a\u202eb"}, "name"},
		{"not UTF-8", ada, NewToken{Name: "a\xff"}, "name"},
		{"too long a life", ada, NewToken{Name: "x", Life: 365*day + 1}, "expires_in_days"},
		{"no life", ada, NewToken{Name: "x", Life: -day}, "expires_in_days"},
		{"role of others", ada, NewToken{Name: "x", Roles: []string{"editor", "cook"}}, "roles"},
		{"unknown permission", ada, NewToken{Name: "x", Allows: []Allow{"all"}}, "allow"},
		{"role that the token lacks", weak, NewToken{Name: "x", Roles: []string{"admin"}}, "roles"},
		{"permission that the token lacks", weak, NewToken{Name: "x", Allows: []Allow{AllowAdmin}}, "allow"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, text, err := b.CreateToken(t.Context(), tt.owner, tt.n)
			var broken *TokenRuleError
			if !errors.As(err, &broken) || broken.Member != tt.member || text != "" {
				t.Errorf("got %v", err)
			}
		})
	}
	good, _, err := b.CreateToken(t.Context(), ada, NewToken{
		Name: strings.Repeat("ë", 64), Life: 365 * day, Roles: []string{"admin", "editor"}, Allows: Allows(),
	})
	if err != nil || !good.ExpiresAt.Equal(b.clock.Now().Add(365*day)) {
		t.Error(good, err)
	}
	expiry := b.clock.Now().Add(90 * day)
	b.clock.Add(time.Microsecond) // the store keeps milliseconds
	usual, _, err := b.CreateToken(t.Context(), ada, NewToken{Name: "x"})
	if err != nil || len(usual.Roles)+len(usual.Allows) > 0 || !usual.ExpiresAt.Equal(expiry) {
		t.Error(usual, err)
	}
}

// TestTokenDoesNotOutliveItsMaker: a leaked one could renew itself for ever.
func TestTokenDoesNotOutliveItsMaker(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada")
	parent, text := b.addToken(ada, NewToken{Name: "x", Life: time.Hour, Allows: []Allow{AllowAccount}})
	p, err := b.Identify(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ life, want time.Duration }{{0, time.Hour}, {time.Minute, time.Minute}} {
		child, _, err := b.CreateToken(t.Context(), *p, NewToken{Name: "y", Life: tt.life})
		if want := b.clock.Now().Add(tt.want); err != nil || !child.ExpiresAt.Equal(want) {
			t.Errorf("life %v: it expires %v, want %v; %v", tt.life, child.ExpiresAt, want, err)
		}
	}
	if err := b.DeleteToken(t.Context(), ada.ID, parent.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.CreateToken(t.Context(), *p, NewToken{Name: "z"}); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("a token that was deleted meanwhile: %v", err)
	}
}

func TestTokensHaveALimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada")
	var last models.PersonalToken
	for range maxTokens {
		last, _ = b.addToken(ada, NewToken{Name: "x", Life: time.Minute})
	}
	b.clock.Add(time.Hour) // expired ones count
	_, _, err := b.CreateToken(t.Context(), newPrincipal(ada, ""), NewToken{Name: "x"})
	wantCode(t, err, TooManyTokens)
	if err := b.DeleteToken(t.Context(), ada.ID, last.ID); err != nil {
		t.Fatal(err)
	}
	b.addToken(ada, NewToken{Name: "x"})
}

// TestPersonalTokenIsRefusedAtOnce: by the service that made the change, without a poll.
func TestPersonalTokenIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		end  func(b *bench, owner models.User, id string) error
		code Code
	}{
		"token deleted": {func(b *bench, owner models.User, id string) error {
			return b.DeleteToken(t.Context(), owner.ID, id)
		}, TokenInvalid},
		"owner disabled": {func(b *bench, owner models.User, _ string) error {
			return b.DisableUser(t.Context(), owner.ID)
		}, TokenInvalid},
		"owner deleted": {func(b *bench, owner models.User, _ string) error {
			return b.DeleteUser(t.Context(), owner.ID)
		}, TokenInvalid},
		"expired": {func(b *bench, _ models.User, _ string) error {
			b.clock.Add(time.Hour)
			return nil
		}, TokenExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ada := b.addUser("ada")
			made, text := b.addToken(ada, NewToken{Name: "x", Life: time.Hour})
			for range 2 {
				if _, err := b.Identify(t.Context(), text); err != nil {
					t.Fatal(err)
				}
			}
			if err := tt.end(b, ada, made.ID); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				_, err := b.Identify(t.Context(), text)
				wantCode(t, err, tt.code)
			}
		})
	}
}

// TestASessionMakesATokenWithItsPassword alone; a wrong one counts as a failed login. A token needs none.
func TestASessionMakesATokenWithItsPassword(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada")
	p := *b.logIn("ada").Principal()
	make := func(p Principal, current string) error {
		_, _, err := b.CreateOwnToken(t.Context(), p, b.client(), current, NewToken{Name: "x"})
		return err
	}
	for range models.FreeTries + 1 {
		wantCode(t, make(p, "wrong"), WrongPassword)
	}
	wantCode(t, make(p, goodPassword), Throttled)
	b.clock.Add(time.Hour)
	if err := make(p, goodPassword); err != nil {
		t.Error(err)
	}
	_, text := b.addToken(ada, NewToken{Name: "y", Allows: []Allow{AllowAccount}})
	with, err := b.Identify(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	if err := make(*with, ""); err != nil {
		t.Errorf("with a token: %v", err)
	}
	if err := b.EndOwnSession(t.Context(), p, p.SessionID); err != nil {
		t.Fatal(err)
	}
	if err := make(p, goodPassword); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("a session that ended meanwhile: %v", err)
	}
}

// TestRecoveryEndsPersonalTokens: after it, nobody who was there before is left. Others keep theirs.
func TestRecoveryEndsPersonalTokens(t *testing.T) {
	t.Parallel()
	for name, recover := range map[string]func(b *bench, userID int64) error{
		"set by an operator": func(b *bench, id int64) error {
			return b.SetPassword(t.Context(), id, nextPassword)
		},
		"reset redeemed": func(b *bench, id int64) error {
			return b.RedeemReset(t.Context(), b.client(), b.issueReset(id).Token, nextPassword)
		},
		"deleted by an administrator": func(b *bench, id int64) error {
			n, err := b.DeleteUserTokens(t.Context(), id)
			if n != 2 {
				t.Errorf("%d deleted", n)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ada, bob := b.addUser("ada"), b.addUser("bob")
			_, first := b.addToken(ada, NewToken{Name: "x"})
			_, second := b.addToken(ada, NewToken{Name: "y"})
			_, bobs := b.addToken(bob, NewToken{Name: "z"})
			for _, text := range []string{first, second, bobs} {
				if _, err := b.Identify(t.Context(), text); err != nil {
					t.Fatal(err)
				}
			}
			if err := recover(b, ada.ID); err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{first, second} {
				_, err := b.Identify(t.Context(), text)
				wantCode(t, err, TokenInvalid)
			}
			if _, err := b.Identify(t.Context(), bobs); err != nil {
				t.Errorf("bob's: %v", err)
			}
		})
	}
}

// TestUnprovenTokensWaitForTheirTurn: a flood of them leaves connections for others, and who has proven a
// token does not notice.
func TestUnprovenTokensWaitForTheirTurn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, proven := b.addToken(b.addUser("ada"), NewToken{Name: "x"})
	if _, err := b.Identify(t.Context(), proven); err != nil {
		t.Fatal(err)
	}
	identify := func() error {
		_, err := b.Identify(t.Context(), token.NewPersonal().Text())
		return err
	}
	for range cap(b.unproven) {
		b.unproven <- struct{}{}
	}
	b.unprovenWait = time.Millisecond
	err := identify()
	var full *Error
	if !errors.As(err, &full) || full.Code != Overloaded || full.RetryAfter != time.Second {
		t.Errorf("while others read: %v", err)
	}
	_, err = b.Introspect(t.Context(), token.NewPersonal().Text())
	wantCode(t, err, Overloaded) // not inactive: nobody has looked
	if _, err := b.Identify(t.Context(), proven); err != nil {
		t.Errorf("a proven one: %v", err)
	}
	<-b.unproven
	b.unprovenWait = time.Minute
	reading := 0
	b.Store.Observe(func(context.Context, string, time.Duration, bool) { reading = len(b.unproven) })
	for range 3 {
		wantCode(t, identify(), TokenInvalid)
	}
	if reading != cap(b.unproven) || len(b.unproven) != cap(b.unproven)-1 {
		t.Errorf("%d are taken during a read, %d after it", reading, len(b.unproven))
	}
}

// TestATokenDoesNotResetItsOwner: with a new password it would reach what it was not made for.
func TestATokenDoesNotResetItsOwner(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada, bob := b.addUser("ada", "admin"), b.addUser("bob")
	_, text := b.addToken(ada, NewToken{Name: "x", Roles: []string{"admin"}, Allows: Allows()})
	p, err := b.Identify(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	reset, err := b.IssueResetBy(t.Context(), *p, ada.ID)
	wantCode(t, err, TokenNotAllowed)
	if reset.Token != "" {
		t.Error("there is one all the same")
	}
	if _, err := b.IssueResetBy(t.Context(), *p, bob.ID); err != nil {
		t.Errorf("of another user: %v", err)
	}
	if _, err := b.IssueResetBy(t.Context(), newPrincipal(ada, "s"), ada.ID); err != nil {
		t.Errorf("with a session: %v", err)
	}
}

// TestPersonalTokenOutlivesAPassword that its owner sets, and a disabled owner that is enabled again has it
// back.
func TestPersonalTokenOutlivesAPassword(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada")
	_, text := b.addToken(ada, NewToken{Name: "x"})
	for _, do := range []func() error{
		func() error {
			p := newPrincipal(ada, "s")
			return b.ChangePassword(t.Context(), p, b.client(), goodPassword, nextPassword)
		},
		func() error { _, err := b.EndUserSessions(t.Context(), ada.ID); return err },
		func() error { _, err := b.EndAllSessions(t.Context()); return err },
		func() error { return b.DisableUser(t.Context(), ada.ID) },
		func() error { return b.EnableUser(t.Context(), ada.ID) },
		func() error { b.useKeys(ringOf(t, nextKey)); return nil },
	} {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Identify(t.Context(), text); err != nil {
		t.Error(err)
	}
}

// TestPersonalTokensThatAreWrong: what has a wrong checksum costs no read; an unknown id and a wrong secret
// cost the same and get the same answer, also while the cache knows the token.
func TestPersonalTokensThatAreWrong(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada")
	_, text := b.addToken(ada, NewToken{Name: "x"})
	if _, err := b.Identify(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	reads := 0
	b.Store.Observe(func(_ context.Context, operation string, _ time.Duration, _ bool) {
		if operation == "read personal token" {
			reads++
		}
	})
	other := token.NewPersonal().Text()
	wrongSecret := withSecret(text[:27], other[27:71])
	var answers []string
	for _, tt := range []struct {
		name, text string
		reads      int
	}{
		{"wrong checksum", text[:71] + "000000", 0}, {"cut off", text[:60], 0},
		{"unknown id", other, 1}, {"wrong secret", wrongSecret, 1}, {"right", text, 0},
	} {
		reads = 0
		_, err := b.Identify(t.Context(), tt.text)
		if reads != tt.reads {
			t.Errorf("%s: %d reads, want %d", tt.name, reads, tt.reads)
		}
		if tt.name == "right" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		wantCode(t, err, TokenInvalid)
		answers = append(answers, err.Error())
	}
	if answers[2] != answers[3] {
		t.Errorf("an unknown id and a wrong secret differ: %q, %q", answers[2], answers[3])
	}
}

// withSecret returns a token with this beginning and secret, and the right checksum.
func withSecret(begin, secret string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	body := begin + secret
	for sum, text := crc32.ChecksumIEEE([]byte(body)), ""; ; sum /= 62 {
		if text = string(digits[sum%62]) + text; len(text) == 6 {
			return body + text
		}
	}
}

// TestUsesAreWrittenInTheBackground: no request writes, and a token is written at most once a minute.
func TestUsesAreWrittenInTheBackground(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada")
	_, text := b.addToken(ada, NewToken{Name: "x"})
	lastUse := func() time.Time {
		t.Helper()
		all, err := b.Tokens(t.Context(), ada.ID)
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		return all[0].LastUsedAt
	}
	use := func() {
		t.Helper()
		if _, err := b.Identify(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	start := b.clock.Now()
	use()
	if !lastUse().IsZero() {
		t.Error("the request has written its use")
	}
	for _, step := range []struct{ wait, want time.Duration }{
		{0, 0}, {59 * time.Second, 0}, {time.Second, time.Minute}, {time.Second, time.Minute},
	} {
		b.clock.Add(step.wait)
		use()
		b.WriteUses(t.Context())
		if got := lastUse().Sub(start); got != step.want {
			t.Errorf("last use after %v, want %v", got, step.want)
		}
	}
	if left := len(b.uses.take()); left > 0 {
		t.Errorf("%d uses are noted twice", left)
	}
}

// TestUsesSurviveAnOutage, and do not take more memory than the cache.
func TestUsesSurviveAnOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	made, text := b.addToken(b.addUser("ada"), NewToken{Name: "x"})
	if _, err := b.Identify(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	b.WriteUses(canceled)
	if _, kept := b.uses.noted[made.ID]; !kept {
		t.Error("the use is lost")
	}
	for range 300 {
		live := &liveSession{principal: Principal{TokenID: newID()}}
		b.uses.note(live, b.clock.Now())
	}
	if n := len(b.uses.noted); n != 100 {
		t.Errorf("%d uses are kept, want as many as the cache has entries", n)
	}
}

func TestUsesAreNotedOnce(t *testing.T) {
	t.Parallel()
	u := newUses(10)
	live := &liveSession{principal: Principal{TokenID: "a"}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { u.note(live, time.Now()) })
	}
	wg.Wait()
	if n := len(u.take()); n != 1 {
		t.Errorf("%d", n)
	}
}

// TestPersonalTokenDoesNotSurviveARacingLoad is overtakeLoads for tokens.
func TestPersonalTokenDoesNotSurviveARacingLoad(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	made, text := b.addToken(b.addUser("ada"), NewToken{Name: "x"})
	var ended atomic.Bool
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				gone := ended.Load()
				if _, err := b.Identify(t.Context(), text); gone && err == nil {
					t.Error("a token passed after it was deleted")
					return
				}
			}
		})
	}
	wg.Go(func() {
		if err := b.DeleteToken(t.Context(), made.UserID, made.ID); err != nil {
			t.Error(err)
		}
		ended.Store(true)
	})
	wg.Wait()
	if _, err := b.Identify(t.Context(), text); !HasCode(err, TokenInvalid) {
		t.Error(err)
	}
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada", "guide")
	made, text := b.addToken(ada, NewToken{Name: "x", Roles: []string{"guide"}})
	got, err := b.Introspect(t.Context(), text)
	want := Introspection{
		Active: true, IssuedAt: made.CreatedAt, ExpiresAt: made.ExpiresAt,
		Principal: Principal{UserID: ada.ID, Username: "ada", Roles: []string{"guide"}, TokenID: made.ID},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if n := len(b.uses.take()); n != 0 {
		t.Error("it counts as a use")
	}
	mend := b.breakFeed()
	if got, err := b.Introspect(t.Context(), text); !errors.Is(err, models.ErrUnavailable) || got.Active {
		t.Errorf("during an outage: %+v, %v", got, err)
	}
	if _, err := b.Identify(t.Context(), text); err != nil {
		t.Errorf("the guard has a grace period: %v", err)
	}
	mend()
	if err := b.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Introspect(t.Context(), text); err != nil || !got.Active {
		t.Errorf("after the outage: %+v, %v", got, err)
	}
}
