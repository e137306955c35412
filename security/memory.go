package security

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"

	"sherpa/models"
)

const (
	// pollInterval is how often a replica asks which sessions have ended elsewhere.
	pollInterval = 500 * time.Millisecond
	// maxStaleness is how old the news may be that a request relies on. When the poll in the background is later, because
	// this process gets no processor time, the request polls: a second is promised, and not a second most of the time.
	maxStaleness = 900 * time.Millisecond
	// pollPatience bounds how long a request waits for news. After it the database counts as away.
	pollPatience = time.Second
	// lookBack is how much farther than to the previous poll each poll looks: by more than a change takes, from the stamp
	// of its news to the answer of its commit, before it is called failed.
	lookBack = 5 * time.Second
	// farLookBack is for the news of changes that were called failed and were made all the same, every farInterval.
	farLookBack = 30 * time.Second
	farInterval = 10 * time.Second
	// memoryGrace is how long remembered sessions count when the feed cannot be read.
	memoryGrace = 30 * time.Second
	// liveTTL bounds what a change that is made around this program, in the database itself, takes to be seen.
	liveTTL = 5 * time.Minute
)

// memory is what lets a request pass without the database: claims of tokens that were verified, and sessions that
// live. Both are bounded. A session that ends is forgotten, at once where it was ended and by the feed elsewhere.
type memory struct {
	verified *otter.Cache[tokenSum, *Claims]
	live     *otter.Cache[string, *liveSession]
	polled   atomic.Pointer[time.Time] // when the feed was last read; nil before
	away     atomic.Pointer[absence]   // the latest absence of the database; nil before
	polling  chan struct{}             // one place: for whoever reads the feed
	farAt    time.Time                 // when it was last read far back; for whoever reads it
	hits     atomic.Int64
	loads    atomic.Int64
}

// absence is a time in which the feed could not be read: for all that is known here, the database was away.
type absence struct{ began, ended time.Time } // ended is zero while it lasts

// BeganAway says that the database could not be reached when this process began; since when, nobody here knows. So every
// refresh before its return may be one whose answer nobody could send.
func (s *Service) BeganAway() { s.memory.away.Store(&absence{}) }

func (m *memory) isAway() bool {
	away := m.away.Load()
	return away != nil && away.ended.IsZero()
}

// lost begins an absence, or goes on with the one before when no client had the time to ask again in between.
func (m *memory) lost() {
	polled, away := m.polled.Load(), m.away.Load()
	switch {
	case polled == nil || m.isAway():
	case away != nil && polled.Sub(away.ended) <= refreshGrace:
		m.away.Store(&absence{began: away.began})
	default:
		m.away.Store(&absence{began: *polled})
	}
}

func (m *memory) found(now time.Time) {
	if away := m.away.Load(); m.isAway() {
		m.away.Store(&absence{began: away.began, ended: now})
	}
}

// inGrace reports whether a client may still ask again for the answer to a refresh of this time. When the database went
// away before the client could, the grace begins with its return: a refresh may be done whose answer nobody could send.
func (m *memory) inGrace(refreshed, now time.Time) bool {
	if now.Sub(refreshed) <= refreshGrace {
		return true
	}
	away := m.away.Load()
	return away != nil && !away.ended.IsZero() && now.Sub(away.ended) <= refreshGrace &&
		!refreshed.Before(away.began.Add(-refreshGrace)) && !refreshed.After(away.ended)
}

// tokenSum stands for a token: the whole text counts, and memory holds no credential.
type tokenSum [sha256.Size]byte

// sumOf looks at the text where it is: to copy it first costs as much as to hash it.
func sumOf(token string) tokenSum {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(token), len(token))) //nolint:gosec // G103: only read
}

// liveSession is a session that had not ended when it was read. It is shared and never changed.
type liveSession struct {
	principal Principal
	endsAt    int64 // milliseconds since 1970 UTC: the sooner of its two limits
}

func newMemory(size int, now func() time.Time) (*memory, error) {
	untilExpiry := func(e otter.Entry[tokenSum, *Claims]) time.Duration {
		return max(time.Unix(e.Value.ExpiresAt, 0).Sub(now()), time.Second)
	}
	verified, err := otter.New(&otter.Options[tokenSum, *Claims]{
		MaximumSize: size, ExpiryCalculator: otter.ExpiryCreatingFunc(untilExpiry),
	})
	if err != nil {
		return nil, fmt.Errorf("token cache: %w", err)
	}
	live, err := otter.New(&otter.Options[string, *liveSession]{
		MaximumSize: size, ExpiryCalculator: otter.ExpiryCreating[string, *liveSession](liveTTL),
	})
	if err != nil {
		return nil, fmt.Errorf("session cache: %w", err)
	}
	return &memory{verified: verified, live: live, polling: make(chan struct{}, 1)}, nil
}

// remember keeps the claims of a token that was verified, without those that were compared and are not needed again.
func (m *memory) remember(token string, claims Claims) {
	claims.Subject, claims.Issuer, claims.Audience = "", "", ""
	m.verified.Set(sumOf(token), &claims)
}

