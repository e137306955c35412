package models

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sherpa/internal/pgtest"
)

func setRoles(roles ...string) UserChange {
	return UserChange{Roles: func([]string) ([]string, error) { return roles, nil }}
}

func addRole(role string) UserChange {
	return UserChange{Roles: func(before []string) ([]string, error) { return append(before, role), nil }}
}

// TestChangeUser: what differs is changed, recorded, and told to replicas. What does not is left alone.
func TestChangeUser(t *testing.T) {
	later := epoch.Add(time.Hour)
	no := errors.New("no")
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		for _, tt := range []struct {
			name   string
			change UserChange
			want   ChangedUser // what differs from before
			told   bool        // whether replicas must read the session again
			events []Event
			err    error
		}{
			{name: "nothing"},
			{name: "the same roles", change: setRoles("guide")},
			{name: "enabled already", change: UserChange{Disabled: new(false)}},
			{name: "another role", change: addRole("cook"),
				want: ChangedUser{User: User{Roles: []string{"guide", "cook"}}}, told: true,
				events: []Event{{Kind: EventRolesChanged, Reason: "guide cook"}}},
			{name: "no role", change: setRoles(),
				want: ChangedUser{User: User{Roles: []string{}}}, told: true,
				events: []Event{{Kind: EventRolesChanged}}},
			{name: "disabled", change: UserChange{Disabled: new(true)},
				want: ChangedUser{User: User{DisabledAt: later}, Ended: []string{"adas"}}, told: true,
				events: []Event{{Kind: EventSessionEnded, Reason: "user_disabled", SessionID: "adas"},
					{Kind: EventUserDisabled}}},
			{name: "refused roles",
				change: UserChange{Roles: func([]string) ([]string, error) { return nil, no }}, err: no},
			{name: "of another version", change: UserChange{Versions: []string{"x"}, Disabled: new(true)},
				err: ErrChanged},
			{name: "of no version", change: UserChange{Versions: []string{}, Disabled: new(true)},
				err: ErrChanged},
		} {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				s := openStore(t, database(t))
				ada := addUser(t, s, "ada", "guide")
				addSession(t, s, "adas", ada.ID)
				seen := len(events(t, s, EventFilter{}))
				want := ada
				if tt.want.Roles != nil {
					want.Roles = tt.want.Roles
				}
				want.DisabledAt = tt.want.DisabledAt
				got, err := s.ChangeUser(t.Context(), ada.ID, tt.change, later)
				if !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
					t.Fatal(err)
				}
				stored, err := s.UserByID(t.Context(), ada.ID)
				if diff := cmp.Diff(want, stored, cmpopts.EquateEmpty()); diff != "" || err != nil {
					t.Error("stored:", diff, err)
				}
				tt.want.User = want
				if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); tt.err == nil && diff != "" {
					t.Error("returned:", diff)
				}
				ignore := cmpopts.IgnoreFields(Event{}, "ID", "At", "LastAt", "Times", "SubjectID",
					"SubjectName", "Origin")
				if diff := cmp.Diff(tt.events, events(t, s, EventFilter{})[seen:], ignore,
					cmpopts.EquateEmpty()); diff != "" {
					t.Error("recorded:", diff)
				}
				news, err := revokedIDs(t, s, time.Minute)
				if slices.Contains(news, "adas") != tt.told || len(news) > 1 || err != nil {
					t.Error("told:", news, err)
				}
			})
		}
	})
}

