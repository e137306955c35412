package e2e

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"sherpa/internal/testotlp"
)

// TestTracing needs nothing but the standard variables of OpenTelemetry.
func TestTracing(t *testing.T) {
	t.Parallel()
	collector := testotlp.New(t)
	p := startProcess(t, t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_SERVICE_NAME=doors",
		"OTEL_RESOURCE_ATTRIBUTES=service.namespace=valley", "OTEL_TRACES_SAMPLER=parentbased_always_off")
	const trace, caller = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	for _, flags := range []string{"01", "00"} {
		parent := traced("00-" + trace + "-" + caller + "-" + flags)
		want(t, 200)(p.send(t.Context(), parent, newAddress(), "POST", "/auth",
			credentials("sherpa", "everest"), ""))
	}
	want(t, 200)(p.login()) // begins a trace, which is not sampled
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	requests := collector.Named("POST /auth")
	if len(requests) != 1 {
		t.Fatalf("%d spans", len(requests))
	}
	request := requests[0]
	if request.TraceID != trace || request.ParentID != caller ||
		request.Resource["service.name"] != "doors" || request.Resource["service.namespace"] != "valley" {
		t.Errorf("%+v", request)
	}
	for _, name := range []string{"hash password", "read user", "create session"} {
		if found := collector.Named(name); len(found) != 1 || found[0].ParentID != request.SpanID {
			t.Errorf("%s: %+v", name, found)
		}
	}
	p.wantLog(`"trace_id":"` + trace + `","span_id":"` + request.SpanID + `"`)
	p.wantLog(`"msg":"tracing is on","url":"` + collector.URL + `/v1/traces"`)
}

// traced sends its requests as part of a trace.
type traced string

func (parent traced) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("Traceparent", string(parent))
	return http.DefaultTransport.RoundTrip(r)
}

// TestTracingWithoutCollector: clients do not notice, and the log has one line.
func TestTracingWithoutCollector(t *testing.T) {
	t.Parallel()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nobody.Addr().String()
	if err := nobody.Close(); err != nil {
		t.Fatal(err)
	}
	p := startProcess(t, t.TempDir(), quiet, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+address,
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1") // each span is an export that fails
	for range 3 {
		want(t, 200)(p.login())
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	p.wantLog("see that the collector runs")
	if lines := strings.Count(p.log.String(), "spans are lost"); lines != 1 {
		t.Errorf("%d lines tell of it", lines)
	}
}

// TestNoTracing: without the variables nothing asks for a collector, and nobody reads of traces.
func TestNoTracing(t *testing.T) {
	t.Parallel()
	collector := testotlp.New(t)
	p := startProcess(t, t.TempDir(), "OTEL_EXPORTER_OTLP_ENDPOINT="+collector.URL, "OTEL_SDK_DISABLED=true")
	want(t, 200)(p.login())
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if log := p.log.String(); len(collector.Headers()) != 0 || strings.Contains(log, "trac") {
		t.Errorf("%d exports; %s", len(collector.Headers()), log)
	}
}
