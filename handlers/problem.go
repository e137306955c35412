package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/models"
	"sherpa/security"
	"sherpa/security/password"
	"sherpa/tracing"
)

const problemMediaType = "application/problem+json"

const headerRequestID = "X-Request-Id" // in the form that a header map has

// requestID returns the name of the request: it stands in the answer from the beginning.
func requestID(c *gin.Context) string { return c.Writer.Header().Get(headerRequestID) }

// Problem is the body of every error response (RFC 9457, section 3). Code is what clients switch on.
type Problem struct {
	Type      string             `json:"type"`
	Title     string             `json:"title"`
	Status    int                `json:"status"`
	Detail    string             `json:"detail"`
	Code      security.Code      `json:"code"`
	RequestID string             `json:"request_id,omitempty"`
	Reason    models.EndedReason `json:"reason,omitempty"` // why the session ended
	Errors    []FieldError       `json:"errors,omitempty"`
}

// renderer turns every error into a response and logs it. It is the one place for both.
type renderer struct {
	catalogue catalogue
	logger    *slog.Logger
}

// write answers the request with the problem of the error.
func (r *renderer) write(c *gin.Context, err error) {
	known := r.translate(err)
	kind := r.catalogue[known.Code]
	r.log(c, kind.Status, known.Code, err)
	if c.Writer.Written() {
		panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
	}
	setChallenge(c, known, kind.Status)
	if known.RetryAfter > 0 {
		c.Header("Retry-After", strconv.Itoa(seconds(known.RetryAfter)))
	}
	problem := Problem{
		Type: problemPath(known.Code), Title: kind.Title, Status: kind.Status, Detail: known.Detail,
		Code: known.Code, RequestID: requestID(c), Reason: known.Reason, Errors: known.Fields,
	}
	if c.Request.URL.Path == pathVerify {
		carry(c, problem)
	}
	c.Header("Content-Type", problemMediaType)
	c.Abort()
	c.PureJSON(kind.Status, problem)
}

// translate is the one place where errors become codes and words. What it does not know is a bug of ours.
func (r *renderer) translate(err error) *Error {
	var ours *Error
	var theirs *security.Error
	switch {
	case errors.As(err, &ours) && r.catalogue.has(ours.Code):
		return ours
	case errors.As(err, &theirs) && r.catalogue.has(theirs.Code):
		return r.catalogue.describe(theirs)
	case errors.Is(err, models.ErrUnavailable),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{
			Code: unavailable, RetryAfter: 2 * time.Second,
			Detail: "The service cannot reach its data at this moment. " +
				"Send the request again after the time in Retry-After.",
		}
	case errors.Is(err, models.ErrNotFound):
		return NotFound("There is nothing of this name.")
	}
	if refused := translateUser(err); refused != nil {
		return refused
	}
	return &Error{
		Code:   internalError,
		Detail: "Something went wrong on our side. Its cause is in the log under this request_id.",
	}
}

// translateUser returns why a user cannot be made or changed, or nil for another error.
func translateUser(err error) *Error {
	var user *security.RejectedError
	var secret *password.RejectedError
	switch {
	case errors.As(err, &user):
		return invalidPart(user.Part, user.Reason)
	case errors.As(err, &secret):
		return invalidPart("password", secret.Reason)
	case errors.Is(err, models.ErrUsernameTaken):
		return &Error{Code: usernameTaken, Detail: "Another user has this username. Choose another one."}
	case errors.Is(err, models.ErrLastAdmin):
		return &Error{Code: lastAdmin, Detail: "This is the only administrator who may log in. " +
			"Give another user the role admin first. Nothing was changed."}
	case errors.Is(err, models.ErrChanged):
		return &Error{Code: preconditionFailed, Detail: "This has changed since the ETag in `If-Match`. " +
			"GET it again, and decide again. Nothing was changed."}
	}
	return nil
}

// log tells the operator what the caller must not see.
func (r *renderer) log(c *gin.Context, status int, code security.Code, err error) {
	level := slog.LevelDebug
	switch {
	case code == security.Overloaded:
		level = slog.LevelWarn
	case code == stopping: // it was told to
	case status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled):
		level = slog.LevelError
	case code == security.InvalidCredentials || code == security.WrongPassword: // the event has its own line
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		level = slog.LevelInfo
	}
	var advice, trace, span slog.Attr // an empty attribute is left out
	if traceID, spanID := tracing.IDs(c.Request.Context()); traceID != "" {
		trace, span = slog.String(fieldTrace, traceID), slog.String(fieldSpan, spanID)
	}
	if level >= slog.LevelWarn {
		advice = slog.String("advice", adviceOn(code))
	}
	r.logger.LogAttrs(c.Request.Context(), level, "refused",
		slog.String("request_id", requestID(c)),
		trace,
		span,
		slog.String("code", string(code)),
		slog.String(fieldClient, c.ClientIP()),
		slog.Any("error", err),
		advice)
}

// adviceOn tells an operator what to do about an error that is the server's.
func adviceOn(code security.Code) string {
	switch code {
	case unavailable:
		return "see that the database runs and answers, and that its disk has room; " +
			"sherpa db status says whether this machine reaches it"
	case security.Overloaded:
		return "more passwords, or personal access tokens that nobody knows, arrive than can be checked: " +
			"if they are honest, add cores or replicas; if not, shut out the addresses that send them"
	}
	return "this is a defect of the program: report it with this line"
}

// setChallenge tells how to authenticate: one header line for each scheme, the better known first (RFC 9110,
// section 11.6.1). The error is in the line of the scheme that was used, and absent when no token came (RFC
// 6750, section 3.1). The scope is the roles, one of which is needed (section 3).
func setChallenge(c *gin.Context, known *Error, status int) {
	reason := challengeError(known.Code)
	if status != http.StatusUnauthorized && reason == "" {
		return
	}
	for _, scheme := range []string{security.SchemeBearer, security.SchemeJWT} {
		challenge := scheme + ` realm="sherpa"`
		if reason != "" && scheme == security.SchemeOf(c) {
			challenge += fmt.Sprintf(`, error="%s"`, reason)
			if len(known.Roles) > 0 {
				challenge += fmt.Sprintf(`, scope="%s"`, strings.Join(known.Roles, " "))
			}
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
	case security.Forbidden, security.TokenNotAllowed:
		return "insufficient_scope"
	default:
		return ""
	}
}

// seconds rounds up: a client that waits this long must be let in.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
