package security

import (
	"strconv"
	"testing"
	"time"

	"sherpa/security/token"
)

// TestEvictionsAreThoseOfAFullCache: they tell an operator that the cache is too small, so neither a session
// that ended nor a token that expired is one.
func TestEvictionsAreThoseOfAFullCache(t *testing.T) {
	t.Parallel()
	const size, more = 100, 1000
	c, err := newCache(size, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range more {
		c.put(strconv.Itoa(i), nil, token.Claims{})
		c.sessions.Set(strconv.Itoa(i), &liveSession{})
		c.evict(strconv.Itoa(i))
	}
	c.tokens.CleanUp()
	c.sessions.CleanUp()
	stats := c.stats()
	if stats.TokenEvictions != int64(more-stats.Tokens) || stats.Tokens > size || stats.Limit != size {
		t.Errorf("tokens: %+v", stats)
	}
	if stats.SessionEvictions != 0 {
		t.Errorf("sessions: %+v", stats)
	}
}
