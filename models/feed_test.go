package models

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
