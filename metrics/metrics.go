// Package metrics counts what the service does, for Prometheus.
//
// It imports nothing of ours: who does something says so to a Metrics, and what only knows its state is asked
// at each scrape (Sources). Every value of a label comes from a bounded set, whatever clients send.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const prefix = "sherpa_"

// Build says which program this is.
type Build struct{ Version, Commit, Go string }

// Metrics has the counters of one server. Its methods may be called on nil, and then count nothing. They are
// safe for concurrent use. Create it with New.
type Metrics struct {
	registry *prometheus.Registry

	requests   *prometheus.HistogramVec
	logins     *prometheus.CounterVec
	refreshes  *prometheus.CounterVec
	logouts    *prometheus.CounterVec
	ended      *prometheus.CounterVec
	throttled  prometheus.Counter
	hashWaits  prometheus.Histogram
	statements *prometheus.HistogramVec
	failures   *prometheus.CounterVec
}

// New returns the metrics of a server that starts now.
func New(build Build) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: newRequestDurations(),
		logins: counters("logins_total", "Logins by their result: ok, the code of the problem that the "+
			"client got, canceled when the client hung up, or error.", "result"),
		refreshes: counters("refreshes_total", "Refreshes by their result, as for logins.", "result"),
		logouts:   counters("logouts_total", "Logouts by their result, as for logins.", "result"),
		ended: counters("sessions_ended_total", "Sessions that this replica has ended, by the reason that "+
			"clients are told. Those that expire are not counted: nothing ends them.", "reason"),
		throttled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: prefix + "throttled_total",
			Help: "Passwords, reset tokens and registrations that were refused unchecked, because there " +
				"were too many.",
		}),
		hashWaits:  newHashWaits(),
		statements: newStatementDurations(),
		failures: counters("database_errors_total", "Operations that the database did not carry out. "+
			"A client who hung up is not counted.", "operation"),
	}
	m.registry.MustRegister(m.requests, m.logins, m.refreshes, m.logouts, m.ended, m.throttled, m.hashWaits,
		m.statements, m.failures)
	m.registerProcess(build)
	m.startAtZero()
	return m
}

func counters(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, []string{label})
}

// registerProcess adds what is the same in every Go program.
func (m *Metrics) registerProcess(build Build) {
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: prefix + "build_info",
			Help: "Always 1. The labels say which program this is.",
			ConstLabels: prometheus.Labels{
				"version": build.Version, "commit": build.Commit, "goversion": build.Go,
			},
		}, func() float64 { return 1 }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: prefix + "clock_timestamp_seconds",
			Help: "The clock of this machine. Prometheus compares it with its own.",
		}, func() float64 { return float64(time.Now().UnixMilli()) / 1000 }),
	)
}

// startAtZero makes the series that dashboards and alerts ask for: a rate needs a value from before the first
// event.
func (m *Metrics) startAtZero() {
	for counter, values := range map[*prometheus.CounterVec][]string{
		m.logins:    {ResultOK, ResultUnavailable, "invalid_credentials", "throttled", "overloaded"},
		m.refreshes: {ResultOK, ResultUnavailable, "refresh_token_invalid", "session_ended"},
		m.logouts:   {ResultOK},
		m.ended:     {"logout", "refresh_reuse"},
		m.failures:  {"commit"},
	} {
		for _, value := range values {
			counter.WithLabelValues(value)
		}
	}
}

// maxScrapes bounds the scrapes at a time: a scrape takes memory and processor time from requests.
const maxScrapes = 4

// Handler answers a scrape. It asks no database, and holds no lock that a request waits for while it writes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}
