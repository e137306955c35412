package handlers

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

const headerRequestID = "X-Request-Id" // in the form that a header map has

// goodRequestID is what a proxy may name a request; anything else could forge a line in a log.
var goodRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// observe names the request and, when it is over, writes one line about it. The line has the route and not the path,
// which may hold what nobody should read.
func (a *api) observe(logger *slog.Logger, accessLog bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		id := c.GetHeader(headerRequestID)
		if id == "" || !goodRequestID.MatchString(id) {
			id = rand.Text()
		}
		c.Writer.Header()[headerRequestID] = []string{id}
		if accessLog {
			defer func() { logRequest(c, logger, id, time.Since(start)) }() // deferred: an aborted answer is logged too
		}
		c.Next()
	}
}

// requestID returns the name of the request: it stands in the answer from the beginning.
func requestID(c *gin.Context) string { return c.Writer.Header().Get(headerRequestID) }

func logRequest(c *gin.Context, logger *slog.Logger, id string, took time.Duration) {
	var user slog.Attr // an empty attribute is left out
	if principal, ok := security.PrincipalOf(c); ok {
		user = slog.Int64("user_id", principal.UserID)
	}
	logger.LogAttrs(c.Request.Context(), slog.LevelInfo, "request",
		slog.String("method", c.Request.Method),
		slog.String("route", c.FullPath()),
		slog.Int("status", c.Writer.Status()),
		slog.Int64("us", took.Microseconds()),
		slog.String("client", c.ClientIP()),
		slog.String("request_id", id),
		user)
}

// recover answers a panic with a problem, so that one bad request does not take the process down.
func (a *api) recover(c *gin.Context) {
	defer func() {
		cause := recover()
		switch cause {
		case nil:
		case http.ErrAbortHandler:
			panic(cause) // net/http knows it: cut the connection, log nothing
		default:
			a.render.write(c, fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	c.Next()
}

// secureHeaders sets what every response has. Nothing that this service says may be kept by a cache. The values are
// shared by all responses, which is safe: a header is changed by giving it another slice.
func secureHeaders() gin.HandlerFunc {
	nosniff, noStore := []string{"nosniff"}, []string{"no-store"}
	return func(c *gin.Context) {
		header := c.Writer.Header()
		header["X-Content-Type-Options"] = nosniff
		header["Cache-Control"] = noStore
	}
}

func methodRefused(method, allow string) error {
	const longest = 16
	if len(method) > longest {
		method = method[:longest]
	}
	return &security.Error{Code: methodNotAllowed, Detail: fmt.Sprintf("The resource at this path does not have the method %s. It has %s.", method, allow)}
}
