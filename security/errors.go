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
	"errors"
	"fmt"
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

// tokenError gives the errors of package token their codes.
func tokenError(err error) error {
	var expired *token.ExpiredError
	var invalid *token.InvalidError
	switch {
	case errors.As(err, &expired):
		return &Error{Code: TokenExpired, Fact: expired.Ago.String()}
	case errors.As(err, &invalid):
		return &Error{Code: TokenInvalid, Fact: invalid.Reason, Err: err}
	}
	return err
}

// hashError gives a full queue its code.
func hashError(err error) error {
	if errors.Is(err, password.ErrOverloaded) {
		return &Error{Code: Overloaded, RetryAfter: time.Second, Err: err}
	}
	return err
}

func sessionEnded(reason models.EndedReason) error { return &Error{Code: SessionEnded, Reason: reason} }
