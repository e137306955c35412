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

const (
	keyRequestID    = "sherpa.request_id"
	headerRequestID = "X-Request-Id"
)

// goodRequestID is what a proxy may name a request; anything else could forge a line in a log.
var goodRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// observe names the request and, when it is over, writes one line about it. The line has the route and not the path,
// which may hold what nobody should read.
func (a *api) observe(logger *slog.Logger, accessLog bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		start := time.Now()
		id := c.GetHeader(headerRequestID)
		if !goodRequestID.MatchString(id) {
			id = rand.Text()
		}
		c.Set(keyRequestID, id)
		c.Header(headerRequestID, id)
		if accessLog {
			defer func() { logRequest(c, logger, id, time.Since(start)) }() // deferred: an aborted answer is logged too
		}
		c.Next()
	}
}

func logRequest(c *gin.Context, logger *slog.Logger, id string, took time.Duration) {
	attrs := []slog.Attr{
		slog.String("method", c.Request.Method),
		slog.String("route", c.FullPath()),
		slog.Int("status", c.Writer.Status()),
		slog.Float64("ms", float64(took.Microseconds())/1000),
		slog.String("client", c.ClientIP()),
		slog.String("request_id", id),
	}
	if principal, ok := security.PrincipalOf(c); ok {
		attrs = append(attrs, slog.Int64("user_id", principal.UserID))
	}
	logger.LogAttrs(c.Request.Context(), slog.LevelInfo, "request", attrs...)
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

// secureHeaders sets what every response has. Nothing that this service says may be kept by a cache.
func secureHeaders(c *gin.Context) {
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Cache-Control", "no-store")
}

func methodRefused(method, allow string) error {
	const longest = 16
	if len(method) > longest {
		method = method[:longest]
	}
	return &security.Error{Code: methodNotAllowed, Detail: fmt.Sprintf("The resource at this path does not have the method %s. It has %s.", method, allow)}
}
