// Package security answers two questions about a request: who are you, and may you.
//
// It checks passwords, starts sessions, makes and checks access tokens, and guards routes. It knows no SQL and no
// route. Only gate.go imports gin-jwt and Gin.
package security

import (
	"crypto/rand"
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
	Forbidden            Code = "forbidden"
	Overloaded           Code = "overloaded"
)

// Error is a refusal that its caller may read.
type Error struct {
	Code       Code
	Detail     string        // what happened and what to do next; safe to send
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

// Principal is who makes a checked request.
type Principal struct {
	UserID    int64
	Username  string
	Roles     []string
	SessionID string
}

// Settings are what an operator may choose. All are required.
type Settings struct {
	Issuer    string // claim iss
	Audience  string // claim aud
	AccessTTL time.Duration
}

// Service knows users and sessions. Its fields are set once, before it is used.
type Service struct {
	Store    *models.Store
	Hasher   *Hasher
	Keys     KeyRing
	Settings Settings
	Logger   *slog.Logger
	Now      func() time.Time
}

// newID returns 130 bits of randomness as 26 letters and digits.
func newID() string { return rand.Text() }
