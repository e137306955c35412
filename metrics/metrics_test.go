package metrics

import (
	"database/sql"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	_ "modernc.org/sqlite" // a driver, for a pool
)

// watched returns metrics with sources, and with a value in each of its metrics.
func watched(t *testing.T) *Metrics {
	t.Helper()
	pool, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	m := New(Build{Version: "v1", Commit: "abc", Go: "go1"})
	m.Watch(Sources{
		Connections: func() Connections { return Connections{Open: 1, Limit: 2, Displaced: 3} },
		Hashing:     func() Hashing { return Hashing{Running: 4, Waiting: 5, Limit: 6, Computed: 7} },
		Cache: func() (tokens, sessions Cache) {
			return Cache{Entries: 8, Limit: 9, Hits: 10, Misses: 11, Evictions: 12}, Cache{Entries: 13}
		},
		FeedAge:     func() time.Duration { return 250 * time.Millisecond },
		Certificate: func() time.Time { return time.Unix(1_800_000_000, 0) },
		Waiting:     func() int { return 3 },
		Pools:       map[string]*sql.DB{"read": pool},
	})
	m.Requests().Observe("GET", "", 404, time.Millisecond)
	m.Login(ResultOK)
	m.Refresh(ResultError)
	m.Logout(ResultCanceled)
	m.SessionsEnded("logout", 3)
	m.Throttled()
	m.HashWaited(20 * time.Millisecond)
	m.Operation("read session", 200*time.Microsecond, false)
	m.Operation("commit", 2*time.Second, true)
	return m
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := watched(t)
	for _, want := range []string{
		`sherpa_build_info{commit="abc",goversion="go1",version="v1"} 1`,
		`sherpa_logins_total{result="ok"} 1`,
		`sherpa_logins_total{result="throttled"} 0`,
		`sherpa_refreshes_total{result="error"} 1`,
		`sherpa_logouts_total{result="canceled"} 1`,
		`sherpa_sessions_ended_total{reason="logout"} 3`,
		`sherpa_throttled_total 1`,
		`sherpa_password_hash_wait_seconds_bucket{le="0.01"} 0`,
		`sherpa_password_hash_wait_seconds_bucket{le="0.025"} 1`,
		`sherpa_database_operation_duration_seconds_count{operation="read session"} 1`,
		`sherpa_database_operation_duration_seconds_sum{operation="commit"} 2`,
		`sherpa_database_errors_total{operation="commit"} 1`,
		`sherpa_http_connections 1`,
		`sherpa_tls_certificate_not_after_timestamp_seconds 1.8e+09`,
		`sherpa_http_connections_limit 2`,
		`sherpa_http_connections_displaced_total 3`,
		`sherpa_password_hashes_running 4`,
		`sherpa_password_hashes_waiting 5`,
		`sherpa_password_hashes_limit 6`,
		`sherpa_password_hashes_total 7`,
		`sherpa_cache_entries{cache="tokens"} 8`,
		`sherpa_cache_entries_limit{cache="tokens"} 9`,
		`sherpa_cache_hits_total{cache="tokens"} 10`,
		`sherpa_cache_misses_total{cache="tokens"} 11`,
		`sherpa_cache_evictions_total{cache="tokens"} 12`,
		`sherpa_cache_entries{cache="sessions"} 13`,
		`sherpa_revocation_feed_age_seconds 0.25`,
		`sherpa_revocation_feed_waiting 3`,
		`go_sql_max_open_connections{db_name="read"} 0`,
	} {
		name, _, _ := strings.Cut(want, "{")
		name, _, _ = strings.Cut(name, " ")
		if got := scrape(t, m, name); !strings.Contains(strings.Join(got, "\n")+"\n", want+"\n") {
			t.Errorf("no %s in\n%s", want, strings.Join(got, "\n"))
		}
	}
	if len(scrape(t, m, "sherpa_database_errors_total{operation=\"read session\"}")) != 0 {
		t.Error("an operation without an error counts as one")
	}
}

// TestFeedThatWasNeverRead: an age that no comparison takes for a young one.
func TestFeedThatWasNeverRead(t *testing.T) {
	t.Parallel()
	if got := seconds(math.MaxInt64); !math.IsInf(got, 1) {
		t.Errorf("%v seconds, want +Inf", got)
	}
}

// TestNamesFollowTheConventions is `promtool check metrics`.
func TestCertificateOfTLS(t *testing.T) {
	t.Parallel()
	const name = "sherpa_tls_certificate_not_after_timestamp_seconds"
	for _, tt := range []struct {
		name string
		end  func() time.Time
		want []string
	}{
		{"plain HTTP", nil, nil},
		{"ACME has brought none", func() time.Time { return time.Time{} }, []string{name + " 0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := New(Build{})
			m.watchCertificate(tt.end)
			if got := scrape(t, m, name); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	t.Parallel()
	families, err := watched(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestScrapeHoldsUpNobody: while a scrape waits for its sources, everybody counts, new series included.
func TestScrapeHoldsUpNobody(t *testing.T) {
	t.Parallel()
	m := New(Build{})
	asked, answer := make(chan struct{}), make(chan struct{})
	m.gauge("slow", "A source that does not answer.", nil, func() float64 {
		close(asked)
		<-answer
		return 1
	})
	requests := m.Requests()
	requests.Route("/x")
	scraped := make(chan []string)
	go func() { scraped <- scrape(t, m, "sherpa_slow") }()
	<-asked
	for status := 200; status < 600; status++ {
		requests.Observe("GET", "/x", status, time.Millisecond)
		m.Login(strconv.Itoa(status))
		m.Operation(strconv.Itoa(status), time.Millisecond, true)
		m.HashWaited(time.Millisecond)
	}
	close(answer)
	if lines := <-scraped; len(lines) != 1 {
		t.Errorf("%q", lines)
	}
}
