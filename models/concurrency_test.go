package models

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// twoStores are as two replicas have them.
func twoStores(t *testing.T, url string) [2]*Store {
	t.Helper()
	return [2]*Store{openStore(t, url), openStore(t, url)}
}

// TestLoginsDuringDisable: whichever is first, no session lives on. Also for a new password and a deletion.
func TestLoginsDuringDisable(t *testing.T) {
	changes := map[string]func(context.Context, *Store, int64) error{
		"disable": func(ctx context.Context, s *Store, id int64) error {
			_, err := s.DisableUser(ctx, id, epoch)
			return err
		},
		"delete": func(ctx context.Context, s *Store, id int64) error {
			_, err := s.DeleteUser(ctx, id, epoch)
			return err
		},
		"password": func(ctx context.Context, s *Store, id int64) error {
			_, err := s.SetPassword(ctx, id, "new", "", epoch.Add(time.Second))
			return err
		},
	}
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		stores := twoStores(t, database(t))
		for name, change := range changes {
			for round := range 15 {
				user := addUser(t, stores[0], fmt.Sprint(name, round))
				made := loginsDuring(
					t, stores, user, func() error { return change(t.Context(), stores[1], user.ID) },
				)
				news, err := revokedIDs(t, stores[0], time.Minute)
				if err != nil {
					t.Fatal(err)
				}
				for _, id := range made {
					session, _, err := stores[0].SessionWithUser(t.Context(), id)
					told := slices.Contains(news, id)
					if err == nil && session.EndedReason == "" || !told || err != nil && name != "delete" {
						t.Fatalf(
							"%s, round %d: the session lives on, or nobody was told (%v): %v %v", name, round,
							told, session.EndedReason, err,
						)
					}
				}
			}
		}
	})
}

// loginsDuring starts sessions from all sides while the change takes place, and returns those that were made.
func loginsDuring(t *testing.T, stores [2]*Store, user User, change func() error) (made []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 4 {
				id := fmt.Sprint(user.Username, "-", i, "-", j)
				err := stores[i%2].CreateSession(t.Context(), user, testSession(id, user.ID))
				if err != nil && !errors.Is(err, ErrNotFound) {
					t.Error(err)
				}
				if err == nil {
					mu.Lock()
					made = append(made, id)
					mu.Unlock()
				}
			}
		})
	}
	wg.Go(func() {
		if err := change(); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	return made
}

func TestOneRotationWins(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		stores := twoStores(t, database(t))
		ada := addUser(t, stores[0], "ada")
		addSession(t, stores[0], "x", ada.ID)
		var mu sync.Mutex
		won := 0
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				// The same hash before and after: only the count tells them apart.
				_, err := stores[i%2].RotateSession(
					t.Context(),
					Rotation{
						SessionID:  "x",
						FromHash:   "hash 0",
						Hash:       "hash 0",
						At:         epoch,
						IdleEndsAt: epoch.Add(week),
					},
				)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
				case !errors.Is(err, ErrNotFound):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if session, _, err := stores[1].SessionWithUser(
			t.Context(), "x",
		); won != 1 || session.RefreshCount != 1 ||
			err != nil {
			t.Errorf("%d won, count %d, %v", won, session.RefreshCount, err)
		}
	})
}

// TestTriesAreCountedOnce compares many tries at once, from two sides, with the same tries one after the
// other.
func TestTriesAreCountedOnce(t *testing.T) {
	attempt := func(name string) LoginAttempt {
		return LoginAttempt{
			NameKey:        name,
			NameAddressKey: name + " here",
			AddressKey:     "here " + name,
			At:             epoch,
			Interval:       time.Second,
			Burst:          30,
		}
	}
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		stores := twoStores(t, database(t))
		admitted := map[string]int{}
		var mu sync.Mutex
		try := func(s *Store, a LoginAttempt) {
			count, err := s.CountLogin(t.Context(), a)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if count.Wait == 0 {
				admitted[a.NameKey]++
			}
		}
		var wg sync.WaitGroup
		for i := range 40 {
			try(stores[0], attempt("one by one"))
			wg.Go(func() { try(stores[i%2], attempt("at once")) })
			wg.Go(func() { // many names at one address
				a := attempt(fmt.Sprint("name", i))
				a.AddressKey = "everywhere"
				try(stores[i%2], a)
			})
		}
		wg.Wait()
		names := 0
		for name, n := range admitted {
			if strings.HasPrefix(name, "name") {
				names += n
			}
		}
		if admitted["at once"] != admitted["one by one"] || admitted["at once"] < FreeTries || names != 30 {
			t.Errorf("admitted %v; at one address %d of 40, want 30", admitted, names)
		}
	})
}

