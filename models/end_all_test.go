package models

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// addSessions makes more sessions of the user than a batch ends: their ids are numbers from 1, and each is
// idle a millisecond later than the one before.
func addSessions(t *testing.T, s *Store, userID int64, count int) {
	t.Helper()
	change(t, s, fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		INSERT INTO sessions (id, user_id, created_at, last_used_at, idle_ends_at, ends_at, address,
			user_agent, refresh_count, refresh_hash)
		SELECT CAST(i AS TEXT), %d, %[3]d, %[3]d, %[4]d + i, %[5]d, '', '', 0, '' FROM n`,
		count, userID, epoch.UnixMilli(), epoch.Add(week).UnixMilli(), epoch.Add(4*week).UnixMilli()))
}

// reasons counts the sessions by the reason of their end.
func reasons(t *testing.T, s *Store) map[string]int {
	t.Helper()
	all := map[string]int{}
	scan := func(row scanner) (reason string, err error) {
		var count int
		err = row.Scan(&reason, &count)
		all[reason] = count
		return reason, err
	}
	const query = `SELECT COALESCE(ended_reason, ''), count(*) FROM sessions GROUP BY ended_reason`
	if _, err := list(t.Context(), s.connection, s.read, "count sessions", scan, query); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEndAllSessions(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		for _, tt := range []struct {
			name           string
			count, batches int
		}{
			{"less than a batch", endBatch - 1, 1},
			{"one batch", endBatch, 1}, // and one that finds nothing, so it writes nothing
			{"more than two batches", 2*endBatch + 1, 3},
		} {
			t.Run(tt.name, func(t *testing.T) {
				endAllOf(t, openStore(t, database(t)), tt.count, tt.batches)
			})
		}
	})
}

// endAllOf ends so many live sessions of two users, beside two that have ended.
func endAllOf(t *testing.T, s *Store, count, batches int) {
	t.Helper()
	ctx, later := t.Context(), epoch.Add(time.Hour)
	ada, bob := addUser(t, s, "ada"), addUser(t, s, "bob")
	addSession(t, s, "logged out", bob.ID)
	if _, err := s.EndSession(ctx, bob.ID, "logged out", EndedByLogout, epoch); err != nil {
		t.Fatal(err)
	}
	change(t, s, `DELETE FROM revocations`)
	addSession(t, s, "idle", bob.ID)
	change(t, s, fmt.Sprintf(`UPDATE sessions SET idle_ends_at = %d WHERE id = 'idle'`, epoch.UnixMilli()))
	addSession(t, s, "bobs", bob.ID)
	addSessions(t, s, ada.ID, count-1)

	if n, err := s.EndAllSessions(ctx, EndedByOperator, later); n != count || err != nil {
		t.Errorf("%d ended, want %d; %v", n, count, err)
	}
	want := map[string]int{"": 1, "logout": 1, "ended_by_operator": count}
	if diff := cmp.Diff(want, reasons(t, s)); diff != "" {
		t.Error(diff)
	}
	if bobs, _, err := s.SessionWithUser(ctx, "bobs"); !bobs.EndedAt.Equal(later) || err != nil {
		t.Errorf("ended at %v, %v", bobs.EndedAt, err)
	}
	news, err := revokedIDs(t, s, time.Minute)
	if i := slices.IndexFunc(news, func(id string) bool { return id != EverySession }); i >= 0 {
		t.Errorf("the feed names the session %q", news[i])
	}
	if len(news) == 0 || len(news) > batches || err != nil { // two batches may share a millisecond
		t.Errorf("%d entries in the feed for %d batches, %v", len(news), batches, err)
	}
}

// TestEndAllSessionsAllowsForClocks: to the clock of another replica the session may still live.
func TestEndAllSessionsAllowsForClocks(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		idle := testSession("x", ada.ID).IdleEndsAt
		addSession(t, s, "x", ada.ID)
		for _, tt := range []struct {
			name string
			at   time.Time
			want int
		}{
			{"it has been idle for an hour", idle.Add(time.Hour), 0},
			{"it became idle just now", idle.Add(time.Second), 1},
			{"it has ended already", idle.Add(time.Second), 0},
		} {
			if n, err := s.EndAllSessions(t.Context(), EndedByOperator, tt.at); n != tt.want || err != nil {
				t.Errorf("%s: %d ended, want %d; %v", tt.name, n, tt.want, err)
			}
		}
	})
}

// TestEndAllSessionsCatchesARefresh: a refresh, which the batch waits for, moves its session to where only a
// later batch looks, and there is no batch after the last.
func TestEndAllSessionsCatchesARefresh(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		for _, tt := range []struct {
			name  string
			count int
		}{{"in the last batch", 2}, {"in the batch before", endBatch + 1}} {
			t.Run(tt.name, func(t *testing.T) {
				s := openStore(t, database(t))
				addSessions(t, s, addUser(t, s, "ada").ID, tt.count)
				if n := endAllDuringRefresh(t, s); n != tt.count {
					t.Errorf("%d ended, want %d", n, tt.count)
				}
			})
		}
	})
}

// endAllDuringRefresh returns how many sessions end while the first one is refreshed.
func endAllDuringRefresh(t *testing.T, s *Store) int {
	t.Helper()
	refresh, err := s.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer refresh.Rollback()
	const query = `UPDATE sessions SET idle_ends_at = $1 WHERE id = '1'`
	if _, err := refresh.ExecContext(t.Context(), query, epoch.Add(2*week).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan int, 1)
	go func() {
		n, err := s.EndAllSessions(t.Context(), EndedByOperator, epoch)
		if err != nil {
			t.Error(err)
		}
		ended <- n
	}()
	until(t, func() bool { return waiting(t, s) }) // the batch has come to the session
	if err := refresh.Commit(); err != nil {
		t.Fatal(err)
	}
	return <-ended
}

// waiting reports whether somebody waits for another transaction: in SQLite for the one connection.
func waiting(t *testing.T, s *Store) bool {
	t.Helper()
	if !s.engine.arrays {
		return s.write.Stats().WaitCount > 0
	}
	const query = `SELECT count(*) FROM pg_stat_activity
		WHERE datname = current_database() AND wait_event_type = 'Lock'`
	var n int
	if err := s.read.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n > 0
}
