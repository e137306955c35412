package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// events returns what the filter wants.
func events(t *testing.T, s *Store, f EventFilter) []Event {
	t.Helper()
	all, err := collect(s.Events(t.Context(), f))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func kindsOf(all []Event) (kinds []EventKind) {
	for _, e := range all {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

func TestEventRoundTrip(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		var recorded []Event
		s.Recorded = func(_ context.Context, e Event) { recorded = append(recorded, e) }
		origin := Origin{ActorUser, 7, "zoe", "192.0.2.1", "agent", "request", "token"}
		ctx := WithOrigin(t.Context(), origin)
		ada := addUser(t, s, "ada")
		login := Event{Kind: EventLogin, Reason: "why", SubjectID: ada.ID, SessionID: "s"}
		start := Event{Kind: EventServerStarted, Origin: Origin{Actor: ActorSystem}}
		if err := s.Record(ctx, epoch, login, start); err != nil {
			t.Fatal(err)
		}
		want := []Event{
			{At: epoch, LastAt: epoch, Times: 1, Kind: EventUserCreated, Origin: Origin{Actor: ActorSystem},
				SubjectID: ada.ID, SubjectName: "ada"},
			{At: epoch, LastAt: epoch, Times: 1, Kind: EventLogin, Reason: "why", Origin: origin,
				SubjectID: ada.ID, SubjectName: "ada", SessionID: "s"},
			{At: epoch, LastAt: epoch, Times: 1, Kind: EventServerStarted, Origin: start.Origin},
		}
		ignoreID := cmpopts.IgnoreFields(Event{}, "ID")
		if diff := cmp.Diff(want, events(t, s, EventFilter{}), ignoreID); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(want, recorded, ignoreID); diff != "" {
			t.Error("what Recorded got:", diff)
		}
	})
}

// TestEventAndChangeAreOne: whoever cannot write the event must not make the change, and a change that is
// rolled back leaves no event.
func TestEventAndChangeAreOne(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		s := openStore(t, url)
		ctx := t.Context()
		ada := addUser(t, s, "ada")
		addSession(t, s, "adas", ada.ID)
		bob := addUser(t, s, "bob")
		if _, err := s.DisableUser(ctx, bob.ID, epoch); err != nil {
			t.Fatal(err)
		}
		addToken(t, s, "adas token", ada.ID)
		if err := s.RememberKeys(ctx, epoch, []string{"old"}); err != nil {
			t.Fatal(err)
		}
		reset := addReset(t, s, "1", ada.ID)
		before := dump(t, url)
		s.Recorded = func(_ context.Context, e Event) { t.Errorf("recorded %v", e) }
		change(t, s, `ALTER TABLE events RENAME TO hidden`)
		for name, call := range map[string]func() error{
			"create user": func() error { _, err := s.CreateUser(ctx, User{Username: "x"}); return err },
			"password":    func() error { _, err := s.SetPassword(ctx, ada.ID, "h", "", epoch); return err },
			"disable":     func() error { _, err := s.DisableUser(ctx, ada.ID, epoch); return err },
			"enable":      func() error { return s.EnableUser(ctx, bob.ID, epoch) },
			"roles": func() error {
				_, err := s.ChangeUser(ctx, ada.ID, setRoles("x"), epoch)
				return err
			},
			"delete": func() error { _, err := s.DeleteUser(ctx, ada.ID, epoch); return err },
			"login":  func() error { return s.CreateSession(ctx, ada, testSession("new", ada.ID)) },
			"keys":   func() error { return s.RememberKeys(ctx, epoch, []string{"new"}) },
			"invite": func() error {
				_, err := s.InviteUser(ctx, User{Username: "y"}, testReset("2", 0))
				return err
			},
			"reset": func() error { return s.CreatePasswordReset(ctx, testReset("3", ada.ID), epoch) },
			"redeem": func() error {
				_, err := s.RedeemPasswordReset(ctx, redemption(reset, "h"))
				return err
			},
			"token": func() error {
				return s.CreatePersonalToken(ctx, testToken("new", ada.ID), "", manyTokens)
			},
			"token's end": func() error { return s.DeletePersonalToken(ctx, ada.ID, "adas token", epoch) },
			"recovery":    func() error { _, err := s.RecoverUser(ctx, ada.ID, "h", epoch); return err },
			"all tokens": func() error {
				_, err := s.DeletePersonalTokens(ctx, ada.ID, epoch)
				return err
			},
			"all sessions": func() error {
				_, err := s.EndAllSessions(ctx, EndedByOperator, epoch)
				return err
			},
			"sessions": func() error {
				_, err := s.EndSessions(ctx, ada.ID, "", EndedByUser, epoch)
				return err
			},
			"session": func() error {
				_, err := s.EndSession(ctx, ada.ID, "adas", EndedByLogout, epoch)
				return err
			},
		} {
			if err := call(); !errors.Is(err, ErrUnavailable) {
				t.Errorf("%s without an event: %v", name, err)
			}
		}
		change(t, s, `ALTER TABLE hidden RENAME TO events`)
		cause := errors.New("no")
		err := s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
			return errors.Join(s.record(ctx, tx, epoch, Event{Kind: EventLogin}), cause)
		})
		if !errors.Is(err, cause) {
			t.Error(err)
		}
		if diff := cmp.Diff(before, dump(t, url)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEventsOfEachChange(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ctx := t.Context()
		ada := addUser(t, s, "ada")
		for _, id := range []string{"a", "b", "c"} {
			addSession(t, s, id, ada.ID)
		}
		end := func(reason EndedReason, id string) func() error {
			return func() error { _, err := s.EndSession(ctx, ada.ID, id, reason, epoch); return err }
		}
		steps := []struct {
			name string
			do   func() error
			want []Event
		}{
			{"logout", end(EndedByLogout, "a"), []Event{{Kind: EventLogout, SessionID: "a", Times: 1}}},
			{"logout again", end(EndedByLogout, "a"), nil},
			{"disable", func() error { _, err := s.DisableUser(ctx, ada.ID, epoch); return err }, []Event{
				{Kind: EventSessionEnded, Reason: "user_disabled", Times: 2},
				{Kind: EventUserDisabled, Times: 1}}},
			{"delete", func() error { _, err := s.DeleteUser(ctx, ada.ID, epoch); return err }, []Event{
				{Kind: EventUserDeleted, Times: 1}}},
		}
		seen := len(events(t, s, EventFilter{}))
		for _, step := range steps {
			if err := step.do(); err != nil {
				t.Fatal(step.name, err)
			}
			all := events(t, s, EventFilter{})
			for i := range step.want { // the name stays when the user is gone
				step.want[i].SubjectName, step.want[i].Actor = "ada", ActorSystem
			}
			got, ignore := all[seen:], cmpopts.IgnoreFields(Event{}, "ID", "At", "LastAt", "SubjectID")
			if diff := cmp.Diff(step.want, got, ignore, cmpopts.EquateEmpty()); diff != "" {
				t.Error(step.name, diff)
			}
			seen = len(all)
		}
	})
}

