// Package security answers two questions about a request: who are you, and may you.
//
// It checks passwords, starts sessions, makes and checks access tokens, and guards routes. It knows no SQL and no
// route. Only gate.go imports gin-jwt and Gin.
package security

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sherpa/models"
)

// Code names a kind of refusal. Codes are part of the wire contract: clients switch on them.
type Code string

// The refusals of this package.
const (
	InvalidRequest       Code = "invalid_request"
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

// Error is a refusal that its caller may read.
type Error struct {
	Code       Code
	Detail     string        // what happened and what to do next; safe to send
	Reason     string        // why a session ended, for programs
	RetryAfter time.Duration // zero: no promise
	Fields     []FieldError  // the parts of the request body at fault, if any
	Err        error         // the private cause, for the log only
}

// FieldError is a fault in one member of a request body.
type FieldError struct {
	Detail  string `json:"detail"`
	Pointer string `json:"pointer"` // JSON Pointer, RFC 6901
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Detail)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Detail, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// HasCode reports whether err is a refusal with this code.
func HasCode(err error, code Code) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Code == code
}

// Principal is who makes a checked request.
type Principal struct {
	UserID    int64
	Username  string
	Roles     []string
	SessionID string
}

// Settings are what an operator may choose. All are required.
type Settings struct {
	Issuer      string // claim iss
	Audience    string // claim aud
	AccessTTL   time.Duration
	SessionIdle time.Duration // a session ends when it is not refreshed for so long
	SessionAge  time.Duration // a session ends at this age
	CacheSize   int           // tokens, and sessions, that are remembered
}

// Parts are what a Service is made of. All are required.
type Parts struct {
	Store    *models.Store
	Hasher   *Hasher
	Policy   PasswordPolicy
	Keys     KeyRing
	Settings Settings
	Logger   *slog.Logger
	Now      func() time.Time
}

// Service knows users and sessions. It is safe for concurrent use. Create it with NewService, and let Run run: a
// Service whose Run does not run remembers nothing, and asks the database with every request.
type Service struct {
	Parts
	memory *memory
}

// NewService returns a service of these parts.
func NewService(parts Parts) (*Service, error) {
	memory, err := newMemory(parts.Settings.CacheSize, parts.Now)
	if err != nil {
		return nil, err
	}
	return &Service{Parts: parts, memory: memory}, nil
}

// newID returns 130 bits of randomness as 26 letters and digits.
func newID() string { return rand.Text() }
