package handlers_test

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"sherpa/handlers"
	"sherpa/internal/testotlp"
	"sherpa/security/token"
	"sherpa/tracing"
)

// quiet is a response that costs nothing to write.
type quiet struct{ header http.Header }

func (q quiet) Header() http.Header         { return q.header }
func (q quiet) Write(p []byte) (int, error) { return len(p), nil }
func (q quiet) WriteHeader(int)             {}

// noLog gets the access lines and writes none.
type noLog struct{}

func (noLog) Log(handlers.Access) {}

// BenchmarkMountain compares what the handlers alone cost, without net/http and sockets.
func BenchmarkMountain(b *testing.B) {
	bare := gin.New()
	bare.GET("/mountain/:name", func(c *gin.Context) {
		c.JSON(http.StatusOK, struct {
			Mountain string `json:"mountain"`
		}{c.Param("name")})
	})
	s := newServer(b)
	secret := s.login(username, password)
	sherpa := func(change func(*handlers.Config)) http.Handler {
		config := s.config(s.service)
		change(&config)
		router, err := handlers.New(config)
		if err != nil {
			b.Fatal(err)
		}
		return router
	}
	tracer := func(sampled bool) *tracing.Tracer {
		collector := testotlp.New(b)
		flags := map[bool]string{true: "always_on", false: "always_off"}
		b.Setenv("OTEL_TRACES_SAMPLER", flags[sampled])
		return newTracer(b, collector)
	}
	s.useKeys(newKey(b, token.ES256), signingKey, retiredKey)
	tokens := map[string]string{"ES256": s.login(username, password)}
	for _, row := range []struct {
		name   string
		router http.Handler
	}{
		{"bare", bare},
		{"no log, no metrics", sherpa(func(c *handlers.Config) { c.AccessLog, c.Metrics = nil, nil })},
		{"no log", sherpa(func(c *handlers.Config) { c.AccessLog = nil })},
		{"no metrics", sherpa(func(c *handlers.Config) { c.AccessLog, c.Metrics = noLog{}, nil })},
		{"sherpa", sherpa(func(c *handlers.Config) { c.AccessLog = noLog{} })},
		{"ES256", sherpa(func(c *handlers.Config) { c.AccessLog = noLog{} })},
		{"not sampled", sherpa(func(c *handlers.Config) { c.AccessLog, c.Tracer = noLog{}, tracer(false) })},
		{"traced", sherpa(func(c *handlers.Config) { c.AccessLog, c.Tracer = noLog{}, tracer(true) })},
	} {
		router := row.router
		b.Run(row.name, func(b *testing.B) {
			request := httptest.NewRequest(http.MethodGet, "/mountain/x", nil)
			request.Header.Set("Authorization", "Bearer "+cmp.Or(tokens[row.name], secret))
			b.ReportAllocs()
			for b.Loop() {
				router.ServeHTTP(quiet{http.Header{}}, request)
			}
		})
	}
}
