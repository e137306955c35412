package security

import (
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"sherpa/security/token"
)

// liveTTL bounds how long a change made directly in the database, without this program, stays unseen.
const liveTTL = 5 * time.Minute

// cache lets a request pass without the database. It holds the claims of verified tokens, and live sessions.
// Both parts are bounded. Whoever ends a session evicts it here, and the feed does so on the other replicas.
type cache struct {
	tokens   *otter.Cache[tokenSum, *verified]
	sessions *otter.Cache[string, *liveSession] // personal access tokens are here, too, by their ids
	epoch    atomic.Int64                       // counts evictions of all sessions
	hits     atomic.Int64                       // requests that needed no database
	loads    atomic.Int64                       // sessions read from the database

	tokenHits      atomic.Int64 // tokens that were not verified again
	tokenMisses    atomic.Int64 // tokens that were verified
	tokensOut      atomic.Int64 // entries that made room for others
	sessionsOut    atomic.Int64
	maximumEntries int // of each part
}

// tokenSum is the SHA-256 of a whole token, so that the cache holds no credential.
type tokenSum [sha256.Size]byte

func sumOf(text string) tokenSum { return sha256.Sum256([]byte(text)) }

// verified is what a token says, with the ring whose key had signed it. It is shared and never changed.
type verified struct {
	claims token.Claims
	ring   *token.KeyRing // nil for a personal access token, which no key signs
}

// liveSession is a session, or a personal access token, that had not ended when it was read. It is shared;
// only used changes.
type liveSession struct {
	principal Principal
	endsAt    int64        // milliseconds since 1970 UTC: the sooner of its two limits
	epoch     int64        // of the cache, from before it was read
	used      atomic.Int64 // of a token: when a use was last noted, in milliseconds since 1970 UTC
}

func newCache(size int, now func() time.Time) (*cache, error) {
	c := &cache{maximumEntries: size}
	untilExpiry := func(e otter.Entry[tokenSum, *verified]) time.Duration {
		return max(time.Unix(e.Value.claims.ExpiresAt, 0).Sub(now()), time.Second)
	}
	tokens, err := otter.New(&otter.Options[tokenSum, *verified]{
		MaximumSize: size, ExpiryCalculator: otter.ExpiryCreatingFunc(untilExpiry),
		OnAtomicDeletion: countOverflow[tokenSum, *verified](&c.tokensOut),
	})
	if err != nil {
		return nil, fmt.Errorf("token cache: %w", err)
	}
	sessions, err := otter.New(&otter.Options[string, *liveSession]{
		MaximumSize: size, ExpiryCalculator: otter.ExpiryCreating[string, *liveSession](liveTTL),
		OnAtomicDeletion: countOverflow[string, *liveSession](&c.sessionsOut),
	})
	if err != nil {
		return nil, fmt.Errorf("session cache: %w", err)
	}
	c.tokens, c.sessions = tokens, sessions
	return c, nil
}

// countOverflow counts the entries that made room for others.
func countOverflow[K comparable, V any](counter *atomic.Int64) func(otter.DeletionEvent[K, V]) {
	return func(e otter.DeletionEvent[K, V]) {
		if e.Cause == otter.CauseOverflow {
			counter.Add(1)
		}
	}
}

// put keeps the claims of a verified token, without those that were compared and are not needed again.
func (c *cache) put(text string, ring *token.KeyRing, claims token.Claims) {
	claims.Subject, claims.Issuer, claims.Audience = "", "", ""
	c.tokens.Set(sumOf(text), &verified{claims, ring})
}

// claims returns the claims of a token that was verified before with this ring. After a change of keys each
// token is verified again, because its key may be the one that was removed.
func (c *cache) claims(text string, ring *token.KeyRing) (*token.Claims, bool) {
	known, ok := c.tokens.GetIfPresent(sumOf(text))
	if !ok || known.ring != ring {
		return nil, false
	}
	c.tokenHits.Add(1)
	return &known.claims, true
}

// evict makes the next request of each session ask the database. It also cancels a load that is under way.
func (c *cache) evict(sessionIDs ...string) {
	for _, id := range sessionIDs {
		c.sessions.Invalidate(id)
	}
}

// evictAllSessions makes every next request ask the database. The epoch is for the loads that are under way:
// unlike Invalidate, InvalidateAll does not cancel them.
func (c *cache) evictAllSessions() {
	c.epoch.Add(1)
	c.sessions.InvalidateAll()
}

// CacheStats are counts since the start.
type CacheStats struct {
	Tokens   int   // verified tokens in the cache
	Sessions int   // live sessions in the cache
	Limit    int   // entries that each of the two may have
	Hits     int64 // requests that needed no database
	Loads    int64 // sessions read from the database

	TokenHits, TokenMisses           int64 // tokens that were not verified again, and those that were
	TokenEvictions, SessionEvictions int64 // entries that made room for others
}

func (c *cache) stats() CacheStats {
	return CacheStats{
		Tokens: c.tokens.EstimatedSize(), Sessions: c.sessions.EstimatedSize(),
		Limit: c.maximumEntries, Hits: c.hits.Load(), Loads: c.loads.Load(),
		TokenHits: c.tokenHits.Load(), TokenMisses: c.tokenMisses.Load(),
		TokenEvictions: c.tokensOut.Load(), SessionEvictions: c.sessionsOut.Load(),
	}
}
