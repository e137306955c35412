package security

import (
	"context"
	"errors"
	"testing"
	"time"

	"sherpa/internal/testclock"
	"sherpa/models"

	"github.com/google/go-cmp/cmp"
)

// fakeRevocations fails when told to, and records how far back it was read.
type fakeRevocations struct {
	ended []string
	err   error
	read  []time.Duration
}

func (f *fakeRevocations) Revocations(_ context.Context, past time.Duration) (models.Revocations, error) {
	f.read = append(f.read, past)
	found := models.Revocations{At: noon}
	for _, id := range f.ended {
		found.Entries = append(found.Entries, models.Revocation{At: noon, SessionID: id, Ended: true})
	}
	return found, f.err
}

func newTestFeed(t *testing.T) (*feed, *fakeRevocations, *testclock.Clock) {
	t.Helper()
	c := testclock.New(noon)
	cache, err := newCache(100, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	source := &fakeRevocations{}
	return newFeed(source, cache, newHub(time.Minute), c.Now), source, c
}

func TestPollReachesBack(t *testing.T) {
	t.Parallel()
	f, source, c := newTestFeed(t)
	for _, after := range []time.Duration{0, time.Second, 8 * time.Second, time.Second, 40 * time.Second} {
		c.Add(after)
		if err := f.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	want := []time.Duration{
		longLookBack,               // the first
		lookBack + time.Second,     // to the one before, and further
		lookBack + 8*time.Second,   // 9 s after the first: not yet a long one
		longLookBack + time.Second, // 10 s after the first
		longLookBack,               // after an outage the cache is empty
	}
	if diff := cmp.Diff(want, source.read); diff != "" {
		t.Error(diff)
	}
}

func TestFreshness(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		age   time.Duration
		err   error // of the poll that a request makes
		fresh bool
		polls int
	}{
		{"just polled", 0, nil, true, 0},
		{"as old as allowed", maxStaleness, nil, true, 0},
		{"too old, and the request polls", maxStaleness + 1, nil, true, 1},
		{"too old during an outage", maxStaleness + 1, errors.New("down"), true, 1},
		{"at the end of the grace", cacheGrace, errors.New("down"), true, 1},
		{"after the grace", cacheGrace + 1, nil, false, 0},
	} {
		f, source, c := newTestFeed(t)
		if err := f.poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		source.read, source.err = nil, tt.err
		c.Add(tt.age)
		if got := f.fresh(t.Context(), c.Now()); got != tt.fresh || len(source.read) != tt.polls {
			t.Errorf("%s: %v after %d polls", tt.name, got, len(source.read))
		}
		if f.outages.ongoing() != (tt.err != nil && tt.polls > 0) {
			t.Errorf("%s: outage %v", tt.name, f.outages.ongoing())
		}
	}
}

func TestNothingIsFreshBeforeTheFirstPoll(t *testing.T) {
	t.Parallel()
	f, source, c := newTestFeed(t)
	if f.fresh(t.Context(), c.Now()) || len(source.read) != 0 {
		t.Error("a cache is fresh that was never compared with the feed")
	}
}

func TestDuringAnOutageRequestsDoNotPoll(t *testing.T) {
	t.Parallel()
	f, source, c := newTestFeed(t)
	if err := f.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	source.err = errors.New("down")
	c.Add(time.Second)
	if err := f.poll(t.Context()); !errors.Is(err, source.err) {
		t.Fatal(err)
	}
	source.read = nil
	if !f.fresh(t.Context(), c.Now()) || len(source.read) != 0 {
		t.Errorf("%d polls", len(source.read))
	}
	source.err = nil
	if err := f.poll(t.Context()); err != nil || f.outages.ongoing() {
		t.Errorf("after the outage: %v", err)
	}
}

func TestPollEvicts(t *testing.T) {
	t.Parallel()
	f, source, c := newTestFeed(t)
	for _, id := range []string{"ended", "alive"} {
		f.cache.sessions.Set(id, &liveSession{endsAt: noon.Add(time.Hour).UnixMilli()})
	}
	source.ended = []string{"ended", "unknown"}
	if err := f.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.cache.sessions.Set("alive", &liveSession{endsAt: noon.Add(time.Hour).UnixMilli()})
	c.Add(time.Second)
	if err := f.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.cache.sessions.GetIfPresent("ended"); ok {
		t.Error("an ended session is still cached")
	}
	if _, ok := f.cache.sessions.GetIfPresent("alive"); !ok {
		t.Error("a live session was evicted")
	}
	c.Add(cacheGrace + time.Second)
	source.ended = nil
	if err := f.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.cache.sessions.GetIfPresent("alive"); ok {
		t.Error("after an outage a session is still cached, although its end may have been missed")
	}
}

// TestPollThatNeverGetsItsTurn: somebody else polls, and the database does not answer.
func TestPollThatNeverGetsItsTurn(t *testing.T) {
	t.Parallel()
	f, _, _ := newTestFeed(t)
	if err := f.poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.polling <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.poll(ctx); !errors.Is(err, context.Canceled) || !f.outages.ongoing() {
		t.Error(err)
	}
}
