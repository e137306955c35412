package models

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/internal/pgtest"
)

// revokedIDs returns the ids in the feed.
func revokedIDs(t *testing.T, s *Store, past time.Duration) (ids []string, err error) {
	t.Helper()
	found, err := s.Revocations(t.Context(), past)
	for _, r := range found.Entries {
		ids = append(ids, r.SessionID)
	}
	return ids, err
}

// TestRevocationsSayWhatTheSessionIsNow: an entry names a session, and the reader learns its present state.
func TestRevocationsSayWhatTheSessionIsNow(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ctx := t.Context()
		found, err := s.Revocations(ctx, time.Minute)
		if len(found.Entries) != 0 || found.At.IsZero() || err != nil {
			t.Errorf("an empty feed: %+v, %v", found, err)
		}
		for _, name := range []string{"living", "bare", "ended", "disabled", "deleted"} {
			addSession(t, s, name, addUser(t, s, name, "guide").ID)
		}
		change(t, s, `INSERT INTO revocations (revoked_at, session_id)
			SELECT `+s.engine.clock+`, id FROM sessions UNION ALL SELECT `+s.engine.clock+`, '*'`)
		change(t, s, `UPDATE users SET roles = 'guide admin' WHERE username = 'living'`)
		change(t, s, `UPDATE users SET roles = '' WHERE username = 'bare'`)
		change(t, s, `UPDATE sessions SET ended_at = 1, ended_reason = 'logout' WHERE id = 'ended'`)
		change(t, s, `UPDATE users SET disabled_at = 1 WHERE username = 'disabled'`)
		change(t, s, `DELETE FROM users WHERE username = 'deleted'`)

		found, err = s.Revocations(ctx, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		var since []Revocation
		for r, err := range s.RevocationsSince(ctx, found.At.Add(-time.Minute)) {
			if err != nil {
				t.Fatal(err)
			}
			since = append(since, r)
		}
		want := map[string]Revocation{
			"living": {Roles: []string{"guide", "admin"}}, "bare": {Roles: []string{}},
			"ended": {Ended: true}, "disabled": {Ended: true}, "deleted": {Ended: true},
			EverySession: {Ended: true},
		}
		for name, all := range map[string][]Revocation{"past": found.Entries, "since": since} {
			got := map[string]Revocation{}
			for _, r := range all {
				if age := found.At.Sub(r.At); age < 0 || age > time.Minute {
					t.Errorf("%s: %s has the time %v, and it is %v", name, r.SessionID, r.At, found.At)
				}
				got[r.SessionID] = Revocation{Ended: r.Ended, Roles: r.Roles}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(all) != len(want) {
				t.Errorf("%s: %s", name, diff)
			}
		}
		later := slices.Collect(func(yield func(string) bool) {
			for r := range s.RevocationsSince(ctx, found.At.Add(time.Second)) {
				yield(r.SessionID)
			}
		})
		if len(later) != 0 {
			t.Errorf("of a later time: %v", later)
		}
	})
}

// TestEachChangeHasAnEntry: a reader takes an entry that it has seen for no news, so a second change within
// the same millisecond needs another one, later than the first.
func TestEachChangeHasAnEntry(t *testing.T) {
	const changes = 100
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ctx := t.Context()
		err := s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
			for range changes {
				err = errors.Join(err, s.revoke(ctx, tx, []string{"one", "two"}))
			}
			return err
		})
		ids, readErr := revokedIDs(t, s, time.Minute)
		if err != nil || readErr != nil || len(ids) != 2*changes {
			t.Errorf("%d entries of two sessions after %d changes; %v, %v", len(ids), changes, err, readErr)
		}
	})
}

