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
	requests *prometheus.HistogramVec
}

// New returns the metrics of a server that starts now.
func New(build Build) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), requests: newRequestDurations()}
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
		m.requests,
	)
	return m
}

// maxScrapes bounds the scrapes at a time: a scrape takes memory and processor time from requests.
const maxScrapes = 4

// Handler answers a scrape. It asks no database, and holds no lock that a request waits for while it writes.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: maxScrapes})
}
