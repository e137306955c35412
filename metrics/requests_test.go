package metrics

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// scrape returns the lines of a scrape that begin with the name of the metric.
func scrape(t *testing.T, m *Metrics, name string) (lines []string) {
	t.Helper()
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if answer.Code != http.StatusOK {
		t.Fatalf("status %d: %s", answer.Code, answer.Body)
	}
	for line := range strings.Lines(answer.Body.String()) {
		if strings.HasPrefix(line, name) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

const requestCount = "sherpa_http_request_duration_seconds_count"

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name          string
		method, route string
		status        int
		want          string
	}{
		{"a route", "GET", "/mountain/:name", 200,
			`{method="GET",route="/mountain/:name",status="200"} 1`},
		{"another status", "GET", "/mountain/:name", 401,
			`{method="GET",route="/mountain/:name",status="401"} 1`},
		{"no route", "POST", "", 404, `{method="POST",route="none",status="404"} 1`},
		{"a route that nobody registered", "PUT", "/x", 200, `{method="PUT",route="none",status="200"} 1`},
		{"an invented method", "BREW", "", 405, `{method="_OTHER",route="none",status="405"} 1`},
		{"a method in small letters", "get", "", 405, `{method="_OTHER",route="none",status="405"} 1`},
		{"TRACE", "TRACE", "", 405, `{method="TRACE",route="none",status="405"} 1`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := New(Build{})
			requests := m.Requests()
			requests.Route("/mountain/:name")
			requests.Observe(tt.method, tt.route, tt.status, 30*time.Millisecond)
			if got := scrape(t, m, requestCount); !slices.Equal(got, []string{requestCount + tt.want}) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRequestsAtTheSameTime: none is lost while the series of a status is made. -race looks as well.
func TestRequestsAtTheSameTime(t *testing.T) {
	t.Parallel()
	m := New(Build{})
	requests := m.Requests()
	requests.Route("/x")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for status := 200; status < 240; status++ {
				requests.Observe("GET", "/x", status, time.Millisecond)
			}
		})
	}
	all.Wait()
	lines := scrape(t, m, requestCount)
	for _, line := range lines {
		if !strings.HasSuffix(line, " 8") {
			t.Errorf("lost: %s", line)
		}
	}
	if len(lines) != 40 {
		t.Errorf("%d series, want 40", len(lines))
	}
}

// TestNoMetrics: a nil Metrics counts nothing, so that nobody has to ask whether there is one.
func TestNoMetrics(t *testing.T) {
	t.Parallel()
	var none *Metrics
	requests := none.Requests()
	requests.Route("/x")
	requests.Observe("GET", "/x", 200, time.Millisecond)
	none.Login(ResultOK)
	none.Refresh(ResultOK)
	none.Logout(ResultOK)
	none.SessionsEnded("logout", 1)
	none.Throttled()
	none.HashWaited(time.Second)
	none.Operation("commit", time.Second, true)
}

// TestEachMethodHasItsName: the switch and the list must say the same.
func TestEachMethodHasItsName(t *testing.T) {
	t.Parallel()
	for _, method := range methodNames() {
		if got := MethodOf(method); got != method {
			t.Errorf("%s is counted as %s", method, got)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	requests := New(Build{}).Requests()
	requests.Route("/mountain/:name")
	b.ReportAllocs()
	for b.Loop() {
		requests.Observe("GET", "/mountain/:name", 200, 300*time.Microsecond)
	}
}
