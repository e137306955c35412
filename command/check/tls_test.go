package check_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// brokenTLS are the faults of a service that is reached by a name. TestTLS builds them.
func brokenTLS() []broken {
	return []broken{
		{name: "no TLS", red: "tls"},
		{name: "a short key", red: "tls-certificate"},
		{name: "a certificate that is about to expire", red: "tls-certificate"},
		{name: "a certificate that nobody verified", red: "tls-certificate"},
		{name: "a redirect on port 80", red: "http-closed"},
		{name: "the service on port 80", red: "http-closed"},
		{name: "a closed port 80"},
		{name: "a proxy that refuses on port 80"},
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	redirect := http.RedirectHandler("https://sherpa.test/auth", http.StatusPermanentRedirect)
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) })
	for _, tt := range brokenTLS() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			expires, insecure, url := 90*24*time.Hour, false, "https://sherpa.test"
			key := ecdsaKey(t)
			var plain http.Handler
			switch tt.name {
			case "no TLS":
				plain, insecure, url = s.api, true, "http://sherpa.test"
			case "a short key":
				key = shortKey(t)
			case "a certificate that is about to expire":
				expires = time.Hour
			case "a certificate that nobody verified":
				insecure = true
			case "a redirect on port 80":
				plain = redirect
			case "the service on port 80":
				plain = s.api
			case "a proxy that refuses on port 80":
				plain = refuse
			}
			own := certificate(t, key, expires)
			hosts := map[string]*httptest.Server{"sherpa.test:443": tlsServer(t, s.api, own)}
			if plain != nil {
				hosts["sherpa.test:80"] = httptest.NewServer(plain)
				t.Cleanup(hosts["sherpa.test:80"].Close)
			}
			transport := named(hosts, insecure)
			transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			transport.TLSClientConfig.RootCAs.AddCert(own.Leaf)
			options := s.optionsAt(url, transport)
			options.Insecure = insecure
			_, red := run(t, options)
			var want []string
			if tt.red != "" {
				want = []string{tt.red}
			}
			if diff := cmp.Diff(want, red); diff != "" {
				t.Errorf("the red rows (want -, got +):\n%s", diff)
			}
		})
	}
}

func ecdsaKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func shortKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certificate is that of sherpa.test, signed by itself.
func certificate(t *testing.T, key crypto.Signer, lives time.Duration) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"sherpa.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lives),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: leaf}
}

// TestUnknownCertificate: without --insecure, nothing is sent to a server that cannot prove its name.
func TestUnknownCertificate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	server := tlsServer(t, s.api, certificate(t, ecdsaKey(t), time.Hour))
	hosts := map[string]*httptest.Server{"sherpa.test:443": server}
	options := s.optionsAt("https://sherpa.test", named(hosts, false))
	wantCannotRun(t, options, "certificate")
	if s.live() != 0 {
		t.Error("a session was started")
	}
}
