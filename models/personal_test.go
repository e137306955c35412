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

const manyTokens = 50

func testToken(id string, userID int64) PersonalToken {
	return PersonalToken{
		ID: id, UserID: userID, Name: "deploy", Hash: "hash of " + id, Roles: []string{"editor"},
		Allows: []string{"account"}, CreatedAt: epoch, ExpiresAt: epoch.Add(week),
	}
}

func addToken(t *testing.T, s *Store, id string, userID int64) PersonalToken {
	t.Helper()
	token := testToken(id, userID)
	if err := s.CreatePersonalToken(t.Context(), token, "", manyTokens); err != nil {
		t.Fatal(err)
	}
	return token
}

func TestPersonalTokenRoundTrip(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada, bob := addUser(t, s, "ada", "admin", "editor"), addUser(t, s, "bob")
		want := addToken(t, s, "a", ada.ID)
		bare := PersonalToken{ID: "b", UserID: ada.ID, Name: "ë 🏔", Hash: "h", Roles: []string{},
			Allows: []string{}, CreatedAt: epoch.Add(time.Second), ExpiresAt: epoch.Add(week)}
		if err := s.CreatePersonalToken(t.Context(), bare, "", manyTokens); err != nil {
			t.Fatal(err)
		}
		addToken(t, s, "bobs", bob.ID)

		got, user, err := s.PersonalTokenWithUser(t.Context(), "a")
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		owner := User{ID: ada.ID, Username: "ada", Roles: ada.Roles}
		if diff := cmp.Diff(owner, user); diff != "" {
			t.Error(diff)
		}
		all, err := s.PersonalTokens(t.Context(), ada.ID)
		if diff := cmp.Diff([]PersonalToken{bare, want}, all); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

func TestPersonalTokensThatAreMissing(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada, bob := addUser(t, s, "ada"), addUser(t, s, "bob")
		addToken(t, s, "bobs", bob.ID)
		ctx := t.Context()
		if _, err := s.DisableUser(ctx, ada.ID, epoch); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"read":                 third(s.PersonalTokenWithUser(ctx, "none' OR '1'='1")),
			"delete":               s.DeletePersonalToken(ctx, bob.ID, "none", epoch),
			"delete somebody's":    s.DeletePersonalToken(ctx, ada.ID, "bobs", epoch),
			"delete all of nobody": second(s.DeletePersonalTokens(ctx, 99, epoch)),
			"create of nobody":     s.CreatePersonalToken(ctx, testToken("x", 99), "", manyTokens),
			"create of a disabled": s.CreatePersonalToken(ctx, testToken("x", ada.ID), "", manyTokens),
		} {
			if !errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := s.PersonalTokenWithUser(ctx, "bobs"); err != nil {
			t.Errorf("bob's token: %v", err)
		}
	})
}

func second[A any](_ A, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }

func TestPersonalTokensHaveALimit(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		stores := []*Store{openStore(t, url), openStore(t, url)} // as two processes would
		ada, bob := addUser(t, stores[0], "ada"), addUser(t, stores[0], "bob")
		const limit, tries = 5, 20
		var made sync.Map
		var wg sync.WaitGroup
		for i := range tries {
			wg.Go(func() {
				id := fmt.Sprint("t", i)
				err := stores[i%2].CreatePersonalToken(t.Context(), testToken(id, ada.ID), "", limit)
				if err == nil {
					made.Store(id, true)
				} else if !errors.Is(err, ErrTooManyTokens) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		n := 0
		made.Range(func(any, any) bool { n++; return true })
		all, err := stores[0].PersonalTokens(t.Context(), ada.ID)
		if n != limit || len(all) != limit || err != nil {
			t.Errorf("%d were made, %d are there, %v", n, len(all), err)
		}
		if err := stores[0].CreatePersonalToken(t.Context(), testToken("b", bob.ID), "", limit); err != nil {
			t.Errorf("another user: %v", err)
		}
	})
}

// TestChangesOfAUserRevokeTheTokens: replicas that know a token must read it again.
func TestChangesOfAUserRevokeTheTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		ctx := t.Context()
		for name, tt := range map[string]struct {
			change func(s *Store, userID int64) error
			want   []string
		}{
			"roles": {func(s *Store, id int64) error {
				_, err := s.ChangeUser(ctx, id, setRoles("x"), epoch)
				return err
			}, []string{"a", "adas", "b"}},
			"disable": {func(s *Store, id int64) error {
				_, err := s.DisableUser(ctx, id, epoch)
				return err
			}, []string{"a", "adas", "b"}},
			"delete": {func(s *Store, id int64) error {
				_, err := s.DeleteUser(ctx, id, epoch)
				return err
			}, []string{"a", "adas", "b"}},
			"a token": {func(s *Store, id int64) error {
				return s.DeletePersonalToken(ctx, id, "a", epoch)
			}, []string{"a"}},
			"password": {func(s *Store, id int64) error {
				_, err := s.SetPassword(ctx, id, "h", "", epoch)
				return err
			}, []string{"adas"}}, // tokens outlive it
			"recovery": {func(s *Store, id int64) error {
				_, err := s.RecoverUser(ctx, id, "h", epoch)
				return err
			}, []string{"a", "adas", "b"}},
			"redemption": {func(s *Store, id int64) error {
				_, err := s.RedeemPasswordReset(ctx, redemption(addReset(t, s, "1", id), "h"))
				return err
			}, []string{"a", "adas", "b"}},
			"all tokens": {func(s *Store, id int64) error {
				n, err := s.DeletePersonalTokens(ctx, id, epoch)
				if n != 2 {
					t.Errorf("%d were deleted", n)
				}
				return err
			}, []string{"a", "b"}},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := openStore(t, database(t))
				var told []string
				ada, bob := addUser(t, s, "ada"), addUser(t, s, "bob")
				addSession(t, s, "adas", ada.ID)
				addToken(t, s, "a", ada.ID)
				addToken(t, s, "b", ada.ID)
				addToken(t, s, "bobs", bob.ID)
				s.Revoked = func(ids ...string) { told = append(told, ids...) }
				if err := tt.change(s, ada.ID); err != nil {
					t.Fatal(err)
				}
				news, err := revokedIDs(t, s, time.Minute)
				slices.Sort(news)
				slices.Sort(told)
				if diff := cmp.Diff(tt.want, news); diff != "" || err != nil {
					t.Error("the feed:", diff, err)
				}
				if diff := cmp.Diff(tt.want, slices.Compact(told)); diff != "" {
					t.Error("what Revoked got:", diff)
				}
			})
		}
	})
}

