// Package security answers two questions about a request: who are you, and may you.
//
// Service has one method for every action on a user or a session. HTTP and the command line call the same
// methods. The package knows no SQL, no routes and no JSON. Only gate.go imports gin-jwt and Gin.
//
// The words that this code uses:
//
//   - user: somebody who may log in, with a username and a password.
//   - session: what a login starts. It ends once, for one reason, and is never revived.
//   - access token: a JSON Web Token that names a user and a session. It lives for minutes.
//   - refresh token: an opaque text that a client exchanges once for the next pair of tokens.
//   - rotation: that exchange. The token after it is the newest, the one before it is the previous one.
//   - grace period: the seconds in which the previous refresh token still gets the same successor.
//   - principal: the user and session behind a checked request.
//   - cache: verified tokens and live sessions, in the memory of one replica.
//   - revocation feed: the table of sessions that ended. Each replica polls it and evicts them.
//   - fresh, stale: whether the latest poll is recent enough to trust the cache.
//   - outage: the time in which a replica could not read the feed.
//   - replica: one of several processes on the same database.
//   - throttle: the counters that slow down failed logins.
package security

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sherpa/models"
	"sherpa/security/password"
	"sherpa/security/token"
)

// Code names a kind of error that a client may see. Codes are part of the wire contract: clients switch on
// them.
type Code string

// The codes of this package.
const (
	InvalidAuthorization Code = "invalid_authorization"
	InvalidCredentials   Code = "invalid_credentials" //nolint:gosec // G101: a name
	TokenMissing         Code = "token_missing"
	TokenInvalid         Code = "token_invalid"
	TokenExpired         Code = "token_expired"
	SessionEnded         Code = "session_ended"
	RefreshInvalid       Code = "refresh_token_invalid"
	WrongPassword        Code = "wrong_password"
	Throttled            Code = "throttled"
	Forbidden            Code = "forbidden"
	Overloaded           Code = "overloaded"
)

// Error is an error with a code. Whoever speaks to the client puts it into words.
type Error struct {
	Code       Code
	Fact       string             // what is special about this case; safe to show
	Reason     models.EndedReason // why the session ended
	RetryAfter time.Duration      // zero: unknown
	Err        error              // the private cause, for the log only
}

func (e *Error) Error() string {
	text := string(e.Code)
	for _, more := range []string{e.Fact, string(e.Reason)} {
		if more != "" {
			text += ": " + more
		}
	}
	if e.Err != nil {
		text += fmt.Sprintf(": %v", e.Err)
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// HasCode reports whether err has this code.
func HasCode(err error, code Code) bool {
	var known *Error
	return errors.As(err, &known) && known.Code == code
}

// Principal is who makes a checked request.
type Principal struct {
	UserID    int64
	Username  string
	Roles     []string
	SessionID string
}

func newPrincipal(user models.User, sessionID string) Principal {
	return Principal{UserID: user.ID, Username: user.Username, Roles: user.Roles, SessionID: sessionID}
}

// Settings are what an operator may choose. All are required.
type Settings struct {
	Issuer      string // claim iss
	Audience    string // claim aud
	AccessTTL   time.Duration
	SessionIdle time.Duration // a session ends when it is not refreshed for this long
	SessionAge  time.Duration // a session ends at this age
	CacheSize   int           // entries of each cache: verified tokens, live sessions
}

// Parts are what a Service is made of. All are required, except that a Service without Keys can manage users
// and sessions but accepts no token and makes none.
type Parts struct {
	Store    *models.Store
	Hasher   *password.Hasher
	Policy   password.Policy
	Keys     token.KeyRing
	Settings Settings
	Logger   *slog.Logger
	Now      func() time.Time
}

// Service does everything that happens to users and sessions. It is safe for concurrent use. Create it with
// NewService, and call Run to keep its cache fresh. Without Run it asks the database for every request.
type Service struct {
	Parts
	cache *cache
	feed  *feed
}

// NewService returns a service of these parts.
func NewService(parts Parts) (*Service, error) {
	cache, err := newCache(parts.Settings.CacheSize, parts.Now)
	if err != nil {
		return nil, err
	}
	parts.Policy.Words = append(parts.Policy.Words, "sherpa", DemoPassword)
	return &Service{Parts: parts, cache: cache, feed: newFeed(parts.Store, cache, parts.Now)}, nil
}

// CacheStats returns how well the cache works.
func (s *Service) CacheStats() CacheStats { return s.cache.stats() }

// newID returns 130 bits of randomness as 26 letters and digits.
func newID() string { return rand.Text() }