// TestChangesInEachOthersWay: who ends the same sessions at the same time waits, and nobody fails.
func TestChangesInEachOthersWay(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		stores := twoStores(t, database(t))
		ada := addUser(t, stores[0], "ada")
		ended := map[string]int{}
		for round := range 10 {
			for i := range 20 {
				addSession(t, stores[0], fmt.Sprint(round, "-", i), ada.ID)
			}
			var mu sync.Mutex
			var wg sync.WaitGroup
			for i := range 8 {
				wg.Go(func() {
					ids, err := stores[i%2].EndSessions(t.Context(), ada.ID, "", EndedByLogout, epoch)
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					for _, id := range ids {
						ended[id]++
					}
				})
				wg.Go(func() {
					if _, err := stores[i%2].Purge(t.Context(), epoch, 0, 10); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		for id, n := range ended {
			if n != 1 {
				t.Errorf("%s ended %d times", id, n)
			}
		}
		if len(ended) != 200 {
			t.Errorf("%d ended, want 200", len(ended))
		}
	})
}

func TestNamesThatNoColumnCanHold(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		for _, name := range []string{"\x00", "\xff", "a\x00b", "\xed\xa0\x80"} {
			if _, _, err := s.SessionWithUser(t.Context(), name); !errors.Is(err, ErrNotFound) {
				t.Errorf("session %q: %v", name, err)
			}
			if _, err := s.UserByName(t.Context(), name); !errors.Is(err, ErrNotFound) {
				t.Errorf("user %q: %v", name, err)
			}
		}
		addUser(t, s, "ada") // the connection is well
	})
}

func TestListsMayBeLeftEarly(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		for i := range 5 {
			u := addUser(t, s, fmt.Sprint("u", i))
			addSession(t, s, fmt.Sprint("s", i), u.ID)
		}
		for range 50 { // more often than there are connections
			for _, err := range s.Users(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			for named, err := range s.LiveSessions(t.Context(), 0, epoch) {
				if err != nil || !strings.HasPrefix(named.Username, "u") {
					t.Fatal(named, err)
				}
				break
			}
		}
	})
}

func TestCancelledCallsLeaveTheStoreWell(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			err := s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
				if _, err := s.nextID(ctx, tx, "users"); err != nil {
					return err
				}
				cancel()
				_, err := s.nextID(ctx, tx, "users")
				return err
			})
			if err == nil {
				t.Fatal("a cancelled transaction was committed")
			}
		}
		if u := addUser(t, s, "ada"); u.ID != 1 {
			t.Errorf("id %d: a cancelled transaction left something", u.ID)
		}
	})
}

// TestAnAbandonedTransactionSaysSo: the caller has gone, and the database is well.
func TestAnAbandonedTransactionSaysSo(t *testing.T) {
	tests := map[string]func(tx *sql.Tx) error{
		"at the commit": func(tx *sql.Tx) error {
			for !errors.Is(tx.Commit(), sql.ErrTxDone) {
				time.Sleep(time.Millisecond) // database/sql rolls it back meanwhile
			}
			return nil
		},
		"before it": func(*sql.Tx) error {
			return fmt.Errorf("count: %w: %w", ErrUnavailable, driver.ErrBadConn) // as pgx may do
		},
	}
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		for name, do := range tests {
			ctx, cancel := context.WithCancel(t.Context())
			err := s.Transact(ctx, func(_ context.Context, tx *sql.Tx) error {
				cancel()
				return do(tx)
			})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v, want one that wraps %v", name, err, context.Canceled)
			}
		}
	})
}
