package handlers

import (
	"time"

	"sherpa/models"
	"sherpa/security"
)

// The codes that package security does not have.
const (
	invalidRequest       security.Code = "invalid_request"
	notFound             security.Code = "not_found"
	methodNotAllowed     security.Code = "method_not_allowed"
	requestTimeout       security.Code = "request_timeout"
	contentTooLarge      security.Code = "content_too_large"
	unsupportedMediaType security.Code = "unsupported_media_type"
	internalError        security.Code = "internal_error"
	unavailable          security.Code = "unavailable"
	stopping             security.Code = "stopping"
)

// Error is an error that its client may read. NotFound and InvalidRequest make the usual ones.
type Error struct {
	Code       security.Code
	Detail     string             // what happened and what to do next
	Reason     models.EndedReason // why a session ended
	RetryAfter time.Duration      // zero: unknown
	Roles      []string           // one of which the principal needs
	Fields     []FieldError       // the members of the request body that are wrong
}

// FieldError says what is wrong with one member of a request body.
type FieldError struct {
	Detail  string `json:"detail"`
	Pointer string `json:"pointer"` // JSON Pointer, RFC 6901
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// NotFound says that the requested thing does not exist, or not for this principal.
func NotFound(detail string) *Error { return &Error{Code: notFound, Detail: detail} }

// InvalidRequest says what is wrong with the request, and in which members of its body.
func InvalidRequest(detail string, fields ...FieldError) *Error {
	return &Error{Code: invalidRequest, Detail: detail, Fields: fields}
}
