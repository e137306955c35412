package handlers

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/metrics"
	"sherpa/security"
)

// The names of fields of the log. They follow OpenTelemetry's semantic conventions where these have one.
const (
	fieldClient = "client.address"
	fieldUser   = "user.id"

	fieldTrace = "trace_id"
	fieldSpan  = "span_id"
)

// Access is what the access log says about a request. It has the route, not the path: a path may hold what
// nobody should read.
type Access struct {
	At        time.Time // its end
	Level     slog.Level
	Method    string // one of HTTP's, or metrics.OtherMethod: clients may invent any
	Route     string // empty when there is none for the path
	Status    int
	Took      time.Duration
	Client    string // its address
	RequestID string
	UserID    int64 // 0 for nobody

	TraceID, SpanID string // empty without tracing
}

// AccessLog writes a line about each request.
type AccessLog interface{ Log(Access) }

func accessOf(c *gin.Context, end time.Time, took time.Duration) Access {
	principal, _ := security.PrincipalOf(c)
	return Access{
		At: end, Level: requestLevel(c), Method: metrics.MethodOf(c.Request.Method), Route: c.FullPath(),
		Status: c.Writer.Status(), Took: took, Client: clientAddress(c), RequestID: requestID(c),
		UserID: principal.UserID,
	}
}

// clientAddress is Gin's ClientIP. Gin parses the address and formats it again: needless when no proxy
// speaks for somebody else and net/http wrote the address.
func clientAddress(c *gin.Context) string {
	host, _, err := net.SplitHostPort(c.Request.RemoteAddr)
	if err != nil || strings.Contains(host, "%") || c.Request.Header["X-Forwarded-For"] != nil {
		return c.ClientIP()
	}
	return host
}

// SlogAccess is an AccessLog in the format of a logger.
type SlogAccess struct{ Logger *slog.Logger }

// Log writes the line unless the logger leaves out its level.
func (l SlogAccess) Log(a Access) {
	ctx := context.Background()
	if !l.Logger.Enabled(ctx, a.Level) {
		return
	}
	var route, user, traceID, spanID slog.Attr // an empty attribute is left out
	if a.Route != "" {
		route = slog.String("http.route", a.Route)
	}
	if a.UserID != 0 {
		user = slog.String(fieldUser, strconv.FormatInt(a.UserID, 10))
	}
	if a.TraceID != "" {
		traceID, spanID = slog.String(fieldTrace, a.TraceID), slog.String(fieldSpan, a.SpanID)
	}
	record := slog.NewRecord(a.At, a.Level, "request", 0) // 0: to look for the caller costs time
	record.AddAttrs(
		slog.String("http.request.method", a.Method),
		route,
		slog.Int("http.response.status_code", a.Status),
		slog.Int64("duration_us", a.Took.Microseconds()),
		slog.String(fieldClient, a.Client),
		slog.String("request_id", a.RequestID),
		traceID,
		spanID,
		user)
	_ = l.Logger.Handler().Handle(ctx, record) // like Logger.Log: an error has no reader
}
