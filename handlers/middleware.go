package handlers

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/metrics"
	"sherpa/security"
	"sherpa/tracing"
)

// goodRequestID is what a proxy may name a request; anything else could forge a line in a log.
var goodRequestID = regexp.MustCompile(`^[A-Za-z0-9._-]{8,64}$`)

// observe gives the request an id. At its end it counts the request, and logs one line, unless log is nil.
// The line of a traced request has the ids of its trace.
func observe(log AccessLog, requests *metrics.Requests, traced bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		id := c.GetHeader(headerRequestID)
		if id == "" || !goodRequestID.MatchString(id) {
			id = newRequestID()
		}
		c.Writer.Header()[headerRequestID] = []string{id}
		if log != nil || requests != nil {
			start := time.Now()
			// Deferred: an aborted answer is counted, too.
			defer func() { finish(c, log, requests, traced, start) }()
		}
		c.Next()
	}
}

// finish reads the clock once for both.
func finish(c *gin.Context, log AccessLog, requests *metrics.Requests, traced bool, start time.Time) {
	end := time.Now()
	took := end.Sub(start)
	requests.Observe(c.Request.Method, c.FullPath(), c.Writer.Status(), took)
	if log == nil {
		return
	}
	line := accessOf(c, end, took)
	if traced {
		line.TraceID, line.SpanID = tracing.IDs(c.Request.Context())
	}
	log.Log(line)
}

// trace makes a span of each request. Probes have none: they come several times a second and say nothing.
func trace(tracer *tracing.Tracer) gin.HandlerFunc {
	return func(c *gin.Context) {
		switch c.FullPath() {
		case pathHealth, pathReady:
			return // the next handler follows
		}
		ctx, span := tracer.Request(c.Request.Context(), c.Request.Header, spanOf(c))
		c.Request = c.Request.WithContext(ctx)
		defer func() { // deferred: an aborted answer has a span, too
			principal, _ := security.PrincipalOf(c)
			span.End(c.Writer.Status(), principal.UserID)
		}()
		c.Next()
	}
}

func spanOf(c *gin.Context) tracing.Request {
	scheme := "http"
	if c.Request.TLS != nil {
		scheme = "https"
	}
	return tracing.Request{
		Method: metrics.MethodOf(c.Request.Method), Route: c.FullPath(), Scheme: scheme,
		Protocol: strings.TrimPrefix(c.Request.Proto, "HTTP/"), Client: clientAddress(c),
		RequestID: requestID(c),
	}
}

// newRequestID returns 13 letters and digits. The highest bit makes all of them as long.
func newRequestID() string {
	return strconv.FormatUint(rand.Uint64()|1<<63, 36) //nolint:gosec // G404: a name, not a secret
}

// requestLevel: a proxy asks several times a second whether all is well, and nobody wants to read that it is.
func requestLevel(c *gin.Context) slog.Level {
	if c.Writer.Status() != http.StatusOK {
		return slog.LevelInfo
	}
	switch c.FullPath() {
	case pathHealth, pathReady:
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// recover answers a panic with a problem, so that one bad request does not take the process down.
func (a *router) recover(c *gin.Context) {
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

// secureHeaders sets what every response has. Nothing that this service says may be kept by a cache. The
// values are shared by all responses, which is safe: a header is changed by giving it another slice.
func secureHeaders() gin.HandlerFunc {
	nosniff, noStore, hsts := []string{"nosniff"}, []string{"no-store"}, []string{hstsOneYear}
	return func(c *gin.Context) {
		header := c.Writer.Header()
		header["X-Content-Type-Options"] = nosniff
		header["Cache-Control"] = noStore
		if c.Request.TLS != nil { // RFC 6797, section 7.2: never over plain HTTP
			header["Strict-Transport-Security"] = hsts
		}
	}
}

// hstsOneYear tells browsers to use nothing but TLS with this host (RFC 6797, section 6.1). It leaves
// subdomains alone: they may belong to others.
const hstsOneYear = "max-age=31536000"
