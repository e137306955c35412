package security

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"sherpa/models"
	"sherpa/security/password"
	"sherpa/security/token"
)

func (b *bench) issueReset(userID int64) Reset {
	b.t.Helper()
	reset, err := b.IssueReset(b.t.Context(), userID)
	if err != nil {
		b.t.Fatal(err)
	}
	return reset
}

func TestRedeemReset(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada")
	b.addUser("bob")
	adas, bobs := b.logIn("ada"), b.logIn("bob")
	reset, other := b.issueReset(ada.ID), b.issueReset(ada.ID)
	if want := b.clock.Now().Add(time.Hour); !reset.ExpiresAt.Equal(want) || reset.Token == other.Token {
		t.Errorf("%+v, %+v", reset, other)
	}
	b.wantAlive(adas) // whoever asks for a reset in somebody's name ends nothing
	b.wantAlive(bobs)
	if err := b.RedeemReset(t.Context(), b.client(), reset.Token, nextPassword); err != nil {
		t.Fatal(err)
	}
	b.wantEnded(adas, models.EndedByPasswordChange)
	b.wantAlive(bobs)
	if _, err := b.Authenticate(t.Context(), "ada", nextPassword); err != nil {
		t.Error(err)
	}
	for name, text := range map[string]string{"the same": reset.Token, "another one": other.Token} {
		err := b.RedeemReset(t.Context(), b.client(), text, goodPassword)
		if !HasCode(err, ResetInvalid) {
			t.Errorf("%s afterwards: %v", name, err)
		}
	}
	if _, err := b.IssueReset(t.Context(), ada.ID+99); !errors.Is(err, models.ErrNotFound) {
		t.Errorf("a reset for nobody: %v", err)
	}
}

// TestRefusedResets all get the same error, without a hash. Only the event tells them apart.
func TestRefusedResets(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, cause string
		text        func(b *bench, good Reset, userID int64) string
	}{
		{"no token", "unknown_token", func(*bench, Reset, int64) string { return "" }},
		{"never issued", "unknown_token", func(*bench, Reset, int64) string {
			return token.NewReset().String()
		}},
		{"another secret", "unknown_token", func(_ *bench, good Reset, _ int64) string {
			return good.Token[:len(good.Token)-26] + strings.Repeat("A", 26)
		}},
		{"expired", "unknown_token", func(b *bench, good Reset, _ int64) string {
			b.clock.Add(time.Hour)
			return good.Token
		}},
		{"used", "unknown_token", func(b *bench, good Reset, _ int64) string {
			if err := b.RedeemReset(b.t.Context(), b.client(), good.Token, nextPassword); err != nil {
				b.t.Error(err)
			}
			return good.Token
		}},
		{"from before a new password", "unknown_token", func(b *bench, good Reset, id int64) string {
			if err := b.SetPassword(b.t.Context(), id, nextPassword); err != nil {
				b.t.Error(err)
			}
			return good.Token
		}},
		{"of a deleted user", "unknown_token", func(b *bench, good Reset, id int64) string {
			if err := b.DeleteUser(b.t.Context(), id); err != nil {
				b.t.Error(err)
			}
			return good.Token
		}},
		{"of a disabled user", "disabled_user", func(b *bench, _ Reset, id int64) string {
			if err := b.DisableUser(b.t.Context(), id); err != nil {
				b.t.Error(err)
			}
			return b.issueReset(id).Token
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ada := b.addUser("ada")
			text := tt.text(b, b.issueReset(ada.ID), ada.ID)
			before := b.Hasher.Computed()
			err := b.RedeemReset(t.Context(), b.client(), text, "a third engine of mine")
			var known *Error
			if !errors.As(err, &known) || known.Code != ResetInvalid || known.Fact != "" {
				t.Errorf("%v", err)
			}
			if n := b.Hasher.Computed() - before; n != 0 {
				t.Errorf("%d hashes", n)
			}
			all := b.allEvents()
			last := all[len(all)-1]
			if last.Kind != models.EventPasswordResetFailed || last.Reason != tt.cause {
				t.Errorf("%s", describe(last))
			}
		})
	}
}

