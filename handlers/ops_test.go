package handlers_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sherpa/handlers"
)

// ops asks the operations address of the server.
func (s *server) ops(method, path string, profiles bool, change ...func(*handlers.Config)) (int, string) {
	s.t.Helper()
	config := s.config(s.service)
	config.Version = "v1.2.3"
	for _, f := range change {
		f(&config)
	}
	handler, err := handlers.NewOps(config, profiles)
	if err != nil {
		s.t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
	return answer.Code, answer.Body.String()
}

func TestOpsAddress(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	tests := []struct {
		name, method, path string
		profiles           bool
		status             int
		body               string // a part of it
	}{
		{"metrics", "GET", "/metrics", false, 200, `{commit="abc",goversion="go1",version="v1.2.3"} 1`},
		{"metrics of Go", "GET", "/metrics", false, 200, "\ngo_goroutines "},
		{"health", "GET", "/healthz", false, 200, `{"status":"ok","version":"v1.2.3"}`},
		{"readiness", "GET", "/readyz", false, 200, `{"status":"ok"}`},
		{"HEAD, as some probes ask", "HEAD", "/readyz", false, 200, ""},
		{"another path", "GET", "/auth/me", false, 404, "/metrics, /healthz and /readyz"},
		{"another method", "POST", "/metrics", false, 405, "GET, HEAD"},
		{"no profiles", "GET", "/debug/pprof/", false, 404, `"code":"not_found"`},
		{"no heap either", "GET", "/debug/pprof/heap", false, 404, `"code":"not_found"`},
		{"profiles", "GET", "/debug/pprof/", true, 200, "Types of profiles available"},
		{"heap", "GET", "/debug/pprof/heap?debug=1", true, 200, "heap profile"},
		{"the command line has secrets", "GET", "/debug/pprof/cmdline", true, 404, `"code":"not_found"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			status, body := s.ops(tt.method, tt.path, tt.profiles)
			if status != tt.status || !strings.Contains(body, tt.body) {
				t.Errorf("status %d, want %d with %q:\n%s", status, tt.status, tt.body, body)
			}
		})
	}
}

func TestOpsAddressOfAStoppingServer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	stopping := make(chan struct{})
	close(stopping)
	stop := func(c *handlers.Config) { c.Stopping = stopping }
	status, body := s.ops("GET", "/readyz", false, stop)
	if status != 503 || !strings.Contains(body, "stopping") {
		t.Errorf("readyz: %d %s", status, body)
	}
	if status, _ := s.ops("GET", "/healthz", false, stop); status != 200 {
		t.Errorf("healthz: %d", status)
	}
}

// TestPublicAddressHasNoMetrics: what operators may see is not for everybody.
func TestPublicAddressHasNoMetrics(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, path := range []string{"/metrics", "/debug/pprof/", "/debug/pprof/heap"} {
		if a := s.do("GET", path, ""); a.status != http.StatusNotFound || a.problem(t).Code != "not_found" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// TestOpsServerHasLimits: a client that sends or reads too slowly is cut off there as well.
func TestOpsServerHasLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	server := handlers.NewOpsServer(s.router, s.service.Logger)
	if server.ReadTimeout <= 0 || server.ReadHeaderTimeout <= 0 || server.WriteTimeout <= 0 ||
		server.IdleTimeout <= 0 || server.MaxHeaderBytes <= 0 {
		t.Errorf("%+v", &server.Server)
	}
}
