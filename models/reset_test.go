package models

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testReset(id string, userID int64) PasswordReset {
	return PasswordReset{ID: id, UserID: userID, Hash: "hash of " + id, ExpiresAt: epoch.Add(time.Hour)}
}

func addReset(t *testing.T, s *Store, id string, userID int64) PasswordReset {
	t.Helper()
	r := testReset(id, userID)
	if err := s.CreatePasswordReset(t.Context(), r, epoch); err != nil {
		t.Fatal(err)
	}
	return r
}

// redemption redeems the reset a minute after it was issued.
func redemption(r PasswordReset, passwordHash string) Redemption {
	return Redemption{PasswordReset: r, PasswordHash: passwordHash, Attempt: LoginAttempt{
		NameKey: "name", NameAddressKey: "name and address", At: epoch.Add(time.Minute),
		AddressKey: "address", Interval: time.Second, Burst: 100,
	}}
}

func TestRedeemPasswordReset(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ctx := t.Context()
		ada, bob := addUser(t, s, "ada", "guide"), addUser(t, s, "bob")
		addSession(t, s, "adas", ada.ID)
		addSession(t, s, "bobs", bob.ID)
		first, other := addReset(t, s, "1", ada.ID), addReset(t, s, "2", ada.ID)
		bobs := addReset(t, s, "3", bob.ID)
		use := redemption(first, "new")
		for range FreeTries + 1 {
			if _, err := s.CountLogin(ctx, use.Attempt); err != nil {
				t.Fatal(err)
			}
		}
		ended, err := s.RedeemPasswordReset(ctx, use)
		if diff := cmp.Diff([]string{"adas"}, ended); diff != "" || err != nil {
			t.Fatal(diff, err)
		}
		want := ada
		want.PasswordHash, want.PasswordChangedAt = "new", use.Attempt.At
		got, err := s.UserByID(ctx, ada.ID)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		session, _, err := s.SessionWithUser(ctx, "adas")
		if session.EndedReason != EndedByPasswordChange || err != nil {
			t.Error(session.EndedReason, err)
		}
		if news, err := revokedIDs(t, s, time.Minute); !slices.Equal(news, []string{"adas"}) || err != nil {
			t.Error("the feed:", news, err)
		}
		if count, err := s.CountLogin(ctx, use.Attempt); count.Tries != 1 || err != nil {
			t.Errorf("the failures are not reset: %+v, %v", count, err)
		}
		for name, r := range map[string]PasswordReset{"the same": first, "another of the user": other} {
			if _, err := s.RedeemPasswordReset(ctx, redemption(r, "newer")); !errors.Is(err, ErrNotFound) {
				t.Errorf("%s afterwards: %v", name, err)
			}
		}
		if got, err := s.UserByID(ctx, ada.ID); got.PasswordHash != "new" || err != nil {
			t.Error("a failed redemption changed the password", err)
		}
		if _, err := s.RedeemPasswordReset(ctx, redemption(bobs, "new")); err != nil {
			t.Error("another user's reset:", err)
		}
	})
}

// TestResetThatCannotBeRedeemed is not found, and changes nothing.
func TestResetThatCannotBeRedeemed(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(t *testing.T, s *Store, r *Redemption) error
		found bool // who has the token still learns of the user
	}{
		{"another id", func(_ *testing.T, _ *Store, r *Redemption) error { r.ID = "x"; return nil }, false},
		{"another hash", func(_ *testing.T, _ *Store, r *Redemption) error {
			r.Hash = "x"
			return nil
		}, false},
		{"expired", func(_ *testing.T, _ *Store, r *Redemption) error {
			r.Attempt.At = r.ExpiresAt
			return nil
		}, false},
		{"another user's", func(t *testing.T, s *Store, r *Redemption) error {
			r.UserID = addUser(t, s, "bob").ID
			return nil
		}, true},
		{"after a new password", func(t *testing.T, s *Store, r *Redemption) error {
			_, err := s.SetPassword(t.Context(), r.UserID, "set", "", epoch)
			return err
		}, false},
		{"after disable and enable", func(t *testing.T, s *Store, r *Redemption) error {
			_, err := s.DisableUser(t.Context(), r.UserID, epoch)
			return errors.Join(err, s.EnableUser(t.Context(), r.UserID, epoch))
		}, false},
		{"issued to a disabled user", func(t *testing.T, s *Store, r *Redemption) error {
			_, err := s.DisableUser(t.Context(), r.UserID, epoch)
			return errors.Join(err, s.CreatePasswordReset(t.Context(), r.PasswordReset, epoch))
		}, true},
		{"after deletion", func(t *testing.T, s *Store, r *Redemption) error {
			_, err := s.DeleteUser(t.Context(), r.UserID, epoch)
			return err
		}, false},
	}
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				url := database(t)
				s := openStore(t, url)
				r := redemption(addReset(t, s, "1", addUser(t, s, "ada").ID), "new")
				if _, err := s.PasswordResetUser(t.Context(), r.ID, r.Hash, r.Attempt.At); err != nil {
					t.Fatal("before:", err)
				}
				if err := tt.spoil(t, s, &r); err != nil {
					t.Fatal(err)
				}
				before := dump(t, url)
				_, err := s.PasswordResetUser(t.Context(), r.ID, r.Hash, r.Attempt.At)
				if found := err == nil; found != tt.found || !found && !errors.Is(err, ErrNotFound) {
					t.Errorf("the user of it: %v", err)
				}
				if _, err := s.RedeemPasswordReset(t.Context(), r); !errors.Is(err, ErrNotFound) {
					t.Error(err)
				}
				if diff := cmp.Diff(before, dump(t, url)); diff != "" {
					t.Error(diff)
				}
			})
		}
	})
}

