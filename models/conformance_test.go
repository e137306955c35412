package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/internal/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// onBoth runs a test on both engines; database makes a new one and returns its URL.
func onBoth(t *testing.T, test func(t *testing.T, database func(*testing.T) string)) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "sherpa.db") })
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, func(t *testing.T) string { return pgtest.Database(t) })
	})
}

func openStore(t *testing.T, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 123e6, time.UTC)

func addUser(t *testing.T, s *Store, name string, roles ...string) User {
	t.Helper()
	u, err := s.CreateUser(
		t.Context(),
		User{Username: name, PasswordHash: "hash", Roles: roles, CreatedAt: epoch, PasswordChangedAt: epoch},
	)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func addSession(t *testing.T, s *Store, id string, userID int64) {
	t.Helper()
	user, err := s.UserByID(t.Context(), userID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateSession(t.Context(), user, testSession(id, userID)); err != nil {
		t.Fatal(err)
	}
}

func testSession(id string, userID int64) Session {
	return Session{
		ID:          id,
		UserID:      userID,
		CreatedAt:   epoch,
		LastUsedAt:  epoch,
		IdleEndsAt:  epoch.Add(week),
		EndsAt:      epoch.Add(4 * week),
		Address:     "192.0.2.1",
		UserAgent:   "test",
		RefreshHash: "hash 0",
	}
}

const week = 7 * 24 * time.Hour

func TestUserRoundTrip(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		want := addUser(t, s, "ada", "admin", "editor")
		byName, err := s.UserByName(t.Context(), "ada")
		if diff := cmp.Diff(want, byName); diff != "" || err != nil {
			t.Error(diff, err)
		}
		byID, err := s.UserByID(t.Context(), want.ID)
		if diff := cmp.Diff(want, byID); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

func TestMissingRows(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ctx := t.Context()
		for name, call := range map[string]func() error{
			"by name":  func() error { _, err := s.UserByName(ctx, "nobody' OR '1'='1"); return err },
			"by id":    func() error { _, err := s.UserByID(ctx, 7); return err },
			"password": func() error { _, err := s.SetPassword(ctx, 7, "h", "", epoch); return err },
			"disable":  func() error { _, err := s.DisableUser(ctx, 7, epoch); return err },
			"roles":    func() error { _, err := s.ChangeUser(ctx, 7, setRoles(), epoch); return err },
			"enable":   func() error { return s.EnableUser(ctx, 7, epoch) },
			"delete":   func() error { _, err := s.DeleteUser(ctx, 7, epoch); return err },
			"reset":    func() error { return s.CreatePasswordReset(ctx, testReset("r", 7), epoch) },
			"redeem":   func() error { _, err := s.RedeemPasswordReset(ctx, Redemption{}); return err },
			"session":  func() error { _, _, err := s.SessionWithUser(ctx, "x"); return err },
			"session of none": func() error {
				return s.CreateSession(ctx, User{ID: 7}, Session{ID: "x",
					UserID: 7, CreatedAt: epoch})
			},
		} {
			if err := call(); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestUsernameIsUnique(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		addUser(t, s, "ada")
		_, err := s.CreateUser(
			t.Context(),
			User{Username: "ada", PasswordHash: "other", CreatedAt: epoch, PasswordChangedAt: epoch},
		)
		if !errors.Is(err, ErrUsernameTaken) {
			t.Error(err)
		}
		if u, err := s.UserByName(t.Context(), "ada"); u.PasswordHash != "hash" || err != nil {
			t.Error("the first user was changed", err)
		}
	})
}

func TestUserIDsAreNotReused(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		first := addUser(t, s, "ada")
		if _, err := s.DeleteUser(t.Context(), first.ID, epoch); err != nil {
			t.Fatal(err)
		}
		if again := addUser(t, s, "ada"); again.ID == first.ID {
			t.Errorf("id %d was given twice", again.ID)
		}
	})
}

func TestConcurrentCreation(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		stores := []*Store{openStore(t, url), openStore(t, url)} // as two processes would
		var wg sync.WaitGroup
		results := make(chan error, 40)
		for i := range cap(results) {
			wg.Go(func() {
				_, err := stores[i%2].CreateUser(
					t.Context(),
					User{
						Username:          fmt.Sprint("user", i/4),
						PasswordHash:      "h",
						CreatedAt:         epoch,
						PasswordChangedAt: epoch,
					},
				)
				results <- err
			})
		}
		wg.Wait()
		close(results)
		made := 0
		for err := range results {
			switch {
			case err == nil:
				made++
			case !errors.Is(err, ErrUsernameTaken):
				t.Error(err)
			}
		}
		if made != 10 {
			t.Errorf("%d users were made, want 10", made)
		}
	})
}

func TestUsersInOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		for _, name := range []string{"mo", "ada", "zoe"} {
			addUser(t, s, name)
		}
		var names []string
		for u, err := range s.Users(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, u.Username)
		}
		if diff := cmp.Diff([]string{"ada", "mo", "zoe"}, names); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSessionsEndWithTheirUser(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		later := epoch.Add(time.Hour)
		tests := []struct {
			name   string
			end    func(s *Store, id int64) error
			reason EndedReason
		}{
			{"disable",
				func(s *Store, id int64) error {
					_, err := s.DisableUser(t.Context(), id,
						later)
					return err
				},
				EndedByDisable},
			{"password",
				func(s *Store, id int64) error {
					_, err := s.SetPassword(t.Context(), id, "new", "",
						later)
					return err
				},
				EndedByPasswordChange},
		}
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				s := openStore(t, database(t))
				ada, bob := addUser(t, s, "ada", "guide"), addUser(t, s, "bob")
				addSession(t, s, "adas", ada.ID)
				addSession(t, s, "bobs", bob.ID)
				if err := tt.end(s, ada.ID); err != nil {
					t.Fatal(err)
				}
				got, user, err := s.SessionWithUser(t.Context(), "adas")
				want := testSession("adas", ada.ID)
				want.EndedAt, want.EndedReason = later, tt.reason
				if diff := cmp.Diff(want, got); diff != "" || err != nil || user.Username != "ada" {
					t.Error(diff, err, user)
				}
				if other, _, err := s.SessionWithUser(
					t.Context(), "bobs",
				); other.EndedReason != "" ||
					err != nil {
					t.Error("another user's session ended", err)
				}
			})
		}
		t.Run("delete", func(t *testing.T) {
			t.Parallel()
			s := openStore(t, database(t))
			ada := addUser(t, s, "ada")
			addSession(t, s, "adas", ada.ID)
			if _, err := s.DeleteUser(t.Context(), ada.ID, epoch); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.SessionWithUser(t.Context(), "adas"); !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
			var left int
			if err := s.read.QueryRowContext(
				t.Context(), `SELECT count(*) FROM sessions`,
			).Scan(
				&left,
			); left != 0 ||
				err != nil {
				t.Errorf("%d sessions of nobody, %v", left, err)
			}
		})
	})
}

func TestDisabledUserGetsNoSession(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		if _, err := s.DisableUser(t.Context(), ada.ID, epoch); err != nil {
			t.Fatal(err)
		}
		if err := s.CreateSession(
			t.Context(), ada, Session{ID: "x", UserID: ada.ID, CreatedAt: epoch},
		); !errors.Is(
			err, ErrNotFound,
		) {
			t.Error(err)
		}
		if _, err := s.DisableUser(t.Context(), ada.ID, epoch.Add(time.Hour)); err != nil {
			t.Error(err)
		}
		if u, err := s.UserByID(t.Context(), ada.ID); !u.DisabledAt.Equal(epoch) || err != nil {
			t.Errorf("disabled at %v, %v: the first time counts", u.DisabledAt, err)
		}
	})
}

func TestLoginOvertakenByAPasswordChangeGetsNoSession(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		if err := s.RehashPassword(t.Context(), ada.ID, "hash", "stronger"); err != nil {
			t.Fatal(err)
		}
		if err := s.CreateSession(t.Context(), ada, testSession("x", ada.ID)); err != nil {
			t.Errorf("after a rehash: %v", err)
		}
		if _, err := s.SetPassword(t.Context(), ada.ID, "new", "", epoch.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := s.CreateSession(t.Context(), ada, testSession("y", ada.ID)); !errors.Is(err, ErrNotFound) {
			t.Errorf("after a password change: %v", err)
		}
	})
}

func TestLoginOvertakenByAChangeOfRolesGetsNoSession(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		before := addUser(t, s, "ada", "guide", "cook")
		after, err := s.ChangeUser(t.Context(), before.ID, setRoles("guide"), epoch)
		if err != nil {
			t.Fatal(err)
		}
		err = s.CreateSession(t.Context(), before, testSession("x", before.ID))
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("with the roles of before: %v", err)
		}
		if err := s.CreateSession(t.Context(), after.User, testSession("y", before.ID)); err != nil {
			t.Errorf("with those of now: %v", err)
		}
	})
}

func TestRehashLosesAgainstANewPassword(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		if _, err := s.SetPassword(t.Context(), ada.ID, "new password", "", epoch); err != nil {
			t.Fatal(err)
		}
		if err := s.RehashPassword(t.Context(), ada.ID, "hash", "old password, stronger"); err != nil {
			t.Fatal(err)
		}
		if u, err := s.UserByID(t.Context(), ada.ID); u.PasswordHash != "new password" || err != nil {
			t.Errorf("hash %q, %v", u.PasswordHash, err)
		}
	})
}