// TestChangesAtTheSameMoment: a transaction finds the entry of another one only when that has ended.
func TestChangesAtTheSameMoment(t *testing.T) {
	t.Parallel()
	s := openStore(t, pgtest.Database(t))
	s.engine.clock = "CAST(1000 AS BIGINT)"
	ctx := t.Context()
	first, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Rollback()
	if err := s.revoke(ctx, first, []string{"one"}); err != nil {
		t.Fatal(err)
	}
	second := make(chan error, 1)
	go func() {
		second <- s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
			return s.revoke(ctx, tx, []string{"one"})
		})
	}()
	until(t, func() bool { return waiting(t, s) })
	if err := errors.Join(first.Commit(), <-second); err != nil {
		t.Fatal(err)
	}
	found, err := s.Revocations(ctx, 0)
	if err != nil || len(found.Entries) != 1 || found.Entries[0].At.UnixMilli() != 1001 {
		t.Errorf("%+v, %v, want one entry, a millisecond after the first", found, err)
	}
}

func TestRevocationsInTheirOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		change(t, s, `INSERT INTO revocations (revoked_at, session_id)
			VALUES (3000, 'c'), (1000, 'z'), (2000, 'b'), (2000, 'a')`)
		var got []string
		for r, err := range s.RevocationsSince(t.Context(), time.UnixMilli(2000)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r.SessionID)
		}
		if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestRevokedIsCalledAfterTheCommit: whoever waits for news is told once they can be read.
func TestRevokedIsCalledAfterTheCommit(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		addSession(t, s, "x", ada.ID)
		var told, read []string
		s.Revoked = func(ids ...string) {
			told = append(told, ids...)
			found, err := revokedIDs(t, s, time.Minute)
			if err != nil {
				t.Error(err)
			}
			read = found
		}
		for range 2 { // the second one ends nothing
			if _, err := s.EndSession(t.Context(), ada.ID, "x", EndedByLogout, epoch); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([][]string{{"x"}, {"x"}}, [][]string{told, read}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestAUserWithManySessionsCanBeStopped: however many sessions a user has, a change that ends them, or tells
// of them, takes the same number of statements. With one for each session, it would exceed writeWait.
func TestAUserWithManySessionsCanBeStopped(t *testing.T) {
	const many = 3000
	changes := map[string]func(context.Context, *Store, User) error{
		"logout everywhere": func(ctx context.Context, s *Store, u User) error {
			_, err := s.EndSessions(ctx, u.ID, "", EndedByLogout, epoch)
			return err
		},
		"password": func(ctx context.Context, s *Store, u User) error {
			_, err := s.SetPassword(ctx, u.ID, "new", "", epoch)
			return err
		},
		"reset": func(ctx context.Context, s *Store, u User) error {
			reset := testReset("reset of "+u.Username, u.ID)
			if err := s.CreatePasswordReset(ctx, reset, epoch); err != nil {
				return err
			}
			_, err := s.RedeemPasswordReset(ctx, Redemption{PasswordReset: reset, PasswordHash: "new",
				Attempt: LoginAttempt{At: epoch}})
			return err
		},
		"roles": func(ctx context.Context, s *Store, u User) error {
			_, err := s.ChangeUser(ctx, u.ID, setRoles("cook"), epoch)
			return err
		},
		"disable": func(ctx context.Context, s *Store, u User) error {
			_, err := s.DisableUser(ctx, u.ID, epoch)
			return err
		},
		"delete": func(ctx context.Context, s *Store, u User) error {
			_, err := s.DeleteUser(ctx, u.ID, epoch)
			return err
		},
	}
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		for name, stop := range changes {
			t.Run(name, func(t *testing.T) {
				s := openStore(t, database(t))
				var count atomic.Int64
				s.Observe(func(context.Context, string, time.Duration, bool) { count.Add(1) })
				statements := func(u User) int64 {
					count.Store(0)
					if err := stop(t.Context(), s, u); err != nil {
						t.Fatal(err)
					}
					return count.Load()
				}
				one, crowd := addUser(t, s, "one"), addUser(t, s, "crowd")
				addSession(t, s, "0", one.ID)
				addSessions(t, s, crowd.ID, many)
				few := statements(one)
				if n := statements(crowd); n != few {
					t.Errorf("%d statements for %d sessions, and %d for one", n, many, few)
				}
				news, err := revokedIDs(t, s, time.Minute)
				if len(news) != many+1 || err != nil {
					t.Errorf("%d entries of the feed, want %d; %v", len(news), many+1, err)
				}
			})
		}
	})
}