// TestMakerMustBeThere: what was ended meanwhile makes no token.
func TestMakerMustBeThere(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ctx := t.Context()
		ada, bob := addUser(t, s, "ada"), addUser(t, s, "bob")
		addSession(t, s, "adas", ada.ID)
		addSession(t, s, "ended", ada.ID)
		addSession(t, s, "bobs", bob.ID)
		addToken(t, s, "token", ada.ID)
		addToken(t, s, "bobs token", bob.ID)
		if _, err := s.EndSession(ctx, ada.ID, "ended", EndedByLogout, epoch); err != nil {
			t.Fatal(err)
		}
		for maker, want := range map[string]error{
			"": nil, "adas": nil, "token": nil,
			"ended": ErrNotFound, "bobs": ErrNotFound, "bobs token": ErrNotFound, "none": ErrNotFound,
		} {
			err := s.CreatePersonalToken(ctx, testToken("by "+maker, ada.ID), maker, manyTokens)
			if !errors.Is(err, want) {
				t.Errorf("by %q: %v, want %v", maker, err, want)
			}
		}
	})
}

// TestNoTokenSlipsPastARecovery: none that is made at the same time with a session or a token is left.
func TestNoTokenSlipsPastARecovery(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		stores := []*Store{openStore(t, url), openStore(t, url)} // as two processes would
		ada := addUser(t, stores[0], "ada")
		addSession(t, stores[0], "adas", ada.ID)
		addToken(t, stores[0], "first", ada.ID)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				maker := []string{"adas", "first"}[i%2]
				token := testToken(fmt.Sprint("t", i), ada.ID)
				err := stores[i/2%2].CreatePersonalToken(t.Context(), token, maker, manyTokens)
				if err != nil && !errors.Is(err, ErrNotFound) {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, err := stores[0].RecoverUser(t.Context(), ada.ID, "h", epoch); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		left, err := stores[0].PersonalTokens(t.Context(), ada.ID)
		if len(left) > 0 || err != nil {
			t.Error(left, err)
		}
	})
}

func TestUserTakesTheTokensAlong(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada, bob := addUser(t, s, "ada"), addUser(t, s, "bob")
		addToken(t, s, "a", ada.ID)
		addToken(t, s, "bobs", bob.ID)
		if _, err := s.DeleteUser(t.Context(), ada.ID, epoch); err != nil {
			t.Fatal(err)
		}
		left, err := readAll(t.Context(), s, "test", scanValue[string], `SELECT id FROM personal_tokens`)
		if diff := cmp.Diff([]string{"bobs"}, left); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

// TestUsesAreWrittenOnceAMinute: whichever replica comes first.
func TestUsesAreWrittenOnceAMinute(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		uses := map[string]time.Time{"deleted meanwhile": epoch}
		for i := range usesBatch + 10 {
			id := fmt.Sprint("t", i)
			err := s.CreatePersonalToken(t.Context(), testToken(id, ada.ID), "", usesBatch+10)
			if err != nil {
				t.Fatal(err)
			}
			uses[id] = epoch
		}
		for _, step := range []struct {
			after time.Duration
			want  time.Duration
		}{{0, 0}, {59 * time.Second, 0}, {time.Minute, time.Minute}, {-time.Hour, time.Minute}} {
			for id := range uses {
				uses[id] = epoch.Add(step.after)
			}
			if err := s.RecordUses(t.Context(), uses); err != nil {
				t.Fatal(err)
			}
			all, err := s.PersonalTokens(t.Context(), ada.ID)
			if err != nil || len(all) != usesBatch+10 {
				t.Fatal(len(all), err)
			}
			for _, token := range all {
				if want := epoch.Add(step.want); !token.LastUsedAt.Equal(want) {
					t.Fatalf("%s, after %v: used %v, want %v", token.ID, step.after, token.LastUsedAt, want)
				}
			}
		}
	})
}

func TestExpiredTokensStayForAMonth(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		addToken(t, s, "a", ada.ID)
		for _, step := range []struct {
			after time.Duration
			left  int
		}{{week + 30*day, 1}, {week + 30*day + time.Second, 0}} {
			if _, err := s.Purge(t.Context(), epoch.Add(step.after), 0, 100); err != nil {
				t.Fatal(err)
			}
			all, err := s.PersonalTokens(t.Context(), ada.ID)
			if len(all) != step.left || err != nil {
				t.Errorf("after %v: %d are left, %v", step.after, len(all), err)
			}
		}
	})
}

func TestEventsOfTokens(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		addToken(t, s, "a", ada.ID)
		if err := s.DeletePersonalToken(t.Context(), ada.ID, "a", epoch); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events(t, s, EventFilter{Username: "ada"})[1:] {
			got = append(got, string(e.Kind)+": "+e.Reason)
		}
		want := []string{
			"token_created: a deploy, roles editor, allows account", "token_deleted: a deploy",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}
