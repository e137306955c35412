package tracing

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Request is what a span says about a request. It has no path: a path may hold what nobody should read.
type Request struct {
	Method    string // one of HTTP's, or _OTHER
	Route     string // its pattern; empty when there is none for the path
	Scheme    string // http or https
	Protocol  string // version of HTTP, such as 1.1
	Client    string // its address
	RequestID string
}

// name follows the semantic conventions for HTTP spans.
func (r Request) name() string {
	method := r.Method
	if method == "_OTHER" {
		method = "HTTP"
	}
	return strings.TrimSpace(method + " " + r.Route)
}

func (r Request) attributes() []attribute.KeyValue {
	all := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(r.Method),
		semconv.URLScheme(r.Scheme),
		semconv.NetworkProtocolVersion(r.Protocol),
		semconv.ClientAddress(r.Client),
		attribute.String("request_id", r.RequestID), // as in the log
	}
	if r.Route != "" {
		all = append(all, semconv.HTTPRoute(r.Route))
	}
	return all
}

// Span is that of a request.
type Span struct{ span trace.Span }

// Request begins the span of a request, and returns a context for what belongs to it. The span continues the
// trace of the headers traceparent and tracestate (W3C Trace Context, level 1). Without a valid traceparent,
// it begins one.
func (t *Tracer) Request(ctx context.Context, headers http.Header, r Request) (context.Context, Span) {
	ctx = propagation.TraceContext{}.Extract(ctx, incoming{propagation.HeaderCarrier(headers)})
	ctx, span := t.tracer.Start(ctx, r.name(),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(r.attributes()...))
	return ctx, Span{span}
}

// incoming reads the headers of a request as the standard says. OpenTelemetry's own carrier takes the first
// line of several.
type incoming struct{ propagation.HeaderCarrier }

// Get joins the lines of tracestate (section 3.3.1). A second traceparent makes both invalid.
func (i incoming) Get(name string) string { return strings.Join(i.Values(name), ",") }

// End ends the span. The user is 0 for nobody. Only an error of the server makes a span fail.
func (s Span) End(status int, userID int64) {
	s.span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	if userID != 0 {
		s.span.SetAttributes(semconv.UserID(strconv.FormatInt(userID, 10)))
	}
	if status >= http.StatusInternalServerError {
		s.span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		s.span.SetStatus(codes.Error, "")
	}
	s.span.End()
}

// Hash records a password hash that has just been computed for a request.
func (t *Tracer) Hash(ctx context.Context, waited, took time.Duration) {
	if t == nil || !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	end := time.Now()
	turn := end.Add(-took)
	_, span := t.tracer.Start(ctx, "hash password", trace.WithTimestamp(turn.Add(-waited)))
	span.AddEvent("turn", trace.WithTimestamp(turn)) // it waited until then
	span.End(trace.WithTimestamp(end))
}

// Statement records an operation on a database that a request has just carried out. What runs in the
// background makes no span: it would be a trace of its own, twice a second. The system is the name that
// OpenTelemetry has for the engine.
func (t *Tracer) Statement(
	ctx context.Context, system, operation string, took time.Duration, failed bool,
) {
	if t == nil || !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	end := time.Now()
	_, span := t.tracer.Start(ctx, operation,
		trace.WithTimestamp(end.Add(-took)), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(semconv.DBSystemNameKey.String(system), semconv.DBOperationName(operation)))
	if failed {
		span.SetAttributes(semconv.ErrorTypeKey.String("unavailable"))
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(end))
}

// IDs returns the ids of the trace and the span of a request, empty when it has none.
func IDs(ctx context.Context) (traceID, spanID string) {
	found := trace.SpanContextFromContext(ctx)
	if !found.IsValid() {
		return "", ""
	}
	return found.TraceID().String(), found.SpanID().String()
}

// Inject sets the headers traceparent and tracestate of a request to another service, so that its spans
// belong to the trace of ctx. It sets none when ctx has no trace.
func Inject(ctx context.Context, headers http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(headers))
}
