package security

import (
	"crypto/rand"
	"log/slog"
	"sync/atomic"
	"time"

	"sherpa/metrics"
	"sherpa/models"
	"sherpa/security/password"
	"sherpa/security/token"
)

// Settings are what an operator may choose. All but the last two are required.
type Settings struct {
	Issuer      string // claim iss
	Audience    string // claim aud
	AccessTTL   time.Duration
	SessionIdle time.Duration // a session ends when it is not refreshed for this long
	SessionAge  time.Duration // a session ends at this age
	CacheSize   int           // entries of each cache: verified tokens, live sessions

	EventRetention time.Duration // how long events are kept; zero is for ever
	MaxWaiting     int           // readers of the feed that may wait at the same time; zero is any number
}

// The tutorial's user, for following along on one's own machine.
const (
	DemoUsername = "sherpa"
	DemoPassword = "everest"
)

// Parts are what a Service is made of. All are required, except that a Service without Keys can manage users
// and sessions but accepts no token and makes none, and that one without Metrics counts nothing.
type Parts struct {
	Store    *models.Store
	Hasher   *password.Hasher
	Policy   password.Policy
	Keys     token.KeyRing
	Settings Settings
	Logger   *slog.Logger
	Now      func() time.Time
	Metrics  *metrics.Metrics
}

// Service does everything that happens to users and sessions. It is safe for concurrent use. Create it with
// NewService, and call Run to keep its cache fresh. Without Run it asks the database for every request.
type Service struct {
	Parts
	keys     atomic.Pointer[token.KeyRing] // Parts.Keys is the first one
	cache    *cache
	feed     *feed
	hub      *hub
	failures *failureRows
	uses     *uses

	unproven     chan struct{} // has an element for each read that readUnproven does
	unprovenWait time.Duration
}

// NewService returns a service of these parts.
func NewService(parts Parts) (*Service, error) {
	cache, err := newCache(parts.Settings.CacheSize, parts.Now)
	if err != nil {
		return nil, err
	}
	parts.Policy.Words = append(parts.Policy.Words, "sherpa", DemoPassword)
	hub := newHub(parts.Settings.AccessTTL)
	s := &Service{
		Parts: parts, cache: cache, hub: hub, feed: newFeed(parts.Store, cache, hub, parts.Now),
		failures: newFailureRows(), uses: newUses(parts.Settings.CacheSize),
		unproven: make(chan struct{}, unprovenReads), unprovenWait: unprovenWait,
	}
	s.keys.Store(&parts.Keys)
	if parts.Store.Recorded == nil {
		parts.Store.Recorded = s.logEvent
	}
	if parts.Store.Revoked == nil {
		parts.Store.Revoked = s.revoked // here at once; other replicas poll the feed
	}
	return s, nil
}

// CacheStats returns how well the cache works.
func (s *Service) CacheStats() CacheStats { return s.cache.stats() }

// FeedAge returns the age of the latest poll of the revocation feed, math.MaxInt64 before the first one.
func (s *Service) FeedAge() time.Duration { return s.feed.age(s.Now()) }

// newID returns 130 bits of randomness as 26 letters and digits.
func newID() string { return rand.Text() }
