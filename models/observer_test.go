package models

import (
	"context"
	"testing"
	"time"
)

// TestObserver: it learns of each operation, and which of them the database did not carry out.
func TestObserver(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		done, failed := map[string]int{}, map[string]int{}
		s.Observe(func(_ context.Context, operation string, took time.Duration, failure bool) {
			done[operation]++
			if failure {
				failed[operation]++
			}
			if took < 0 {
				t.Errorf("%s took %v", operation, took)
			}
		})
		ada := addUser(t, s, "ada")
		addSession(t, s, "one", ada.ID)
		_, _, _ = s.SessionWithUser(t.Context(), "one")
		_, _, _ = s.SessionWithUser(t.Context(), "two") // there is none, and that is no failure
		if _, err := s.EndSession(t.Context(), ada.ID, "one", EndedByLogout, epoch); err != nil {
			t.Fatal(err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, _, _ = s.SessionWithUser(gone, "one") // the client has hung up
		for operation, want := range map[string]int{
			"insert into users": 1, "create session": 1, "read session": 3, "end sessions": 1,
			"revoke session": 1, "begin": 3, "commit": 3,
		} {
			if done[operation] != want {
				t.Errorf("%q was seen %d times, want %d", operation, done[operation], want)
			}
		}
		if len(failed) != 0 {
			t.Errorf("failures: %v", failed)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, _ = s.Empty(t.Context())
		_, _ = s.EndSession(t.Context(), ada.ID, "one", EndedByLogout, epoch)
		if failed["look for users"] != 1 || failed["begin"] != 1 {
			t.Errorf("failures of a closed database: %v", failed)
		}
	})
}
