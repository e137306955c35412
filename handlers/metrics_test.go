package handlers_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sherpa/handlers"
	"sherpa/models"
)

// scrape returns the lines of a scrape that begin with the name of the metric.
func (s *server) scrape(name string) (lines []string) {
	s.t.Helper()
	status, body := s.ops("GET", "/metrics", false)
	if status != http.StatusOK {
		s.t.Fatalf("status %d: %s", status, body)
	}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, name) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// wantMetric wants a line of a scrape to be there.
func (s *server) wantMetric(line string) {
	s.t.Helper()
	name, _, _ := strings.Cut(line, "{")
	name, _, _ = strings.Cut(name, " ")
	lines := s.scrape(name)
	for _, got := range lines {
		if got == line {
			return
		}
	}
	s.t.Errorf("no %s in\n%s", line, strings.Join(lines, "\n"))
}

// direct sends a request past sockets, so that it has been counted when the answer is there.
func (s *server) direct(method, path, body string, header ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	answer := httptest.NewRecorder()
	s.router.ServeHTTP(answer, request)
	return answer
}

func TestRequestsAreCountedByTheirRoute(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		log  func(*handlers.Config)
	}{
		{"with an access log", func(*handlers.Config) {}},
		{"without", func(c *handlers.Config) { c.AccessLog = nil }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, row.log)
			token := "Authorization: Bearer " + s.login(username, password)
			s.direct("GET", "/mountain/everest", "", token)
			s.direct("GET", "/mountain/k2?x=y", "", token)
			s.direct("GET", "/mountain/k2", "")
			s.direct("HEAD", "/mountain/k2", "", token)
			s.direct("DELETE", "/mountain/k2", "", token)
			s.direct("GET", "/nowhere", "")
			const count = `sherpa_http_request_duration_seconds_count`
			for _, want := range []string{
				`{method="GET",route="/mountain/:name",status="200"} 2`,
				`{method="GET",route="/mountain/:name",status="401"} 1`,
				`{method="HEAD",route="/mountain/:name",status="200"} 1`,
				`{method="DELETE",route="none",status="405"} 1`,
				`{method="GET",route="none",status="404"} 1`,
			} {
				s.wantMetric(count + want)
			}
		})
	}
}

// TestMetricsAreBounded floods the server with what no client should send: there are no more series after
// 10 000 such requests than after the first few hundred.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *handlers.Config) { c.AccessLog = nil })
	token := "Authorization: Bearer " + s.login(username, password)
	odd := func(i int) {
		method := []string{"GET", "POST", "BREW", fmt.Sprintf("M%d", i), "TRACE", "get", "PUT"}[i%7]
		path := []string{"/%d", "/auth/%d", "/mountain/%d", "/problems/x%d", "/auth/sessions/%d", "/?q=%d",
			"/mountain/%%C3%%A9%d", "/%d/"}[i%8]
		s.direct(method, fmt.Sprintf(path, i), "{}", token, fmt.Sprintf("User-Agent: u%d", i),
			fmt.Sprintf("X-Request-Id: request-%d", i), fmt.Sprintf("Host: h%d", i))
	}
	for i := range 7 * 8 * 5 {
		odd(i)
	}
	before := len(s.scrape("sherpa_"))
	for i := range 10_000 {
		odd(i + 1000)
	}
	if after := len(s.scrape("sherpa_")); after != before || before == 0 {
		t.Errorf("%d series before the flood and %d after it", before, after)
	}
}

func TestEventsAreCounted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	first := s.post("/auth", credentials(username, password)).tokens(t)
	s.post("/auth", credentials(username, "wrong"))
	s.post("/auth", credentials("nobody", "wrong"))
	s.refresh(first.RefreshToken)
	s.refresh("x.y")
	s.clock.Add(time.Minute)
	s.refresh(first.RefreshToken) // used again too late: the session ends
	second := s.open()
	s.do("POST", "/auth/logout", "", "Authorization: Bearer "+second.AccessToken)
	s.do("POST", "/auth/logout", "", "Authorization: Bearer x.y.z")
	for range models.FreeTries + 2 {
		s.post("/auth", credentials("somebody", "wrong"))
	}
	for _, want := range []string{
		`sherpa_logins_total{result="ok"} 2`,
		`sherpa_logins_total{result="invalid_credentials"} 8`,
		`sherpa_logins_total{result="throttled"} 1`,
		`sherpa_throttled_total 1`,
		`sherpa_refreshes_total{result="ok"} 1`,
		`sherpa_refreshes_total{result="refresh_token_invalid"} 1`,
		`sherpa_refreshes_total{result="session_ended"} 1`,
		`sherpa_sessions_ended_total{reason="refresh_reuse"} 1`,
		`sherpa_sessions_ended_total{reason="logout"} 1`,
		`sherpa_logouts_total{result="ok"} 1`,
		`sherpa_logouts_total{result="token_invalid"} 1`,
	} {
		s.wantMetric(want)
	}
}

func TestTokensInTheCacheAreCounted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	access := s.open().AccessToken
	before := s.service.CacheStats()
	for range 10 {
		s.mountain(access)
	}
	after := s.service.CacheStats()
	if after.TokenMisses != before.TokenMisses+1 || after.TokenHits != before.TokenHits+9 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// TestOutageIsCounted: the database is gone, and the metrics answer all the same.
func TestOutageIsCounted(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	s.direct("POST", "/auth", credentials(username, password), "Content-Type: application/json")
	s.direct("POST", "/auth/refresh", `{"refresh_token":"x"}`, "Content-Type: application/json")
	s.wantMetric(`sherpa_logins_total{result="unavailable"} 1`)
	s.wantMetric(`sherpa_http_request_duration_seconds_count{method="POST",route="/auth",status="503"} 1`)
}