// TestOneRedemptionWins: of one token, and of several tokens of one user.
func TestOneRedemptionWins(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		stores := twoStores(t, database(t))
		for name, tokens := range map[string]int{"one token": 1, "several tokens": 4} {
			user := addUser(t, stores[0], name)
			var resets []PasswordReset
			for i := range tokens {
				resets = append(resets, addReset(t, stores[0], fmt.Sprint(name, i), user.ID))
			}
			var mu sync.Mutex
			var won []string
			var wg sync.WaitGroup
			for i := range 24 {
				wg.Go(func() {
					hash := fmt.Sprint("hash ", i)
					_, err := stores[i%2].RedeemPasswordReset(t.Context(), redemption(resets[i%tokens], hash))
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						won = append(won, hash)
					case !errors.Is(err, ErrNotFound):
						t.Error(name, err)
					}
				})
			}
			wg.Wait()
			got, err := stores[0].UserByID(t.Context(), user.ID)
			if len(won) != 1 || got.PasswordHash != won[0] || err != nil {
				t.Errorf("%s: %v won, and the password is %s: %v", name, won, got.PasswordHash, err)
			}
		}
	})
}

func TestInviteUser(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		s := openStore(t, url)
		u := User{Username: "ada", Roles: []string{"guide"}, CreatedAt: epoch, PasswordChangedAt: epoch}
		ada, err := s.InviteUser(t.Context(), u, testReset("1", 0))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.PasswordResetUser(t.Context(), "1", "hash of 1", epoch)
		if diff := cmp.Diff(ada, got); diff != "" || err != nil || got.PasswordHash != "" {
			t.Error(diff, err)
		}
		before := dump(t, url)
		if _, err := s.InviteUser(t.Context(), u, testReset("2", 0)); !errors.Is(err, ErrUsernameTaken) {
			t.Error(err)
		}
		if diff := cmp.Diff(before, dump(t, url)); diff != "" {
			t.Error("a refused invitation left something:", diff)
		}
	})
}

func TestCountAddress(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		attempt := LoginAttempt{AddressKey: "a", At: epoch, Interval: time.Minute, Burst: 3}
		var waits []time.Duration
		for range 5 {
			wait, err := s.CountAddress(t.Context(), attempt)
			if err != nil {
				t.Fatal(err)
			}
			waits = append(waits, wait)
		}
		want := []time.Duration{0, 0, 0, time.Minute, time.Minute}
		if diff := cmp.Diff(want, waits); diff != "" {
			t.Error(diff)
		}
		attempt.At = epoch.Add(time.Minute)
		if wait, err := s.CountAddress(t.Context(), attempt); wait != 0 || err != nil {
			t.Errorf("after the wait: %v, %v", wait, err)
		}
	})
}

// TestInvitedAdministratorIsNotTheLastOne: whoever has no password yet could let nobody else in.
func TestInvitedAdministratorIsNotTheLastOne(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ctx := t.Context()
		ada := addUser(t, s, "ada", AdminRole)
		r := testReset("1", 0)
		bob, err := s.InviteUser(ctx, User{Username: "bob", Roles: []string{AdminRole}}, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.DeleteUser(ctx, ada.ID, epoch); !errors.Is(err, ErrLastAdmin) {
			t.Errorf("the only administrator with a password: %v", err)
		}
		r.UserID = bob.ID
		if _, err := s.RedeemPasswordReset(ctx, redemption(r, "new")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.DeleteUser(ctx, ada.ID, epoch); err != nil {
			t.Errorf("after bob has a password: %v", err)
		}
	})
}
