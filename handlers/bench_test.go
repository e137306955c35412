package handlers_test

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"sherpa/handlers"
	"sherpa/internal/testotlp"
	"sherpa/security"
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
	_, personal := s.addToken(security.NewToken{Name: "bench"})
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
	tokens := map[string]string{"ES256": s.login(username, password), "personal token": personal}
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
		{"personal token", sherpa(func(c *handlers.Config) { c.AccessLog = noLog{} })},
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

// BenchmarkUsers compares a page of 100 of a million users with one of them, each asked for over HTTP.
func BenchmarkUsers(b *testing.B) {
	s := newServer(b, func(c *handlers.Config) { c.AccessLog = nil })
	admin := s.asAdmin()
	const users, each = 1_000_000, 50_000 // in one transaction, which must not take long
	for from := 0; from < users; from += each {
		s.execute(fmt.Sprintf(`WITH RECURSIVE numbers (n) AS
				(SELECT %d UNION ALL SELECT n + 1 FROM numbers WHERE n < %d)
			INSERT INTO users (id, username, password_hash, roles, created_at, password_changed_at)
			SELECT n + 100, 'user' || n, (SELECT password_hash FROM users WHERE id = 1), '', 0, 0
			FROM numbers`, from, from+each-1))
	}
	after := func(name string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(`"` + name + `"`))
	}
	for _, row := range []struct{ name, path string }{
		{"one user", "/auth/users/500000"},
		{"first page", "/auth/users?limit=100"},
		{"in the middle", "/auth/users?limit=100&after=" + after("user55")},
		{"last page", "/auth/users?limit=100&after=" + after("user9998")},
		{"prefix", "/auth/users?limit=100&prefix=user77"},
	} {
		b.Run(row.name, func(b *testing.B) {
			name, value, _ := strings.Cut(admin, ": ")
			for b.Loop() {
				request, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.url+row.path, nil)
				if err != nil {
					b.Fatal(err)
				}
				request.Header.Set(name, value)
				response, err := http.DefaultTransport.RoundTrip(request)
				if err != nil {
					b.Fatal(err)
				}
				_, err = io.Copy(io.Discard, response.Body)
				if err := errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != 200 {
					b.Fatal(response.StatusCode, err)
				}
			}
		})
	}
}