func TestEventsOfABucketShareARow(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada := addUser(t, s, "ada")
		failed := func(at time.Time, bucket, name string) {
			t.Helper()
			e := Event{Kind: EventLoginFailed, Bucket: bucket, SubjectName: name, NameHash: "hash of " + name}
			if err := s.Record(t.Context(), at, e); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			failed(epoch.Add(time.Duration(i)*time.Second), "one", "ada")
		}
		failed(epoch, "two", "nobody")
		got := events(t, s, EventFilter{Kind: EventLoginFailed})
		want := []Event{
			{At: epoch, LastAt: epoch.Add(2 * time.Second), Times: 3, Bucket: "one", SubjectID: ada.ID,
				SubjectName: "ada"},
			{At: epoch, LastAt: epoch, Times: 1, Bucket: "two", NameHash: "hash of nobody"},
		}
		ignore := cmpopts.IgnoreFields(Event{}, "ID", "Kind", "Origin")
		if diff := cmp.Diff(want, got, ignore); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEventFilter(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada, bob := addUser(t, s, "ada"), addUser(t, s, "bob")
		record := func(at time.Time, actor Origin, kind EventKind, subject User) {
			t.Helper()
			e := Event{Kind: kind, Origin: actor, SubjectID: subject.ID}
			if err := s.Record(t.Context(), at, e); err != nil {
				t.Fatal(err)
			}
		}
		later := epoch.Add(time.Hour)
		record(epoch, Origin{Actor: ActorUser, ActorName: "ada"}, EventLogin, ada)
		record(later, Origin{Actor: ActorUser, ActorName: "ada"}, EventUserEnabled, bob)
		record(later, Origin{Actor: ActorOperator, ActorName: "ada"}, EventUserDisabled, bob) // another ada
		tests := []struct {
			name   string
			filter EventFilter
			want   []EventKind
		}{
			{"all", EventFilter{}, []EventKind{
				EventUserCreated, EventUserCreated, EventLogin, EventUserEnabled, EventUserDisabled}},
			{"the newest", EventFilter{Limit: 2}, []EventKind{EventUserEnabled, EventUserDisabled}},
			{"a kind", EventFilter{Kind: EventLogin}, []EventKind{EventLogin}},
			{"what a user did and suffered", EventFilter{Username: "ada"}, []EventKind{
				EventUserCreated, EventLogin, EventUserEnabled}},
			{"since", EventFilter{Since: later}, []EventKind{EventUserEnabled, EventUserDisabled}},
			{"nothing", EventFilter{Username: "nobody"}, nil},
		}
		for _, tt := range tests {
			if diff := cmp.Diff(tt.want, kindsOf(events(t, s, tt.filter))); diff != "" {
				t.Error(tt.name, diff)
			}
		}
	})
}