func TestVersionIsAnotherOneAfterEachChange(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		addUser(t, s, "bob", "admin")
		version := func() string {
			t.Helper()
			u, err := s.UserByID(t.Context(), ada.ID)
			if err != nil {
				t.Fatal(err)
			}
			return u.Version()
		}
		seen := []string{version()}
		if seen[0] != ada.Version() {
			t.Error("the version of a new user is not that of the stored one")
		}
		for name, do := range map[string]func() error{
			"password": func() error {
				_, err := s.SetPassword(t.Context(), ada.ID, "h", "", epoch.Add(time.Second))
				return err
			},
			"roles": func() error {
				_, err := s.ChangeUser(t.Context(), ada.ID, setRoles("x"), epoch)
				return err
			},
			"disable": func() error { _, err := s.DisableUser(t.Context(), ada.ID, epoch); return err },
		} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
			if slices.Contains(seen, version()) {
				t.Errorf("%s: the version is an old one", name)
			}
			seen = append(seen, version())
		}
		for _, old := range seen[:len(seen)-1] {
			if _, err := s.DeleteUser(t.Context(), ada.ID, epoch, old); !errors.Is(err, ErrChanged) {
				t.Errorf("deleted by an old version: %v", err)
			}
		}
		if _, err := s.DeleteUser(t.Context(), ada.ID, epoch, "other", version()); err != nil {
			t.Error(err)
		}
	})
}

// TestRoleChangesAtTheSameTime: none is lost.
func TestRoleChangesAtTheSameTime(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		stores := twoStores(t, database(t))
		ada := addUser(t, stores[0], "ada")
		var wg sync.WaitGroup
		var want []string
		for i := range 12 {
			role := fmt.Sprintf("r%02d", i)
			want = append(want, role)
			wg.Go(func() {
				_, err := stores[i%2].ChangeUser(t.Context(), ada.ID, addRole(role), epoch)
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		got, err := stores[0].UserByID(t.Context(), ada.ID)
		slices.Sort(got.Roles)
		if diff := cmp.Diff(want, got.Roles); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

// TestChangesOfOneVersionAtTheSameTime: one of them succeeds.
func TestChangesOfOneVersionAtTheSameTime(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		stores := twoStores(t, database(t))
		ada := addUser(t, stores[0], "ada")
		results := make(chan error, 8)
		for i := range cap(results) {
			go func() {
				change := addRole(fmt.Sprint("r", i))
				change.Versions = []string{ada.Version()}
				_, err := stores[i%2].ChangeUser(t.Context(), ada.ID, change, epoch)
				results <- err
			}()
		}
		made := 0
		for range cap(results) {
			switch err := <-results; {
			case err == nil:
				made++
			case !errors.Is(err, ErrChanged):
				t.Error(err)
			}
		}
		if made != 1 {
			t.Errorf("%d changes of the same version succeeded", made)
		}
	})
}

// takeAdmin lists the ways in which an administrator can cease to be one.
func takeAdmin() map[string]func(context.Context, *Store, int64) error {
	return map[string]func(context.Context, *Store, int64) error{
		"demote": func(ctx context.Context, s *Store, id int64) error {
			_, err := s.ChangeUser(ctx, id, setRoles("guide"), epoch)
			return err
		},
		"disable": func(ctx context.Context, s *Store, id int64) error {
			_, err := s.DisableUser(ctx, id, epoch)
			return err
		},
		"delete": func(ctx context.Context, s *Store, id int64) error {
			_, err := s.DeleteUser(ctx, id, epoch)
			return err
		},
	}
}

func TestLastAdminStays(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		for name, take := range takeAdmin() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := openStore(t, database(t))
				first := addUser(t, s, "first", "guide", "admin", "cook")
				second := addUser(t, s, "second", "admin")
				addUser(t, s, "like one", "administrator", "not-admin", "admin2")
				disabled := addUser(t, s, "disabled", "admin")
				if _, err := s.DisableUser(t.Context(), disabled.ID, epoch); err != nil {
					t.Fatal(err)
				}
				if err := take(t.Context(), s, second.ID); err != nil {
					t.Errorf("with another one left: %v", err)
				}
				if err := take(t.Context(), s, first.ID); !errors.Is(err, ErrLastAdmin) {
					t.Errorf("the last one: %v", err)
				}
				got, err := s.UserByID(t.Context(), first.ID)
				if diff := cmp.Diff(first, got); diff != "" || err != nil {
					t.Error(diff, err)
				}
				if err := take(t.Context(), s, disabled.ID); err != nil {
					t.Errorf("one who cannot log in: %v", err)
				}
				keeps := setRoles("admin")
				keeps.Disabled = new(false)
				if _, err := s.ChangeUser(t.Context(), first.ID, keeps, epoch); err != nil {
					t.Errorf("a change that keeps the role: %v", err)
				}
			})
			t.Run(name+" where there is none", func(t *testing.T) {
				t.Parallel()
				s := openStore(t, database(t))
				if err := take(t.Context(), s, addUser(t, s, "ada").ID); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// TestAdminWhoAppearsMeanwhile: the only administrator ceases to be one while an invited one sets a password,
// and somebody takes the role from the invited one. That change began before, so it has not seen the new
// administrator when it locks all of them.
func TestAdminWhoAppearsMeanwhile(t *testing.T) {
	t.Parallel()
	for name, take := range takeAdmin() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, pgtest.Database(t))
			first, invited := addUser(t, s, "first", "admin"), addUser(t, s, "invited", "admin")
			change(t, s, `UPDATE users SET password_hash = '' WHERE username = 'invited'`)
			others, err := s.write.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer others.Rollback()
			const changes = `UPDATE users SET
				password_hash = CASE id WHEN $1 THEN password_hash ELSE 'new' END,
				roles = CASE id WHEN $1 THEN '' ELSE roles END`
			if _, err := others.ExecContext(t.Context(), changes, first.ID); err != nil {
				t.Fatal(err)
			}
			taken := make(chan error, 1)
			go func() { taken <- take(t.Context(), s, invited.ID) }()
			until(t, func() bool { return waiting(t, s) }) // it has come to the rows that are being changed
			if err := others.Commit(); err != nil {
				t.Fatal(err)
			}
			if err := <-taken; !errors.Is(err, ErrLastAdmin) {
				t.Errorf("nobody is left: %v", err)
			}
		})
	}
}

