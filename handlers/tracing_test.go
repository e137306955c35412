package handlers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sherpa/handlers"
	"sherpa/internal/testotlp"
	"sherpa/tracing"
)

const (
	callerTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callerSpan  = "00f067aa0ba902b7"
	sampled     = "traceparent: 00-" + callerTrace + "-" + callerSpan + "-01"
	notSampled  = "traceparent: 00-" + callerTrace + "-" + callerSpan + "-00"
)

func newTracer(t testing.TB, collector *testotlp.Collector) *tracing.Tracer {
	t.Helper()
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL}
	tracer := tracing.New(tracing.Config{
		Version: "v1.2.3",
		Lookup:  func(name string) (string, bool) { value, ok := env[name]; return value, ok },
		Warn:    func(kind, text string) { t.Error(kind, text) },
	})
	t.Cleanup(tracer.Stop)
	return tracer
}

// newTracedServer returns a server, and a function that returns its spans and ends the tracing.
func newTracedServer(
	t testing.TB, more ...handlers.TestRoute,
) (s *server, collected func() *testotlp.Collector) {
	t.Helper()
	collector := testotlp.New(t)
	tracer := newTracer(t, collector)
	s = newServerWith(t, more, func(c *handlers.Config) { c.Tracer = tracer })
	s.store.Observe(func(ctx context.Context, operation string, took time.Duration, failed bool) {
		tracer.Statement(ctx, s.store.System(), operation, took, failed)
	})
	s.service.Hasher.Hashed = tracer.Hash
	return s, func() *testotlp.Collector { tracer.Stop(); return collector }
}

// spanOf wants one span of this name.
func spanOf(t *testing.T, collector *testotlp.Collector, name string) testotlp.Span {
	t.Helper()
	found := collector.Named(name)
	if len(found) != 1 {
		t.Fatalf("%d spans %q", len(found), name)
	}
	return found[0]
}

// TestTraceOfALogin: the span of the request continues the caller's trace, and those of its hash and its
// statements are below it.
func TestTraceOfALogin(t *testing.T) {
	t.Parallel()
	s, collected := newTracedServer(t)
	answer := s.direct("POST", "/auth", credentials(username, password), jsonType, sampled, "tracestate: a=1",
		"X-Request-Id: request-1")
	if answer.Code != 200 || answer.Header().Get("Traceparent") != "" {
		t.Fatalf("%d %v", answer.Code, answer.Header())
	}
	collector := collected()
	request := spanOf(t, collector, "POST /auth")
	if request.TraceID != callerTrace || request.ParentID != callerSpan || request.TraceState != "a=1" {
		t.Errorf("%+v", request)
	}
	for name, want := range map[string]any{
		"http.request.method": "POST", "http.route": "/auth", "http.response.status_code": int64(200),
		"url.scheme": "http", "network.protocol.version": "1.1", "client.address": "192.0.2.1",
		"request_id": "request-1", "user.id": fmt.Sprint(s.user.ID),
	} {
		if got := request.Attributes[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"hash password", "read user", "create session"} {
		span := spanOf(t, collector, name)
		if span.ParentID != request.SpanID || span.TraceID != callerTrace ||
			span.Start.Before(request.Start) || span.End.After(request.End) {
			t.Errorf("%+v is not within %+v", span, request)
		}
	}
	system := map[bool]string{false: "sqlite", true: "postgresql"}[onPostgres()]
	if span := spanOf(t, collector, "read user"); span.Attributes["db.system.name"] != system {
		t.Errorf("%+v", span)
	}
	for _, line := range s.lines("request") {
		if line["trace_id"] != callerTrace || line["span_id"] != request.SpanID ||
			line["request_id"] != "request-1" {
			t.Errorf("the access log has %v", line)
		}
	}
}

// lines returns the lines of the log with this message.
func (s *server) lines(message string) (found []map[string]any) {
	s.t.Helper()
	for text := range strings.Lines(s.log.String()) {
		line := map[string]any{}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			s.t.Fatal(err)
		}
		if line["msg"] == message {
			found = append(found, line)
		}
	}
	if len(found) == 0 {
		s.t.Errorf("no line %q", message)
	}
	return found
}

