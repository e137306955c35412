package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The results that are no code of a problem. Whoever counts takes results from a bounded set.
const (
	ResultOK          = "ok"
	ResultCanceled    = "canceled" // the client hung up
	ResultUnavailable = "unavailable"
	ResultError       = "error"
)

// Login counts a login.
func (m *Metrics) Login(result string) {
	if m != nil {
		m.logins.WithLabelValues(result).Inc()
	}
}

// Refresh counts a refresh.
func (m *Metrics) Refresh(result string) {
	if m != nil {
		m.refreshes.WithLabelValues(result).Inc()
	}
}

// Logout counts a logout.
func (m *Metrics) Logout(result string) {
	if m != nil {
		m.logouts.WithLabelValues(result).Inc()
	}
}

// SessionsEnded counts sessions that were ended for one reason.
func (m *Metrics) SessionsEnded(reason string, count int) {
	if m != nil {
		m.ended.WithLabelValues(reason).Add(float64(count))
	}
}

// Throttled counts a password, a reset token or a registration that was refused unchecked.
func (m *Metrics) Throttled() {
	if m != nil {
		m.throttled.Inc()
	}
}

func newHashWaits() prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    prefix + "password_hash_wait_seconds",
		Help:    "How long a password waited for its turn to be hashed.",
		Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
	})
}

// HashWaited records how long a password waited for its turn.
func (m *Metrics) HashWaited(took time.Duration) {
	if m != nil {
		m.hashWaits.Observe(took.Seconds())
	}
}

func newStatementDurations() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: prefix + "database_operation_duration_seconds",
		Help: "Time of a statement, a begin or a commit, with the wait for a connection.",
		Buckets: []float64{
			.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5,
		},
	}, []string{"operation"})
}

// Operation records an operation on the database. Operations are names in the code.
func (m *Metrics) Operation(name string, took time.Duration, failed bool) {
	if m == nil {
		return
	}
	m.statements.WithLabelValues(name).Observe(took.Seconds())
	if failed {
		m.failures.WithLabelValues(name).Inc()
	}
}
