package security

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"sherpa/models"
)

const (
	// pollInterval is how often a replica reads the revocation feed.
	pollInterval = 500 * time.Millisecond
	// maxStaleness is the oldest poll that a request relies on. When the background poll is late, because
	// this process gets no processor time, the request polls: the promise is one second, always.
	maxStaleness = 900 * time.Millisecond
	// pollTimeout bounds how long a request waits for a poll. After it the database counts as down.
	pollTimeout = time.Second
	// lookBack is how far a poll reaches behind the previous one. It must exceed the time between stamping a
	// revocation and its commit succeeding or timing out.
	lookBack = 5 * time.Second
	// Every longInterval a poll reaches back longLookBack, to find revocations that committed after their
	// transaction had timed out here.
	longLookBack = 30 * time.Second
	longInterval = 10 * time.Second
	// cacheGrace is how long cached sessions stay valid when the feed cannot be read.
	cacheGrace = 30 * time.Second
)

// revocations is the part of the store that the feed reads.
type revocations interface {
	// Revocations returns which sessions ended, or whose user was changed, in the latest past, by the clock
	// of the database; models.EverySession stands for all.
	Revocations(ctx context.Context, past time.Duration) (models.Revocations, error)
}

// feed keeps the cache honest: it reads which sessions ended elsewhere, and evicts them. The hub passes on
// what it reads.
type feed struct {
	store   revocations
	cache   *cache
	hub     *hub
	now     func() time.Time
	outages outages
	polled  atomic.Pointer[time.Time] // the latest successful poll; nil before the first
	polling chan struct{}             // one place, for whoever polls
	longAt  time.Time                 // the latest poll with longLookBack; whoever polls may use it
	nudged  chan struct{}             // has a value when readers want what this replica has changed
}

func newFeed(store revocations, cache *cache, hub *hub, now func() time.Time) *feed {
	return &feed{
		store: store, cache: cache, hub: hub, now: now,
		polling: make(chan struct{}, 1), nudged: make(chan struct{}, 1),
	}
}

// nudge makes Run poll soon.
func (f *feed) nudge() {
	select {
	case f.nudged <- struct{}{}:
	default:
	}
}

// age is the age of the latest poll. Before the first poll it is greater than any limit.
func (f *feed) age(now time.Time) time.Duration {
	polled := f.polled.Load()
	if polled == nil {
		return math.MaxInt64
	}
	return now.Sub(*polled)
}

// fresh reports whether cached sessions may be trusted. It polls first if the latest poll is too old. During
// an outage the cache stays trusted until cacheGrace is over.
func (f *feed) fresh(ctx context.Context, now time.Time) bool {
	age := f.age(now)
	if age > maxStaleness && age <= cacheGrace && !f.outages.ongoing() {
		f.catchUp(ctx, func() bool { return f.age(f.now()) > maxStaleness })
	}
	return age <= cacheGrace
}

// catchUp polls, unless another caller has polled meanwhile and it is no longer needed.
func (f *feed) catchUp(ctx context.Context, needed func() bool) {
	// All requests profit from the poll, so the end of this one does not cancel it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pollTimeout)
	defer cancel()
	_ = f.whilePolling(ctx, func() error { // poll records an error, and the background poll logs it
		if !needed() {
			return nil
		}
		return f.read(ctx)
	})
}

// poll reads the feed once, and evicts the sessions that other replicas, or the command line, have ended.
func (f *feed) poll(ctx context.Context) error {
	return f.whilePolling(ctx, func() error { return f.read(ctx) })
}

// whilePolling runs do while nobody else polls. A caller whose turn does not come has seen no answer of the
// database.
func (f *feed) whilePolling(ctx context.Context, do func() error) error {
	select {
	case f.polling <- struct{}{}:
	case <-ctx.Done():
		f.outages.begin(f.lastPoll())
		return ctx.Err()
	}
	defer func() { <-f.polling }()
	return do()
}

func (f *feed) read(ctx context.Context) error {
	now := f.now()
	past, long := f.window(now)
	if f.age(now) > cacheGrace {
		f.cache.evictAllSessions() // revocations may have been missed that this poll does not reach back to
		f.hub.drop()
	}
	found, err := f.store.Revocations(ctx, past)
	if err != nil {
		f.outages.begin(f.lastPoll())
		f.hub.wake()
		return fmt.Errorf("poll revocations: %w", err)
	}
	f.evict(found.Entries)
	f.polled.Store(&now)
	f.hub.add(found) // after polled: it wakes those who look at the age
	f.outages.end(f.now())
	if long {
		f.longAt = now
	}
	return nil
}

// evict makes the cache forget the sessions.
func (f *feed) evict(entries []models.Revocation) {
	for _, e := range entries {
		if e.SessionID == models.EverySession {
			f.cache.evictAllSessions()
		}
		f.cache.evict(e.SessionID)
	}
}

func (f *feed) lastPoll() time.Time {
	if polled := f.polled.Load(); polled != nil {
		return *polled
	}
	return time.Time{}
}

// window returns how far back the next poll reaches, and whether that is a long one.
func (f *feed) window(now time.Time) (past time.Duration, long bool) {
	past = lookBack
	if long = now.Sub(f.longAt) >= longInterval; long {
		past = longLookBack
	}
	if age := f.age(now); age <= cacheGrace { // after that the cache is empty
		past += age
	}
	return past, long
}