// TestRefusedPasswordLeavesTheToken: people need more than one try.
func TestRefusedPasswordLeavesTheToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	reset := b.issueReset(b.addUser("ada").ID)
	var rejected *password.RejectedError
	err := b.RedeemReset(t.Context(), b.client(), reset.Token, "short")
	if !errors.As(err, &rejected) {
		t.Error(err)
	}
	if err := b.RedeemReset(t.Context(), b.client(), reset.Token, nextPassword); err != nil {
		t.Error(err)
	}
}

func TestOneRedemptionWins(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.Hasher = password.NewHasher(cheap(), 16) // nobody is turned away
	reset := b.issueReset(b.addUser("ada").ID)
	results := make(chan error, 16)
	var wg sync.WaitGroup
	for i := range cap(results) {
		wg.Go(func() {
			next := fmt.Sprint("engine of many cogs, number ", i)
			results <- b.RedeemReset(t.Context(), b.client(), reset.Token, next)
		})
	}
	wg.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
			continue
		}
		wantCode(t, err, ResetInvalid)
	}
	if won != 1 {
		t.Errorf("%d redemptions won", won)
	}
}

// TestResetEndsTheWaitOfItsUser: who forgot a password has tried many, or somebody else has.
func TestResetEndsTheWaitOfItsUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ada := b.addUser("ada")
	wrong := func() error {
		_, err := b.LogIn(t.Context(), Credentials{"ada", "wrong"}, b.client())
		return err
	}
	for range models.FreeTries + 1 {
		_ = wrong()
	}
	wantCode(t, wrong(), Throttled)
	if err := b.RedeemReset(t.Context(), b.client(), b.issueReset(ada.ID).Token, nextPassword); err != nil {
		t.Fatal(err)
	}
	if _, err := b.LogIn(t.Context(), Credentials{"ada", nextPassword}, b.client()); err != nil {
		t.Error(err)
	}
}

func TestGuessesAtResetsAreThrottled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	reset := b.issueReset(b.addUser("ada").ID)
	guess := func(address string) error {
		return b.RedeemReset(t.Context(), Client{Address: address}, token.NewReset().String(), nextPassword)
	}
	for range addressBurst {
		wantCode(t, guess("192.0.2.9"), ResetInvalid)
	}
	wantCode(t, guess("192.0.2.9"), Throttled)
	_, err := b.LogIn(t.Context(), Credentials{"ada", goodPassword}, Client{Address: "192.0.2.9"})
	wantCode(t, err, Throttled) // logins and guesses count together
	neighbour := Client{Address: "192.0.2.10"}
	if err := b.RedeemReset(t.Context(), neighbour, reset.Token, nextPassword); err != nil {
		t.Errorf("the neighbour: %v", err)
	}
}

func TestInvitedUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user, reset, err := b.InviteUser(t.Context(), "Ada", []string{"guide"})
	if err != nil || user.Username != "ada" || user.Roles[0] != "guide" {
		t.Fatal(user, err)
	}
	for _, given := range []string{"", goodPassword} {
		before := b.Hasher.Computed()
		_, err := b.LogIn(t.Context(), Credentials{"ada", given}, b.client())
		wantCode(t, err, InvalidCredentials)
		if n := b.Hasher.Computed() - before; n != 1 {
			t.Errorf("%q: %d hashes, want that of a wrong password", given, n)
		}
	}
	all := b.allEvents()
	if last := all[len(all)-1]; last.Kind != models.EventLoginFailed || last.Reason != "no_password" {
		t.Error(describe(last))
	}
	principal := Principal{UserID: user.ID, Username: "ada"} // were there a session
	err = b.ChangePassword(t.Context(), principal, b.client(), "", nextPassword)
	wantCode(t, err, WrongPassword)
	if err := b.RedeemReset(t.Context(), b.client(), reset.Token, goodPassword); err != nil {
		t.Fatal(err)
	}
	b.wantAlive(b.logIn("ada"))
}

func TestInviteUserRejects(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	for _, tt := range []struct {
		name, username, role, wrong string
	}{
		{"taken in another spelling", "ADA", "guide", "taken"},
		{"bad name", "a b", "guide", "blanks"},
		{"bad role", "bob", "No Role", "role"},
	} {
		_, reset, err := b.InviteUser(t.Context(), tt.username, []string{tt.role})
		if err == nil || !strings.Contains(err.Error(), tt.wrong) || reset.Token != "" {
			t.Errorf("%s: %v, %v", tt.name, reset, err)
		}
	}
}
