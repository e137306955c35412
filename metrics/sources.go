package metrics

import (
	"database/sql"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Sources are asked at each scrape. They answer from memory.
type Sources struct {
	Connections func() Connections
	Hashing     func() Hashing
	Cache       func() (tokens, sessions Cache)
	FeedAge     func() time.Duration // math.MaxInt64 before the first poll
	Certificate func() time.Time     // when that of TLS expires, zero while there is none; nil without TLS
	Waiting     func() int           // requests that wait for news of the feed
	Pools       map[string]*sql.DB   // by their name
}

// Connections are those of clients.
type Connections struct {
	Open, Limit int
	Displaced   int64 // closed to make room
}

// Hashing is the state of the password hasher.
type Hashing struct {
	Running, Waiting, Limit int // Limit is for Running
	Computed                int64
}

// Cache is the state of a cache.
type Cache struct {
	Entries, Limit          int
	Hits, Misses, Evictions int64
}

// Watch adds the sources. It is called once.
func (m *Metrics) Watch(s Sources) {
	m.watchConnections(s.Connections)
	m.watchHashing(s.Hashing)
	m.watchCache("tokens", func() Cache { tokens, _ := s.Cache(); return tokens })
	m.watchCache("sessions", func() Cache { _, sessions := s.Cache(); return sessions })
	m.gauge("revocation_feed_age_seconds", "Age of the latest poll that told which sessions have ended on "+
		"other replicas. It is +Inf before the first one. Above 30, no session counts as live.", nil,
		func() float64 { return seconds(s.FeedAge()) })
	m.watchCertificate(s.Certificate)
	m.gauge("revocation_feed_waiting", "Verifiers that wait for news at this moment.", nil,
		func() float64 { return float64(s.Waiting()) })
	for name, pool := range s.Pools {
		m.registry.MustRegister(collectors.NewDBStatsCollector(pool, name))
	}
}

// seconds takes the longest duration for an endless one.
func seconds(d time.Duration) float64 {
	if d == math.MaxInt64 {
		return math.Inf(1)
	}
	return d.Seconds()
}

func (m *Metrics) watchCertificate(end func() time.Time) {
	if end == nil {
		return
	}
	m.gauge("tls_certificate_not_after_timestamp_seconds", "When the certificate of TLS expires, in seconds "+
		"since 1970 UTC; (this - time()) / 86400 is the number of days. It is 0 while ACME has brought none.",
		nil, func() float64 { return unix(end()) })
}

func unix(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.Unix())
}

func (m *Metrics) watchConnections(state func() Connections) {
	m.gauge("http_connections", "Open connections of clients.", nil,
		func() float64 { return float64(state().Open) })
	m.gauge("http_connections_limit", "How many connections may be open.", nil,
		func() float64 { return float64(state().Limit) })
	m.counter("http_connections_displaced_total", "Connections of silent clients, closed to make room for "+
		"new ones.", nil, func() float64 { return float64(state().Displaced) })
}

func (m *Metrics) watchHashing(state func() Hashing) {
	m.gauge("password_hashes_running", "Passwords that are being hashed.", nil,
		func() float64 { return float64(state().Running) })
	m.gauge("password_hashes_waiting", "Passwords that wait to be hashed.", nil,
		func() float64 { return float64(state().Waiting) })
	m.gauge("password_hashes_limit", "How many passwords are hashed at a time.", nil,
		func() float64 { return float64(state().Limit) })
	m.counter("password_hashes_total", "Passwords hashed.", nil,
		func() float64 { return float64(state().Computed) })
}

func (m *Metrics) watchCache(name string, state func() Cache) {
	labels := prometheus.Labels{"cache": name}
	m.gauge("cache_entries", "Entries of a cache: verified tokens, or live sessions.", labels,
		func() float64 { return float64(state().Entries) })
	m.gauge("cache_entries_limit", "How many entries a cache may have.", labels,
		func() float64 { return float64(state().Limit) })
	m.counter("cache_hits_total", "Requests whose token or session was in the cache.", labels,
		func() float64 { return float64(state().Hits) })
	m.counter("cache_misses_total", "Tokens verified, or sessions read from the database.", labels,
		func() float64 { return float64(state().Misses) })
	m.counter("cache_evictions_total", "Entries that made room for others: the cache is too small.", labels,
		func() float64 { return float64(state().Evictions) })
}

func (m *Metrics) gauge(name, help string, labels prometheus.Labels, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: prefix + name, Help: help, ConstLabels: labels}, value))
}

func (m *Metrics) counter(name, help string, labels prometheus.Labels, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(
		prometheus.CounterOpts{Name: prefix + name, Help: help, ConstLabels: labels}, value))
}