// recall returns the claims of a token that was verified before.
func (m *memory) recall(token string) (*Claims, bool) {
	return m.verified.GetIfPresent(sumOf(token))
}

// forget makes the next request of each session ask the database. A load that is under way meanwhile is thrown away.
func (m *memory) forget(sessionIDs ...string) {
	for _, id := range sessionIDs {
		m.live.Invalidate(id)
	}
}

// age is how old the news is. Before the first it is older than anything.
func (m *memory) age(now time.Time) time.Duration {
	polled := m.polled.Load()
	if polled == nil {
		return math.MaxInt64
	}
	return now.Sub(*polled)
}

// counts reports whether remembered sessions count at this time, and sees to it that they may. While the database is
// away they count until memoryGrace is over.
func (s *Service) counts(ctx context.Context, now time.Time) bool {
	age := s.memory.age(now)
	if age > maxStaleness && age <= memoryGrace && !s.memory.isAway() {
		s.catchUp(ctx, func() bool { return s.memory.age(s.Now()) > maxStaleness })
	}
	return age <= memoryGrace
}

// catchUp polls, unless somebody else has in the meantime and it is not needed any more.
func (s *Service) catchUp(ctx context.Context, needed func() bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pollPatience) // the news is for all, not for this request
	defer cancel()
	select {
	case s.memory.polling <- struct{}{}:
	case <-ctx.Done():
		s.memory.lost()
		return
	}
	defer func() { <-s.memory.polling }()
	if needed() {
		_ = s.poll(ctx) // it notes a failure, and the poll in the background reports it
	}
}

// session returns the living session with its principal, from memory where it may.
func (s *Service) session(ctx context.Context, id string, now time.Time) (*liveSession, error) {
	if !s.counts(ctx, now) {
		return s.loadSession(ctx, id) // fails closed: memory that may be stale is not asked
	}
	live, ok := s.memory.live.GetIfPresent(id)
	if ok && now.UnixMilli() < live.endsAt {
		s.memory.hits.Add(1)
		return live, nil
	}
	if ok {
		s.memory.forget(id) // it may have been refreshed since it was read, here or elsewhere
	}
	return s.memory.live.Get(ctx, id, otter.LoaderFunc[string, *liveSession](s.loadSession))
}

// loadSession reads the session; only one that lives is no error, and so only such a one is remembered.
func (s *Service) loadSession(ctx context.Context, id string) (*liveSession, error) {
	s.memory.loads.Add(1)
	session, user, err := s.Store.SessionWithUser(ctx, id)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return nil, sessionEnded("")
	case err != nil:
		return nil, fmt.Errorf("identify: %w", err)
	case user.Disabled():
		return nil, sessionEnded(models.EndedByDisable)
	}
	if reason := session.Ended(s.Now()); reason != "" {
		return nil, sessionEnded(reason)
	}
	principal := Principal{UserID: user.ID, Username: user.Username, Roles: user.Roles, SessionID: session.ID}
	return &liveSession{principal: principal, endsAt: min(session.IdleEndsAt.UnixMilli(), session.EndsAt.UnixMilli())}, nil
}

// Poll reads the feed once, and forgets the sessions that other replicas, or the command line, have ended.
func (s *Service) Poll(ctx context.Context) error {
	select {
	case s.memory.polling <- struct{}{}:
	case <-ctx.Done():
		s.memory.lost()
		return ctx.Err()
	}
	defer func() { <-s.memory.polling }()
	return s.poll(ctx)
}

func (s *Service) poll(ctx context.Context) error {
	now := s.Now()
	past, far := s.memory.window(now)
	if s.memory.age(now) > memoryGrace {
		s.memory.live.InvalidateAll() // what was missed may be older than the feed is read back
	}
	ended, err := s.Store.Revocations(ctx, past)
	if err != nil {
		s.memory.lost()
		return fmt.Errorf("poll revocations: %w", err)
	}
	s.memory.forget(ended...)
	s.memory.polled.Store(&now)
	s.memory.found(s.Now())
	if far {
		s.memory.farAt = now
	}
	return nil
}

// window is how far back to read the feed now, and whether that is far.
func (m *memory) window(now time.Time) (past time.Duration, far bool) {
	past = lookBack
	if far = now.Sub(m.farAt) >= farInterval; far {
		past = farLookBack
	}
	if age := m.age(now); age <= memoryGrace { // after that nothing is remembered
		past += age
	}
	return past, far
}

// Stats are counts since the start, for an operator's eyes.
type Stats struct {
	Tokens   int   // verified tokens in memory
	Sessions int   // living sessions in memory
	Hits     int64 // requests that needed no database
	Loads    int64 // sessions read from the database
	Hashes   int64 // password hashes computed
	FeedAge  time.Duration
}

// Stats returns the counts.
func (s *Service) Stats() Stats {
	stats := Stats{
		Tokens: s.memory.verified.EstimatedSize(), Sessions: s.memory.live.EstimatedSize(),
		Hits: s.memory.hits.Load(), Loads: s.memory.loads.Load(), Hashes: s.Hasher.Computed(),
	}
	if polled := s.memory.polled.Load(); polled != nil {
		stats.FeedAge = s.Now().Sub(*polled)
	}
	return stats
}