func TestUserEventsInPages(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		ada, bob := addUser(t, s, "ada"), addUser(t, s, "bob")
		for i := range 5 {
			addSession(t, s, fmt.Sprint("a", i), ada.ID)
			addSession(t, s, fmt.Sprint("b", i), bob.ID)
		}
		var got []string
		page := Page[string]{Limit: 2}
		for {
			rows, err := s.UserEvents(t.Context(), ada.ID, page)
			if err != nil || len(rows) == 0 {
				t.Fatal(rows, err)
			}
			for _, e := range rows[:min(2, len(rows))] {
				got = append(got, string(e.Kind)+e.SessionID)
				page.After = e.ID
			}
			if len(rows) <= 2 {
				break
			}
		}
		want := []string{"logina4", "logina3", "logina2", "logina1", "logina0", "user_created"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPurgeKeepsEventsAsLongAsTheOperatorWants(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		for i := range 25 {
			at := epoch.Add(time.Duration(i%5) * day) // 5 at each day
			if err := s.Record(t.Context(), at, Event{Kind: EventLogin}); err != nil {
				t.Fatal(err)
			}
		}
		now := epoch.Add(10 * day)
		purge := func(keep time.Duration) (batches int) {
			t.Helper()
			for more := true; more; batches++ {
				var err error
				if more, err = s.Purge(t.Context(), now, keep, 4); err != nil {
					t.Fatal(err)
				}
			}
			return batches
		}
		purge(0)
		if n := len(events(t, s, EventFilter{})); n != 25 {
			t.Errorf("%d of 25 events stayed for ever", n)
		}
		batches := purge(8 * day) // those of the first two days are older
		left := events(t, s, EventFilter{})
		if len(left) != 15 || !left[0].At.Equal(epoch.Add(2*day)) || batches != 3 {
			t.Errorf("%d events are left after %d batches", len(left), batches)
		}
	})
}

func TestRememberKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		steps := []struct {
			keys []string
			want string // the reason of the event; "" for none
		}{
			{[]string{"a"}, ""}, // the first ones
			{[]string{"a"}, ""},
			{[]string{"b", "a"}, "1 added, 0 removed, another one signs"},
			{[]string{"b", "a", "c"}, "1 added, 0 removed"},
			{[]string{"a", "b", "c"}, "0 added, 0 removed, another one signs"},
			{[]string{"d"}, "1 added, 3 removed, another one signs"},
			{[]string{"d"}, ""},
		}
		var want, got []string
		for _, step := range steps {
			if err := s.RememberKeys(t.Context(), epoch, step.keys); err != nil {
				t.Fatal(err)
			}
			if step.want != "" {
				want = append(want, step.want)
			}
		}
		for _, e := range events(t, s, EventFilter{Kind: EventKeysChanged}) {
			got = append(got, e.Reason)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestEventIDsSortByTime(t *testing.T) {
	t.Parallel()
	s := &Store{}
	var ids []string
	for i := range 1000 {
		ids = append(ids, s.newEventID(epoch.Add(time.Duration(i/100)*time.Millisecond)))
	}
	if !slices.IsSorted(ids) || len(slices.Compact(slices.Clone(ids))) != len(ids) {
		t.Error("ids are out of order, or not unique")
	}
	if slices.Max(ids) >= afterAllEvents {
		t.Error(slices.Max(ids))
	}
}
