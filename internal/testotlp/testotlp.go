// Package testotlp is a collector of OpenTelemetry for tests. Only tests import it.
package testotlp

import (
	"compress/gzip"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is what a collector knows about a span.
type Span struct {
	Name, TraceID, SpanID, ParentID, TraceState string

	Kind       string // such as SPAN_KIND_SERVER
	Failed     bool
	Start, End time.Time
	Attributes map[string]any
	Events     []string
	Resource   map[string]any
}

// Collector keeps the spans that it gets.
type Collector struct {
	URL string // takes traces at its path /v1/traces

	mu      sync.Mutex
	spans   []Span
	headers []http.Header
	faults  []error
}

// New starts a collector until the end of the test, which fails when it gets what is no OTLP over HTTP.
func New(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	server := httptest.NewServer(http.HandlerFunc(c.take))
	c.URL = server.URL
	t.Cleanup(func() {
		server.Close()
		if err := errors.Join(c.faults...); err != nil {
			t.Errorf("the collector: %v", err)
		}
	})
	return c
}

// Spans returns what has arrived.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Named returns the spans of this name that have arrived.
func (c *Collector) Named(name string) (found []Span) {
	for _, s := range c.Spans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// Headers returns those of each request.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]http.Header(nil), c.headers...)
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = append(c.headers, r.Header)
	spans, err := read(r)
	if err != nil {
		c.faults = append(c.faults, err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.spans = append(c.spans, spans...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func read(r *http.Request) ([]Span, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" {
		return nil, errors.New("it got " + r.Method + " " + r.URL.Path)
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/x-protobuf" {
		return nil, errors.New("it got " + kind)
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		packed, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		body = packed
	}
	text, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	var data tracepb.TracesData // as ExportTraceServiceRequest on the wire
	if err := proto.Unmarshal(text, &data); err != nil {
		return nil, err
	}
	return spansOf(&data), nil
}

func spansOf(data *tracepb.TracesData) (all []Span) {
	for _, resource := range data.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := spanOf(s)
				span.Resource = attributes(resource.GetResource().GetAttributes())
				all = append(all, span)
			}
		}
	}
	return all
}

func spanOf(s *tracepb.Span) Span {
	span := Span{
		Name:    s.GetName(),
		TraceID: hex.EncodeToString(s.GetTraceId()), SpanID: hex.EncodeToString(s.GetSpanId()),
		ParentID: hex.EncodeToString(s.GetParentSpanId()), TraceState: s.GetTraceState(),
		Kind: s.GetKind().String(), Failed: s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
		Start:      time.Unix(0, int64(s.GetStartTimeUnixNano())), //nolint:gosec // G115: until 2262
		End:        time.Unix(0, int64(s.GetEndTimeUnixNano())),   //nolint:gosec // G115: until 2262
		Attributes: attributes(s.GetAttributes()),
	}
	for _, e := range s.GetEvents() {
		span.Events = append(span.Events, e.GetName())
	}
	return span
}

func attributes(all []*commonpb.KeyValue) map[string]any {
	found := map[string]any{}
	for _, a := range all {
		switch value := a.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			found[a.GetKey()] = value.StringValue
		case *commonpb.AnyValue_IntValue:
			found[a.GetKey()] = value.IntValue
		default:
			found[a.GetKey()] = a.GetValue().String()
		}
	}
	return found
}