// TestChangesOfOthersLockNoAdministrator: who changes a user without the role waits for no administrator.
func TestChangesOfOthersLockNoAdministrator(t *testing.T) {
	t.Parallel()
	for name, take := range takeAdmin() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t, pgtest.Database(t))
			addUser(t, s, "first", "admin")
			ada := addUser(t, s, "ada", "guide")
			other, err := s.write.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Rollback()
			const lock = `UPDATE users SET roles = 'admin cook' WHERE username = 'first'`
			if _, err := other.ExecContext(t.Context(), lock); err != nil {
				t.Fatal(err)
			}
			if err := take(t.Context(), s, ada.ID); err != nil { // after writeWait, if it waited
				t.Error(err)
			}
		})
	}
}

// TestLastAdminsAtTheSameTime takes away all administrators at the same moment, each in one of the ways and
// by one of two replicas. One stays.
func TestLastAdminsAtTheSameTime(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		stores := twoStores(t, database(t))
		for round := range 10 {
			results, start := make(chan error), make(chan struct{})
			n := 0
			for name, take := range takeAdmin() {
				for i := range 2 {
					user, s := addUser(t, stores[0], fmt.Sprint(name, round, i), "admin"), stores[i]
					go func() {
						<-start
						results <- take(t.Context(), s, user.ID)
					}()
					n++
				}
			}
			close(start)
			refused := 0
			for range n {
				if err := <-results; errors.Is(err, ErrLastAdmin) {
					refused++
				} else if err != nil {
					t.Error(err)
				}
			}
			left, err := stores[0].UserPage(t.Context(), UserFilter{Role: "admin", Disabled: new(false)},
				Page[string]{Limit: 10})
			if len(left) != 1 || refused != 1 || err != nil {
				t.Fatalf("round %d: %d are left, %d changes were refused, %v", round, len(left), refused, err)
			}
			change(t, stores[0], `UPDATE users SET roles = ''`) // the next round has its own
		}
	})
}
