package models

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPurge(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	ctx := t.Context()
	ada := addUser(t, s, "ada")
	for i := range 25 {
		addSession(t, s, fmt.Sprint("old", i), ada.ID)
	}
	now := epoch.Add(4*week + time.Hour) // three weeks after the old ones ran out
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
			NameKey: at.String(), NameAddressKey: at.String(), AddressKey: at.String(), At: at, Interval: time.Second, Burst: 2,
		}
		if wait, err := s.CountLogin(ctx, attempt); wait != 0 || err != nil {
			t.Fatal(wait, err)
		}
		if _, err := s.EndSession(ctx, ada.ID, map[bool]string{true: "old0", false: "ended lately"}[at.Equal(epoch)], EndedByLogout, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.ForgiveLogin(ctx, LoginAttempt{NameKey: "x", NameAddressKey: "long ago", At: now.Add(-100 * 24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}

	steps := 0
	for more := true; more; steps++ {
		var err error
		if more, err = s.Purge(ctx, now, week, 10); err != nil {
			t.Fatal(err)
		}
	}
	if steps != 3 {
		t.Errorf("%d batches of 10 for 25 rows", steps)
	}
	got := map[string]int{}
	for _, table := range []string{"sessions", "revocations", "login_failures", "login_rates", "known_addresses", "users"} {
		var n int
		if err := s.read.QueryRowContext(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		got[table] = n
	}
	want := map[string]int{"sessions": 2, "revocations": 1, "login_failures": 1, "login_rates": 1, "known_addresses": 0, "users": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRotationAndEndDoNotBothWin(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	ada := addUser(t, s, "ada")
	addSession(t, s, "x", ada.ID)
	rotation := Rotation{SessionID: "x", FromCount: 0, Hash: "hash 1", At: epoch, IdleEndsAt: epoch.Add(week)}
	for i, want := range []bool{true, false} {
		if ok, err := s.RotateSession(t.Context(), rotation); ok != want || err != nil {
			t.Errorf("rotation %d from the same count: %v %v", i, ok, err)
		}
	}
	if ended, err := s.EndSession(t.Context(), ada.ID+1, "x", EndedByLogout, epoch); ended || err != nil {
		t.Errorf("somebody else ended it: %v", err)
	}
	for i, want := range []bool{true, false} {
		if ended, err := s.EndSession(t.Context(), ada.ID, "x", EndedByLogout, epoch); ended != want || err != nil {
			t.Errorf("end %d: %v %v", i, ended, err)
		}
	}
	rotation.FromCount = 1
	if ok, err := s.RotateSession(t.Context(), rotation); ok || err != nil {
		t.Errorf("an ended session was rotated: %v", err)
	}
	news, err := s.Revocations(t.Context(), epoch)
	if diff := cmp.Diff([]Revocation{{"x", epoch}}, news); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
