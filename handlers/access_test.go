package handlers

import (
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
)

// TestClientAddressIsGins compares the short way with Gin's.
func TestClientAddressIsGins(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, remote, forwarded string
		want                    string
	}{
		{"IPv4", "192.0.2.1:5000", "", "192.0.2.1"},
		{"IPv6", "[2001:db8::1]:5000", "", "2001:db8::1"},
		{"a zone", "[fe80::1%eth0]:5000", "", ""},
		{"a trusted proxy", "10.0.0.1:5000", "192.0.2.7", "192.0.2.7"},
		{"a trusted proxy for itself", "10.0.0.1:5000", "", "10.0.0.1"},
		{"a stranger who forwards", "192.0.2.1:5000", "192.0.2.7", "192.0.2.1"},
		{"no address", "@", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, engine := gin.CreateTestContext(httptest.NewRecorder())
			if err := engine.SetTrustedProxies([]string{"10.0.0.0/8"}); err != nil {
				t.Fatal(err)
			}
			c.Request = httptest.NewRequest("GET", "/", nil)
			c.Request.RemoteAddr = tt.remote
			if tt.forwarded != "" {
				c.Request.Header.Set("X-Forwarded-For", tt.forwarded)
			}
			got, gins := clientAddress(c), c.ClientIP()
			if got != tt.want || gins != tt.want {
				t.Errorf("%q, Gin says %q, want %q", got, gins, tt.want)
			}
		})
	}
}

func BenchmarkClientAddress(b *testing.B) {
	c, engine := gin.CreateTestContext(httptest.NewRecorder())
	if err := engine.SetTrustedProxies(nil); err != nil {
		b.Fatal(err)
	}
	c.Request = httptest.NewRequest("GET", "/", nil)
	for name, address := range map[string]func() string{
		"gin": c.ClientIP, "ours": func() string { return clientAddress(c) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				address()
			}
		})
	}
}
