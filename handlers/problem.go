package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/models"
	"sherpa/security"
)

// The refusals that package security does not know.
const (
	notFound             security.Code = "not_found"
	methodNotAllowed     security.Code = "method_not_allowed"
	requestTimeout       security.Code = "request_timeout"
	contentTooLarge      security.Code = "content_too_large"
	unsupportedMediaType security.Code = "unsupported_media_type"
	internalError        security.Code = "internal_error"
	unavailable          security.Code = "unavailable"
	stopping             security.Code = "stopping"
)

const problemMediaType = "application/problem+json"

// Problem is the body of every error response (RFC 9457, section 3). Code is what clients switch on.
type Problem struct {
	Type      string                `json:"type"`
	Title     string                `json:"title"`
	Status    int                   `json:"status"`
	Detail    string                `json:"detail"`
	Code      security.Code         `json:"code"`
	RequestID string                `json:"request_id,omitempty"`
	Reason    string                `json:"reason,omitempty"` // why the session ended
	Errors    []security.FieldError `json:"errors,omitempty"`
}

// renderer turns every error into a response, and logs it: the one place for both.
type renderer struct {
	catalogue catalogue
	logger    *slog.Logger
}

// write answers the request with the problem that err is.
func (r *renderer) write(c *gin.Context, err error) {
	refusal := translate(err)
	kind, known := r.catalogue[refusal.Code]
	if !known {
		refusal = unexpected()
		kind = r.catalogue[refusal.Code]
	}
	r.log(c, kind.Status, refusal, err)
	if c.Writer.Written() {
		panic(http.ErrAbortHandler) // half an answer must not pass for a whole one
	}
	setChallenge(c, refusal.Code, kind.Status)
	if refusal.RetryAfter > 0 {
		c.Header("Retry-After", strconv.Itoa(seconds(refusal.RetryAfter)))
	}
	c.Header("Content-Type", problemMediaType)
	c.Abort()
	c.PureJSON(kind.Status, Problem{
		Type: problemPath(refusal.Code), Title: kind.Title, Status: kind.Status, Detail: refusal.Detail,
		Code: refusal.Code, RequestID: requestID(c), Reason: refusal.Reason, Errors: refusal.Fields,
	})
}

// translate is the one place where errors become codes. What it does not know is our fault.
func translate(err error) *security.Error {
	var refusal *security.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, models.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &security.Error{
			Code: unavailable, RetryAfter: 2 * time.Second,
			Detail: "The service cannot reach its data at this moment. Send the request again after the time in Retry-After.",
		}
	case errors.Is(err, models.ErrNotFound):
		return NotFound("There is nothing of this name.")
	}
	return unexpected()
}

func unexpected() *security.Error {
	return &security.Error{
		Code:   internalError,
		Detail: "Something went wrong on our side. Its cause is in the log under this request_id.",
	}
}

// log tells the operator what the caller must not see.
func (r *renderer) log(c *gin.Context, status int, refusal *security.Error, err error) {
	level := slog.LevelDebug
	switch {
	case refusal.Code == security.Overloaded:
		level = slog.LevelWarn
	case refusal.Code == stopping: // as it was told to
	case status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled):
		level = slog.LevelError
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		level = slog.LevelInfo
	}
	r.logger.LogAttrs(c.Request.Context(), level, "refused",
		slog.String("request_id", requestID(c)),
		slog.String("code", string(refusal.Code)),
		slog.String("client", c.ClientIP()),
		slog.Any("error", err))
}

// setChallenge tells how to authenticate: one header line a scheme, the widely known one first (RFC 9110, section
// 11.6.1). The error goes to the scheme that was used, and is absent when no token came (RFC 6750, section 3.1).
func setChallenge(c *gin.Context, code security.Code, status int) {
	reason := challengeError(code)
	if status != http.StatusUnauthorized && reason == "" {
		return
	}
	for _, scheme := range []string{security.SchemeBearer, security.SchemeJWT} {
		challenge := scheme + ` realm="sherpa"`
		if reason != "" && scheme == schemeUsed(c) {
			challenge += fmt.Sprintf(`, error="%s"`, reason)
		}
		c.Writer.Header().Add("WWW-Authenticate", challenge)
	}
}

func challengeError(code security.Code) string {
	switch code {
	case security.TokenInvalid, security.TokenExpired, security.SessionEnded, security.RefreshInvalid:
		return "invalid_token"
	case security.InvalidAuthorization:
		return "invalid_request"
	case security.Forbidden:
		return "insufficient_scope"
	default:
		return ""
	}
}

func schemeUsed(c *gin.Context) string {
	if security.SchemeOf(c) == security.SchemeJWT {
		return security.SchemeJWT
	}
	return security.SchemeBearer
}

// seconds rounds up: a client that waits as long as it was told must be let in.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

// NotFound says that the requested thing does not exist, or not for this principal.
func NotFound(detail string) *security.Error {
	return &security.Error{Code: notFound, Detail: detail}
}

// InvalidRequest says what is wrong with the request, and in which members of its body.
func InvalidRequest(detail string, fields ...security.FieldError) *security.Error {
	return &security.Error{Code: security.InvalidRequest, Detail: detail, Fields: fields}
}
