package handlers_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"

	"sherpa/handlers"
)

// quiet is a response that costs nothing to write.
type quiet struct{ header http.Header }

func (q quiet) Header() http.Header         { return q.header }
func (q quiet) Write(p []byte) (int, error) { return len(p), nil }
func (q quiet) WriteHeader(int)             {}

// BenchmarkMountain compares what the handlers alone cost, without net/http and sockets.
func BenchmarkMountain(b *testing.B) {
	bare := gin.New()
	bare.GET("/mountain/:name", func(c *gin.Context) {
		c.JSON(http.StatusOK, struct {
			Mountain string `json:"mountain"`
		}{c.Param("name")})
	})
	s := newServer(b, func(c *handlers.Config) { c.AccessLog = nil })
	token := s.login(username, password)
	for name, router := range map[string]http.Handler{"bare": bare, "sherpa": s.router} {
		b.Run(name, func(b *testing.B) {
			request := httptest.NewRequest(http.MethodGet, "/mountain/x", nil)
			request.Header.Set("Authorization", "Bearer "+token)
			b.ReportAllocs()
			for b.Loop() {
				router.ServeHTTP(quiet{http.Header{}}, request)
			}
		})
	}
}