func TestTransactRollsBack(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		cause := errors.New("no")
		err := s.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			if _, err := s.nextID(t.Context(), tx, "users"); err != nil {
				return err
			}
			return cause
		})
		if !errors.Is(err, cause) {
			t.Error(err)
		}
		if u := addUser(t, s, "ada"); u.ID != 1 {
			t.Errorf("id %d: the counter was not rolled back", u.ID)
		}
	})
}

func TestClosedStoreIsUnavailable(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		for name, call := range map[string]func() error{
			"read":     func() error { _, err := s.UserByName(ctx, "ada"); return err },
			"write":    func() error { return s.EnableUser(ctx, 1, epoch) },
			"transact": func() error { _, err := s.DisableUser(ctx, 1, epoch); return err },
			"create":   func() error { _, err := s.CreateUser(ctx, User{Username: "x"}); return err },
			"session":  func() error { _, _, err := s.SessionWithUser(ctx, "x"); return err },
			"ready":    func() error { return s.Ready(ctx) },
			"list": func() error {
				for _, err := range s.Users(ctx) {
					return err
				}
				return nil
			},
		} {
			if err := call(); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestOpenAgainAndTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				s, err := Open(t.Context(), url)
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Ready(context.WithoutCancel(t.Context())); err != nil {
					t.Error(err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	})
}

func BenchmarkSessionWithUser(b *testing.B) {
	s, err := Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "sherpa.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	u, err := s.CreateUser(
		b.Context(), User{Username: "ada", PasswordHash: "h", CreatedAt: epoch, PasswordChangedAt: epoch},
	)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.CreateSession(b.Context(), u, testSession("x", u.ID)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := s.SessionWithUser(b.Context(), "x"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPurge(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ctx := t.Context()
		ada := addUser(t, s, "ada")
		for i := range 25 {
			addSession(t, s, fmt.Sprint("old", i), ada.ID)
		}
		now := epoch.Add(6*week + time.Hour) // more than 30 days after the old ones went idle
		fresh := testSession("fresh", ada.ID)
		fresh.CreatedAt, fresh.IdleEndsAt = now, now.Add(week)
		recent := testSession("ended lately", ada.ID)
		recent.IdleEndsAt = now.Add(-time.Hour)
		for _, session := range []Session{fresh, recent} {
			if err := s.CreateSession(ctx, ada, session); err != nil {
				t.Fatal(err)
			}
		}
		for _, at := range []time.Time{epoch, now} {
			attempt := LoginAttempt{
				NameKey:        at.String(),
				NameAddressKey: at.String(),
				AddressKey:     at.String(),
				At:             at,
				Interval:       time.Second,
				Burst:          2,
			}
			if count, err := s.CountLogin(ctx, attempt); count.Wait != 0 || err != nil {
				t.Fatal(count, err)
			}
			if _, err := s.EndSession(
				ctx, ada.ID, map[bool]string{true: "old0", false: "ended lately"}[at.Equal(epoch)],
				EndedByLogout, at,
			); err != nil {
				t.Fatal(err)
			}
		}
		const age = `UPDATE revocations SET revoked_at = revoked_at - 90000001 WHERE session_id = 'old0'`
		change(t, s, age)
		if err := s.ResetFailures(
			ctx, LoginAttempt{NameKey: "x", NameAddressKey: "long ago", At: now.Add(-100 * 24 * time.Hour)},
		); err != nil {
			t.Fatal(err)
		}

		addReset(t, s, "expired", ada.ID)
		open := testReset("open", ada.ID)
		open.ExpiresAt = now.Add(time.Minute)
		if err := s.CreatePasswordReset(ctx, open, now); err != nil {
			t.Fatal(err)
		}

		steps := 0
		for more := true; more; steps++ {
			var err error
			if more, err = s.Purge(ctx, now, 0, 10); err != nil {
				t.Fatal(err)
			}
		}
		if steps != 3 {
			t.Errorf("%d batches of 10 for 25 rows", steps)
		}
		got := map[string]int{}
		for _, table := range []string{"sessions", "revocations", "login_failures", "login_rates",
			"known_addresses", "password_resets", "users"} {
			var n int
			if err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			got[table] = n
		}
		want := map[string]int{
			"sessions":        2,
			"revocations":     1,
			"login_failures":  1,
			"login_rates":     1,
			"known_addresses": 0,
			"password_resets": 1,
			"users":           1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestRotationAndEndDoNotBothWin(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada", "guide", "admin")
		addSession(t, s, "x", ada.ID)
		rotation := Rotation{
			SessionID:  "x",
			FromCount:  0,
			FromHash:   "hash 0",
			Hash:       "hash 1",
			At:         epoch.Add(time.Hour),
			IdleEndsAt: epoch.Add(2 * week),
		}
		rotated, err := s.RotateSession(t.Context(), rotation)
		want := Rotated{
			UserID:   ada.ID,
			Username: "ada",
			Roles:    []string{"guide", "admin"},
			EndsAt:   epoch.Add(4 * week),
		}
		if diff := cmp.Diff(want, rotated); diff != "" || err != nil {
			t.Error(diff, err)
		}
		session := testSession("x", ada.ID)
		session.LastUsedAt, session.IdleEndsAt = rotation.At, rotation.IdleEndsAt
		session.RefreshHash, session.RefreshCount = rotation.Hash, 1
		got, _, err := s.SessionWithUser(t.Context(), "x")
		if diff := cmp.Diff(session, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if _, err := s.RotateSession(t.Context(), rotation); !errors.Is(err, ErrNotFound) {
			t.Errorf("a second rotation from the same count: %v", err)
		}
		if ended, err := s.EndSession(t.Context(), ada.ID+1, "x", EndedByLogout, epoch); ended || err != nil {
			t.Errorf("somebody else ended it: %v", err)
		}
		for i, want := range []bool{true, false} {
			if ended, err := s.EndSession(
				t.Context(), ada.ID, "x", EndedByLogout, epoch,
			); ended != want ||
				err != nil {
				t.Errorf("end %d: %v %v", i, ended, err)
			}
		}
		rotation.FromCount, rotation.FromHash = 1, rotation.Hash
		if _, err := s.RotateSession(t.Context(), rotation); !errors.Is(err, ErrNotFound) {
			t.Errorf("an ended session was rotated: %v", err)
		}
		news, err := revokedIDs(t, s, time.Minute) // whatever the clock of who ended it said
		if diff := cmp.Diff([]string{"x"}, news); diff != "" || err != nil {
			t.Error(diff, err)
		}
		change(t, s, `UPDATE revocations SET revoked_at = revoked_at - 60001`)
		if news, err := revokedIDs(t, s, time.Minute); len(news) != 0 || err != nil {
			t.Errorf("news of more than a minute ago: %v, %v", news, err)
		}
	})
}

func TestRotationWants(t *testing.T) {
	good := Rotation{
		SessionID:  "x",
		FromHash:   "hash 0",
		Hash:       "hash 1",
		At:         epoch,
		IdleEndsAt: epoch.Add(week),
	}
	tests := []struct {
		name   string
		change func(*Rotation)
		ok     bool
	}{
		{"all that it says", func(*Rotation) {}, true},
		{"the session", func(r *Rotation) { r.SessionID = "y" }, false},
		{"the count", func(r *Rotation) { r.FromCount = 1 }, false},
		{"the hash", func(r *Rotation) { r.FromHash = "hash 9" }, false},
		{"not idle too long", func(r *Rotation) { r.At = epoch.Add(week) }, false},
		{"not idle quite too long", func(r *Rotation) { r.At = epoch.Add(week - time.Millisecond) }, true},
	}
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		rotate := func(name string, prepare func(User), r Rotation, ok bool) {
			change(t, s, `DELETE FROM users`)
			ada := addUser(t, s, "ada")
			addSession(t, s, "x", ada.ID)
			prepare(ada)
			if done, err := s.rotateBatch(t.Context(), []Rotation{r}); err != nil || (done[0] != nil) != ok {
				t.Errorf("%s: together: %v, %v", name, done, err)
			}
			again(t, s)
			if _, err := scanRotated(
				s.write.QueryRowContext(t.Context(), rotateSessionQuery(), r.args()...),
			); (err == nil) != ok ||
				err != nil && !errors.Is(err, sql.ErrNoRows) {
				t.Errorf("%s: alone: %v", name, err)
			}
			again(t, s)
			if _, err := s.RotateSession(
				t.Context(), r,
			); (err == nil) != ok ||
				err != nil && !errors.Is(err, ErrNotFound) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, tt := range tests {
			r := good
			tt.change(&r)
			rotate(tt.name, func(User) {}, r, tt.ok)
		}
		execute := func(query string) func(User) { return func(User) { change(t, s, query) } }
		rotate("a user who is not disabled", execute(`UPDATE users SET disabled_at = 1`), good, false)
		rotate("not too old", execute(`UPDATE sessions SET ends_at = last_used_at`), good, false)
		rotate("not ended", execute(`UPDATE sessions SET ended_at = 1`), good, false)
	})
}

// again makes all sessions as addSession does, but for what ends them.
func again(t *testing.T, s *Store) {
	t.Helper()
	change(
		t,
		s,
		`UPDATE sessions SET refresh_count = 0, refresh_hash = 'hash 0', last_used_at = created_at,
			idle_ends_at = created_at + `+fmt.Sprint(
			week.Milliseconds(),
		),
	)
}

// change runs a statement that no method of the store has.
func change(t *testing.T, s *Store, query string) {
	t.Helper()
	if _, err := s.write.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}
