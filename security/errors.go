package security

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sherpa/metrics"
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
	ResetInvalid         Code = "reset_token_invalid"
	WrongPassword        Code = "wrong_password"
	Throttled            Code = "throttled"
	Forbidden            Code = "forbidden"
	TokenNotAllowed      Code = "token_not_allowed"
	TooManyTokens        Code = "too_many_tokens"
	Overloaded           Code = "overloaded"
)

// Error is an error with a code. Whoever speaks to the client puts it into words.
type Error struct {
	Code       Code
	Fact       string             // what is special about this case; safe to show
	Reason     models.EndedReason // why the session ended
	Roles      []string           // one of which the principal needs
	RetryAfter time.Duration      // zero: unknown
	Personal   bool               // whether it is about a personal access token, which nobody refreshes
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

// The parts of a user whose rules CreateUser and ChangeUser check, beside the password.
const (
	PartUsername = "username"
	PartRoles    = "roles"
)

// RejectedError says that a part of a user breaks a rule.
type RejectedError struct {
	Part   string // PartUsername or PartRoles
	Reason string // safe to show
}

func (e *RejectedError) Error() string { return e.Reason }

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

// resultOf says how an action went, for the metrics.
func resultOf(err error) string {
	var known *Error
	switch {
	case err == nil:
		return metrics.ResultOK
	case errors.As(err, &known):
		return string(known.Code)
	case errors.Is(err, context.Canceled):
		return metrics.ResultCanceled
	case errors.Is(err, models.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return metrics.ResultUnavailable
	}
	return metrics.ResultError
}

// MissingRole says that the principal has none of the roles, one of which is needed. The code is forbidden.
func MissingRole(roles ...string) *Error {
	return &Error{Code: Forbidden, Fact: strings.Join(roles, " or "), Roles: roles}
}

func sessionEnded(reason models.EndedReason) error { return &Error{Code: SessionEnded, Reason: reason} }