// TestTraceOfARefresh: a batch of rotations belongs to the trace of its first caller.
func TestTraceOfARefresh(t *testing.T) {
	t.Parallel()
	s, collected := newTracedServer(t)
	tokens := s.post("/auth", credentials(username, password)).tokens(t)
	body := fmt.Sprintf(`{"refresh_token":%q}`, tokens.RefreshToken)
	if answer := s.direct("POST", "/auth/refresh", body, jsonType, sampled); answer.Code != 200 {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	collector := collected()
	request := spanOf(t, collector, "POST /auth/refresh")
	if span := spanOf(t, collector, "rotate sessions"); span.ParentID != request.SpanID {
		t.Errorf("%+v is not below %+v", span, request)
	}
}

// TestSpansOfRequests: names and results have bounds whatever clients send.
func TestSpansOfRequests(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		method, path string
		header       string
		name         string // empty for no span
		failed       bool
	}{
		{"GET", "/mountain/secret?secret=secret", sampled, "GET /mountain/:name", false},
		{"GET", "/mountain/k2", "traceparent: garbage", "GET /mountain/:name", false},
		{"GET", "/secret", sampled, "GET", false},
		{"DELETE", "/auth", sampled, "DELETE", false},
		{"SECRET", "/auth", sampled, "HTTP", false},
		{"GET", "/panic", sampled, "GET /panic", true},
		{"GET", "/mountain/k2", notSampled, "", false},
		{"GET", "/healthz", sampled, "", false},
		{"GET", "/readyz", sampled, "", false},
	} {
		t.Run(row.method+" "+row.path+" "+row.header, func(t *testing.T) {
			t.Parallel()
			s, collected := newTracedServer(t,
				handlers.TestRoute{Path: "/panic", Resource: panicking{}, Open: true})
			answer := s.direct(row.method, row.path, "", row.header)
			spans := collected().Spans()
			if row.name == "" {
				if len(spans) != 0 {
					t.Errorf("%+v", spans)
				}
				return
			}
			if len(spans) != 1 {
				t.Fatalf("%+v", spans)
			}
			span := spans[0]
			continued := span.TraceID == callerTrace && span.ParentID == callerSpan
			if span.Name != row.name || span.Failed != row.failed || continued != (row.header == sampled) ||
				span.Attributes["http.response.status_code"] != int64(answer.Code) {
				t.Errorf("%d %+v", answer.Code, span)
			}
			if text := strings.ToLower(fmt.Sprintf("%+v", span)); strings.Contains(text, "secret") {
				t.Errorf("it repeats what the client sent: %s", text)
			}
		})
	}
}

// TestTraceInTheLog: whoever reads a line finds its trace, sampled or not.
func TestTraceInTheLog(t *testing.T) {
	t.Parallel()
	for _, header := range []string{sampled, notSampled} {
		s, _ := newTracedServer(t)
		s.direct("GET", "/mountain/k2", "", header)
		for _, message := range []string{"request", "refused"} {
			for _, line := range s.lines(message) {
				if id, _ := line["span_id"].(string); line["trace_id"] != callerTrace || len(id) != 16 ||
					id == callerSpan || line["request_id"] == nil {
					t.Errorf("%s: %v", header, line)
				}
			}
		}
	}
	s := newServer(t)
	s.direct("GET", "/mountain/k2", "", sampled)
	s.lines("request")
	s.lines("refused")
	if log := s.log.String(); strings.Contains(log, "trace_id") || strings.Contains(log, "span_id") {
		t.Errorf("without tracing: %s", log)
	}
}

// TestSpansHaveNoSecrets goes through everything that a user does, and looks for what nobody may read.
func TestSpansHaveNoSecrets(t *testing.T) {
	t.Parallel()
	s, collected := newTracedServer(t)
	const name, first, second = "tenzing", "twenty-ninth of May 1953", "hillary's rope and axe"
	user := s.addUser(name, first)
	tokens := s.post("/auth", credentials(name, first)).tokens(t)
	bearer := "Authorization: Bearer " + tokens.AccessToken
	refreshed := s.post("/auth/refresh", fmt.Sprintf(`{"refresh_token":%q}`, tokens.RefreshToken)).tokens(t)
	s.post("/auth", credentials(name, "wrong horse battery"))
	s.post("/auth", credentials("nobody-of-this-name", first))
	s.do("GET", "/auth/me", "", bearer)
	s.do("GET", "/auth/sessions", "", bearer)
	if a := s.do("PUT", "/auth/password", passwords(first, second), bearer, jsonType); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.do("POST", "/auth/logout?scope=all", "", bearer)
	stored, err := s.store.UserByID(t.Context(), user.ID)
	if err != nil {
		t.Fatal(err)
	}
	spans := collected().Spans()
	if len(spans) < 20 {
		t.Fatalf("only %d spans", len(spans))
	}
	secrets := []string{
		name, first, second, "wrong horse", "nobody-of-this-name", tokens.AccessToken, tokens.RefreshToken,
		refreshed.AccessToken, refreshed.RefreshToken, stored.PasswordHash, user.PasswordHash,
		claims(t, tokens.AccessToken)["sid"].(string), "Bearer", "SELECT", "UPDATE", "WHERE", "$1",
		signingKey,
	}
	for _, span := range spans {
		text := fmt.Sprintf("%+v", span)
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in %s", secret, text)
			}
		}
	}
}
