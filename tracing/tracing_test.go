package tracing

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"sherpa/internal/testotlp"
)

// TestMain fails when a goroutine is left: a Tracer must end with Stop, and none starts without one.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// warnings collects what an operator would read.
type warnings struct {
	mu  sync.Mutex
	all []string
}

func (w *warnings) add(kind, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, kind+": "+text)
}

func (w *warnings) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.all, "\n")
}

// start returns a Tracer with these variables.
func start(t *testing.T, env map[string]string) (*Tracer, *warnings) {
	t.Helper()
	w := &warnings{}
	lookup := func(name string) (string, bool) { value, ok := env[name]; return value, ok }
	tracer := New(Config{Lookup: lookup, Version: "v1.2.3", Warn: w.add})
	t.Cleanup(tracer.Stop)
	return tracer, w
}

// wantWarning wants one warning with this text in it, or none.
func wantWarning(t *testing.T, got *warnings, want string) {
	t.Helper()
	text := got.String()
	if (text == "") != (want == "") || !strings.Contains(text, want) || strings.Contains(text, "\n") {
		t.Errorf("warnings: %q, want %q", text, want)
	}
}

func TestOnlyWhenAsked(t *testing.T) {
	const url = "http://127.0.0.1:4318"
	for _, row := range []struct {
		name    string
		env     map[string]string
		on      bool
		warning string // part of the one warning
	}{
		{"nothing set", nil, false, ""},
		{"an endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": url}, true, ""},
		{"an endpoint for traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url}, true, ""},
		{"an empty endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, false, ""},
		{"an endpoint for metrics", map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": url}, false, ""},
		{"no traces", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_TRACES_EXPORTER": "none"}, false, ""},
		{"traces by name", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_TRACES_EXPORTER": "otlp"}, true, ""},
		{"another exporter", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_TRACES_EXPORTER": "zipkin"}, false, "otlp or none"},
		{"disabled", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SDK_DISABLED": "True"}, false, ""},
		{"disabled by a word that is not true", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SDK_DISABLED": "yes"}, true, ""},
		{"gRPC", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, false,
			"http/protobuf"},
		{"our protocol for traces", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
			"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}, true, ""},
		{"an endpoint without a scheme", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, false, "http://127.0.0.1:4318"},
		{"an endpoint that is no URL", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[secret"}, false, "http://127.0.0.1:4318"},
		{"a bad header", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_HEADERS": "secret"}, true, "name=value"},
		{"a bad timeout", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, true, "milliseconds"},
		{"a bad compression", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, true, "gzip"},
		{"a certificate", map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_CERTIFICATE": "x"}, true,
			"SSL_CERT_FILE"},
	} {
		t.Run(row.name, func(t *testing.T) {
			tracer, warned := start(t, row.env)
			if (tracer != nil) != row.on {
				t.Errorf("on: %v", tracer != nil)
			}
			wantWarning(t, warned, row.warning)
			if strings.Contains(warned.String(), "secret") {
				t.Errorf("warnings: %s", warned)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	read := func(env map[string]string) settings {
		lookup := func(name string) (string, bool) { value, ok := env[name]; return value, ok }
		s, ok := readSettings(lookup, func(kind, text string) { t.Error(kind, text) })
		if !ok {
			t.Fatal("off")
		}
		return s
	}
	for endpoint, want := range map[string]string{
		"http://c:4318": "http://c:4318/v1/traces", "https://c/": "https://c/v1/traces",
		"https://c/otlp": "https://c/otlp/v1/traces",
	} {
		got := read(map[string]string{generalPrefix + "ENDPOINT": endpoint}).endpoint
		if got.String() != want {
			t.Errorf("%s: %s, want %s", endpoint, got, want)
		}
	}
	got := read(map[string]string{
		generalPrefix + "ENDPOINT": "http://other", tracesPrefix + "ENDPOINT": "http://c/as-it-is",
		generalPrefix + "TIMEOUT": "1500", tracesPrefix + "COMPRESSION": "gzip",
		generalPrefix + "HEADERS": "api-key=a%20b=c, x=,",
	})
	if got.endpoint.String() != "http://c/as-it-is" || got.timeout != 1500*time.Millisecond || !got.gzip {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(http.Header{"Api-Key": {"a b=c"}, "X": {""}}, got.headers); diff != "" {
		t.Error(diff)
	}
}

// TestSpansArrive: what a collector gets, and how.
func TestSpansArrive(t *testing.T) {
	for _, compression := range []string{"none", "gzip"} {
		t.Run(compression, func(t *testing.T) {
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=overruled")
			t.Setenv("OTEL_SERVICE_NAME", "doors")
			collector := testotlp.New(t)
			tracer, warned := start(t, map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=k",
				"OTEL_EXPORTER_OTLP_COMPRESSION": compression,
			})
			ctx, span := tracer.Request(t.Context(), http.Header{}, Request{
				Method: "POST", Route: "/auth", Scheme: "http", Protocol: "1.1", Client: "192.0.2.1",
				RequestID: "request-1",
			})
			tracer.Statement(ctx, "sqlite", "read user", time.Millisecond, false)
			tracer.Statement(ctx, "sqlite", "commit", time.Millisecond, true)
			tracer.Hash(ctx, 2*time.Millisecond, 3*time.Millisecond)
			span.End(503, 7)
			tracer.Statement(ctx, "sqlite", "too late", time.Millisecond, false)
			tracer.Statement(t.Context(), "sqlite", "in the background", time.Millisecond, false)
			tracer.Hash(t.Context(), 0, 0)
			tracer.Stop()

			spans := collector.Spans()
			if len(spans) != 4 || warned.String() != "" {
				t.Fatalf("%d spans, %s", len(spans), warned)
			}
			root := spans[3]
			want := []testotlp.Span{
				{Name: "read user", Kind: "SPAN_KIND_CLIENT", Attributes: map[string]any{
					"db.system.name": "sqlite", "db.operation.name": "read user"}},
				{Name: "commit", Kind: "SPAN_KIND_CLIENT", Failed: true, Attributes: map[string]any{
					"db.system.name": "sqlite", "db.operation.name": "commit", "error.type": "unavailable"}},
				{Name: "hash password", Kind: "SPAN_KIND_INTERNAL", Attributes: map[string]any{},
					Events: []string{"turn"}},
				{Name: "POST /auth", Kind: "SPAN_KIND_SERVER", Failed: true, Attributes: map[string]any{
					"http.request.method": "POST", "http.route": "/auth",
					"http.response.status_code": int64(503),
					"url.scheme":                "http", "network.protocol.version": "1.1",
					"client.address": "192.0.2.1",
					"request_id":     "request-1", "user.id": "7", "error.type": "503"}},
			}
			const ms = time.Millisecond
			for i, least := range []time.Duration{ms, ms, 5 * ms, 0} {
				got := spans[i]
				if got.TraceID != root.TraceID || got.End.Sub(got.Start) < least {
					t.Errorf("%s is of trace %s and took %v", got.Name, got.TraceID, got.End.Sub(got.Start))
				}
				if i < 3 {
					want[i].ParentID = root.SpanID
				}
				want[i].TraceID, want[i].SpanID, want[i].Resource = got.TraceID, got.SpanID, got.Resource
				want[i].Start, want[i].End = got.Start, got.End
			}
			if diff := cmp.Diff(want, spans); diff != "" {
				t.Error(diff)
			}
			if root.Resource["service.name"] != "doors" || root.Resource["service.version"] != "v1.2.3" ||
				root.Resource["deployment.environment.name"] != "test" {
				t.Errorf("resource %v", root.Resource)
			}
			h := collector.Headers()[0]
			if h.Get("Api-Key") != "k" || h.Get("User-Agent") != "Sherpa/v1.2.3" {
				t.Errorf("headers %v", h)
			}
		})
	}
}

func TestDefaultServiceName(t *testing.T) {
	collector := testotlp.New(t)
	tracer, _ := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL})
	_, span := tracer.Request(t.Context(), nil, Request{Method: "_OTHER"})
	span.End(405, 0)
	tracer.Stop()
	got := collector.Spans()[0]
	if got.Resource["service.name"] != "sherpa" || got.Name != "HTTP" || got.Failed {
		t.Errorf("%+v", got)
	}
}

// TestTraceContext is W3C Trace Context, level 1.
func TestTraceContext(t *testing.T) {
	const id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	const good = "00-" + id + "-" + parent + "-01"
	for _, row := range []struct {
		name        string
		parent      []string
		state       []string
		continues   bool
		wantState   string
		wantSampled bool
	}{
		{"none", nil, nil, false, "", true},
		{"valid", []string{good}, nil, true, "", true},
		{"with a state", []string{good}, []string{"a=1,b=2"}, true, "a=1,b=2", true},
		{"with a state of several lines", []string{good}, []string{"a=1", "b=2"}, true, "a=1,b=2", true},
		{"with a broken state", []string{good}, []string{"=,="}, true, "", true},
		{"not sampled", []string{"00-" + id + "-" + parent + "-00"}, nil, true, "", false},
		{"a later version", []string{"01-" + id + "-" + parent + "-01-more"}, nil, true, "", true},
		{"version ff", []string{"ff-" + id + "-" + parent + "-01"}, nil, false, "", true},
		{"too long", []string{good + "-more"}, nil, false, "", true},
		{"too short", []string{"00-" + id + "-" + parent}, nil, false, "", true},
		{"upper case", []string{strings.ToUpper(good)}, nil, false, "", true},
		{"no hex", []string{strings.Replace(good, "4", "g", 1)}, nil, false, "", true},
		{"zero trace", []string{"00-" + strings.Repeat("0", 32) + "-" + parent + "-01"}, nil,
			false, "", true},
		{"zero parent", []string{"00-" + id + "-" + strings.Repeat("0", 16) + "-01"}, nil, false, "", true},
		{"twice", []string{good, good}, nil, false, "", true},
		{"a state alone", nil, []string{"a=1"}, false, "", true},
		{"a broken parent with a state", []string{"x"}, []string{"a=1"}, false, "", true},
	} {
		t.Run(row.name, func(t *testing.T) {
			collector := testotlp.New(t)
			tracer, _ := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL})
			in := http.Header{"Traceparent": row.parent, "Tracestate": row.state}
			ctx, span := tracer.Request(t.Context(), in, Request{Method: "GET"})
			traceID, spanID := IDs(ctx)
			out := http.Header{}
			Inject(ctx, out)
			span.End(200, 0)
			tracer.Stop()

			flags := map[bool]string{true: "01", false: "00"}[row.wantSampled]
			want := "00-" + traceID + "-" + spanID + "-" + flags
			if out.Get("Traceparent") != want || out.Get("Tracestate") != row.wantState {
				t.Errorf("sends on %v, want %s", out, want)
			}
			if (traceID == id) != row.continues || spanID == parent {
				t.Errorf("trace %s, span %s", traceID, spanID)
			}
			spans := collector.Spans()
			if (len(spans) == 1) != row.wantSampled {
				t.Fatalf("%d spans", len(spans))
			}
			if !row.wantSampled {
				return
			}
			wantParent := ""
			if row.continues {
				wantParent = parent
			}
			if s := spans[0]; s.TraceID != traceID || s.SpanID != spanID || s.ParentID != wantParent ||
				s.TraceState != row.wantState {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestSampler(t *testing.T) {
	const sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, row := range []struct {
		sampler, argument, parent string
		spans                     int
		warning                   string
	}{
		{"always_off", "", sampled, 0, ""},
		{"always_on", "", strings.TrimSuffix(sampled, "1") + "0", 1, ""},
		{"parentbased_always_off", "", sampled, 1, ""},
		{"parentbased_always_off", "", "", 0, ""},
		{"traceidratio", "0", sampled, 0, ""},
		{"parentbased_traceidratio", "1", "", 1, ""},
		{"often", "", "", 1, "unsupported sampler: often; check the variables that begin with OTEL_"},
	} {
		t.Run(row.sampler+" "+row.argument+" "+row.parent, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", row.sampler)
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", row.argument)
			collector := testotlp.New(t)
			tracer, warned := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL})
			headers := http.Header{}
			headers.Set("Traceparent", row.parent)
			ctx, span := tracer.Request(t.Context(), headers, Request{Method: "GET"})
			tracer.Statement(ctx, "sqlite", "read", 0, false)
			span.End(200, 0)
			tracer.Stop()
			if got := len(collector.Spans()); got != 2*row.spans {
				t.Errorf("%d spans", got)
			}
			wantWarning(t, warned, row.warning)
		})
	}
}

// TestAnswersOfCollectors: which are tried again.
func TestAnswersOfCollectors(t *testing.T) {
	for _, row := range []struct {
		status, tries int
		warning       string
	}{
		{200, 1, ""}, {202, 1, ""}, {400, 1, "answered 400"}, {307, 1, "answered 307"},
		{500, 1, "answered 500"},
		{429, 2, ""}, {502, 2, ""}, {503, 2, ""}, {504, 2, ""},
	} {
		t.Run(fmt.Sprint(row.status), func(t *testing.T) {
			var tries int
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if tries++; tries == 1 {
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(row.status)
				}
			}))
			tracer, warned := start(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL})
			tracer.client.wait = time.Millisecond
			_, span := tracer.Request(t.Context(), nil, Request{Method: "GET"})
			span.End(200, 0)
			tracer.Stop()
			server.Close()
			if tries != row.tries {
				t.Errorf("%d tries", tries)
			}
			wantWarning(t, warned, row.warning)
		})
	}
}

// TestCollectorAsksForTime: a collector that wants the spans in an hour does not get them before the timeout.
func TestCollectorAsksForTime(t *testing.T) {
	var tries int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		tries++
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	tracer, warned := start(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_EXPORTER_OTLP_TIMEOUT": "50",
	})
	tracer.client.wait = 0
	_, span := tracer.Request(t.Context(), nil, Request{Method: "GET"})
	span.End(200, 0)
	tracer.Stop()
	server.Close()
	if text := warned.String(); tries != 1 || !strings.Contains(text, "answered 503") {
		t.Errorf("%d tries, %q", tries, text)
	}
}

// TestNoCollector: spans are lost with one warning, and nobody waits.
func TestNoCollector(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close() // nobody listens there any more
	tracer, warned := start(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": strings.Replace(server.URL, "//", "//user:secret@", 1),
	})
	for range 10_000 { // more than the queue holds
		_, span := tracer.Request(t.Context(), nil, Request{Method: "GET"})
		span.End(200, 0)
	}
	tracer.Stop()
	text := warned.String()
	if !strings.Contains(text, "OTEL_EXPORTER_OTLP_ENDPOINT") || strings.Contains(text, "secret") {
		t.Errorf("warnings: %q", text)
	}
	if endpoint := tracer.Endpoint(); strings.Contains(endpoint, "secret") {
		t.Error(endpoint)
	}
}

// TestCollectorThatHangs: Stop ends, though the collector would hold it up for an hour.
func TestCollectorThatHangs(t *testing.T) {
	t.Setenv("OTEL_BSP_EXPORT_TIMEOUT", "3600000")
	asked, hang := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-hang
	}))
	tracer, warned := start(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_EXPORTER_OTLP_TIMEOUT": "3600000",
	})
	_, span := tracer.Request(t.Context(), nil, Request{Method: "GET"})
	span.End(200, 0)
	stopped := make(chan struct{})
	go func() { tracer.Stop(); close(stopped) }()
	<-asked
	select {
	case <-stopped:
	case <-time.After(time.Minute):
		t.Error("it holds up the stop")
	}
	close(hang)
	server.Close()
	if text := warned.String(); !strings.Contains(text, "the latest spans are lost") {
		t.Errorf("warnings: %q", text)
	}
}

// TestNil: nobody asked for tracing.
func TestNil(t *testing.T) {
	var none *Tracer
	none.Hash(t.Context(), 0, 0)
	none.Statement(t.Context(), "sqlite", "read", 0, false)
	none.Stop()
	headers := http.Header{}
	Inject(context.Background(), headers)
	if traceID, spanID := IDs(t.Context()); traceID+spanID != "" || len(headers) != 0 {
		t.Error(traceID, spanID, headers)
	}
}
