package metrics

import (
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// OtherMethod stands for every method that is not one of HTTP's own, because clients may invent any
	// (OpenTelemetry, semantic conventions for HTTP, http.request.method).
	OtherMethod = "_OTHER"
	// noRoute stands for every path without a route, and for every method that its route does not have.
	noRoute = "none"
)

// MethodOf returns the method, or OtherMethod.
func MethodOf(method string) string { return methodNames()[methodIndex(method)] }

const methodCount = 10

func methodNames() [methodCount]string {
	return [...]string{
		"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "CONNECT", "TRACE", OtherMethod,
	}
}

// methodIndex is a switch and no map: it is called for each request.
func methodIndex(method string) int {
	switch method {
	case "GET":
		return 0
	case "POST":
		return 1
	case "HEAD":
		return 2
	case "OPTIONS":
		return 3
	case "PUT":
		return 4
	case "PATCH":
		return 5
	case "DELETE":
		return 6
	case "CONNECT":
		return 7
	case "TRACE":
		return 8
	}
	return methodCount - 1
}

// requestBuckets reach from a request that the cache answers to the timeouts of the server.
func requestBuckets() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

func newRequestDurations() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: prefix + "http_request_duration_seconds",
		Help: "Time from the headers of a request to the end of its answer. Its _count is the number of " +
			"requests.",
		Buckets: requestBuckets(),
	}, []string{"method", "route", "status"})
}

// Requests counts the requests of one router. It looks each series up once, and keeps it: finding one by its
// labels takes longer than everything else here. A nil Requests counts nothing.
type Requests struct {
	durations *prometheus.HistogramVec
	routes    map[string]*route // does not change once there are requests
	none      *route
}

// Requests returns a counter for a router, which then names its routes with Route.
func (m *Metrics) Requests() *Requests {
	if m == nil {
		return nil
	}
	r := &Requests{durations: m.requests, routes: map[string]*route{}}
	r.none = newRoute(m.requests, noRoute)
	return r
}

// Route adds the pattern of a route, such as /mountain/:name. It must not be called during a request.
func (r *Requests) Route(pattern string) {
	if r != nil {
		r.routes[pattern] = newRoute(r.durations, pattern)
	}
}

// Observe counts a request. A pattern that Route did not get counts as no route.
func (r *Requests) Observe(method, pattern string, status int, took time.Duration) {
	if r == nil {
		return
	}
	found, ok := r.routes[pattern]
	if !ok {
		found = r.none
	}
	found[methodIndex(method)].observer(status).Observe(took.Seconds())
}

// route has the series of each method.
type route [methodCount]series

func newRoute(durations *prometheus.HistogramVec, pattern string) *route {
	r := &route{}
	for i, method := range methodNames() {
		labels := prometheus.Labels{"method": method, "route": pattern}
		r[i].durations = durations.MustCurryWith(labels)
	}
	return r
}

// series has an observer for each status that has occurred.
type series struct {
	durations prometheus.ObserverVec
	byStatus  atomic.Pointer[map[int]prometheus.Observer] // replaced as a whole
	mu        sync.Mutex                                  // is held to replace it
}

func (s *series) observer(status int) prometheus.Observer {
	if known := s.byStatus.Load(); known != nil {
		if observer, ok := (*known)[status]; ok {
			return observer
		}
	}
	return s.add(status)
}

func (s *series) add(status int) prometheus.Observer {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[int]prometheus.Observer{}
	if known := s.byStatus.Load(); known != nil {
		maps.Copy(all, *known)
	}
	observer := s.durations.WithLabelValues(strconv.Itoa(status))
	all[status] = observer
	s.byStatus.Store(&all)
	return observer
}
