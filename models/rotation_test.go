package models

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/internal/pgtest"
)

// first is the first rotation of a session that addSession made.
func first(id string) Rotation {
	return Rotation{
		SessionID:  id,
		FromHash:   "hash 0",
		Hash:       "hash 1 of " + id,
		At:         epoch.Add(time.Minute),
		IdleEndsAt: epoch.Add(week),
	}
}

// TestRotationsTogether: each has the outcome that it would have alone.
func TestRotationsTogether(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada, bob := addUser(t, s, "ada", "guide"), addUser(t, s, "bob", "admin", "guide")
		for id, user := range map[string]User{"a": ada, "b": bob, "c": ada, "ended": ada, "stale": bob} {
			addSession(t, s, id, user.ID)
		}
		change(t, s, `UPDATE sessions SET ended_at = 1 WHERE id = 'ended'`)
		stale, twice := first("stale"), first("b")
		stale.FromCount = 1
		twice.Hash = "another"
		done, err := s.rotateBatch(
			t.Context(),
			[]Rotation{first("nobody"), first("b"), first("ended"), first("a"), stale, twice, first("c")},
		)
		if err != nil {
			t.Fatal(err)
		}
		asAda := &Rotated{
			UserID:   ada.ID,
			Username: "ada",
			Roles:    []string{"guide"},
			EndsAt:   epoch.Add(4 * week),
		}
		asBob := &Rotated{
			UserID:   bob.ID,
			Username: "bob",
			Roles:    []string{"admin", "guide"},
			EndsAt:   epoch.Add(4 * week),
		}
		want := []*Rotated{nil, asBob, nil, asAda, nil, nil, asAda}
		kept := "hash 1 of b"
		if done[1] == nil { // which one of two is carried out is open
			want[1], want[5], kept = nil, asBob, "another"
		}
		if diff := cmp.Diff(want, done); diff != "" {
			t.Error(diff)
		}
		for id, hash := range map[string]string{"a": "hash 1 of a", "b": kept, "c": "hash 1 of c",
			"ended": "hash 0", "stale": "hash 0"} {
			if session, _, err := s.SessionWithUser(
				t.Context(), id,
			); err != nil ||
				session.RefreshHash != hash {
				t.Errorf("%s: %+v, %v, want %q", id, session, err, hash)
			}
		}
	})
}

// TestALockedSessionDelaysNobodyElse: nor is its own rotation lost.
func TestALockedSessionDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	s := openStore(t, pgtest.Database(t))
	ada := addUser(t, s, "ada")
	addSession(t, s, "locked", ada.ID)
	addSession(t, s, "free", ada.ID)
	tx, err := s.write.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(
		t.Context(), `UPDATE sessions SET address = 'x' WHERE id = 'locked'`,
	); err != nil {
		t.Fatal(err)
	}
	done, err := s.rotateBatch(t.Context(), []Rotation{first("locked"), first("free")})
	if err != nil || done[0] != nil || done[1] == nil {
		t.Errorf("%v, %v", done, err)
	}
	waits := make(chan error, 1)
	go func() {
		_, err := s.RotateSession(t.Context(), first("locked"))
		waits <- err
	}()
	until(t, func() bool {
		var waiting bool
		err := s.read.QueryRowContext(
			t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)`,
		).Scan(
			&waiting,
		)
		return waiting || err != nil
	})
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Error(err)
	}
}

// TestRotationsUseIndexes also while the tables are new, and the planner knows nothing about them.
func TestRotationsUseIndexes(t *testing.T) {
	t.Parallel()
	s := openStore(t, pgtest.Database(t))
	for _, n := range []int{1, maxBatch} {
		query, args := "EXPLAIN "+rotateSessionsQuery(), columns(make([]Rotation, n))
		steps, err := list(t.Context(), s.connection, s.read, "explain", scanValue[string], query, args...)
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(steps, "\n")
		if strings.Contains(plan, "Seq Scan") || strings.Count(plan, "Index Scan using sessions_pkey") != 2 {
			t.Errorf("%d together:\n%s", n, plan)
		}
	}
}

// TestRotationAloneWhenTheOthersFail: what is wrong may be wrong with one of the others.
func TestRotationAloneWhenTheOthersFail(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		addSession(t, s, "x", addUser(t, s, "ada").ID)
		s.rotations.close()
		s.rotations = newBatcher(
			func(context.Context, []Rotation) ([]*Rotated, error) { return nil, errors.New("broken") },
		)
		if _, err := s.RotateSession(t.Context(), first("x")); err != nil {
			t.Error(err)
		}
		if _, err := s.RotateSession(t.Context(), first("x")); !errors.Is(err, ErrNotFound) {
			t.Errorf("a second time: %v", err)
		}
	})
}

// TestRotationsGather: what comes while others are under way goes together, and each caller gets its own
// outcome.
func TestRotationsGather(t *testing.T) {
	t.Parallel()
	begun, release := make(chan struct{}), make(chan struct{})
	var sizes []int
	r := newBatcher(func(_ context.Context, all []Rotation) ([]*Rotated, error) {
		sizes = append(sizes, len(all))
		if len(sizes) == 1 {
			close(begun)
			<-release
		}
		done := make([]*Rotated, len(all))
		for i, rotation := range all {
			if rotation.SessionID != "9" {
				done[i] = &Rotated{Username: rotation.SessionID}
			}
		}
		return done, nil
	})
	var callers sync.WaitGroup
	call := func(ctx context.Context, id, want string) {
		callers.Go(func() {
			if got := r.do(
				ctx, Rotation{SessionID: id},
			); (got == nil) != (want == "") ||
				got != nil && got.Username != want {
				t.Errorf("%s: %v, want %q", id, got, want)
			}
		})
	}
	call(t.Context(), "first", "first")
	<-begun
	gone, leave := context.WithCancel(t.Context())
	call(gone, "gone", "")
	until(t, func() bool { return len(r.queue) == 1 })
	leave()
	for i := range maxBatch - 1 {
		id, want := fmt.Sprint(i), fmt.Sprint(i)
		if i == 9 {
			want = ""
		}
		call(t.Context(), id, want)
	}
	until(t, func() bool { return len(r.queue) == maxBatch })
	close(release)
	callers.Wait()
	r.close()
	if !slices.Equal(sizes, []int{1, maxBatch - 1}) {
		t.Errorf("%v together", sizes)
	}
	if got := r.do(t.Context(), Rotation{}); got != nil {
		t.Errorf("after the end: %v", got)
	}
}

// until waits for something that comes soon.
func until(t *testing.T, come func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !come(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not come")
		}
	}
}
