package handlers_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"sherpa/handlers"
	"sherpa/internal/testcert"
	"sherpa/internal/testlog"
)

// secured is a crowded server that speaks TLS.
type secured struct {
	*crowded
	client *tls.Config
}

func newSecured(t *testing.T, limit int) *secured {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	pair := testcert.New(t, time.Now().Add(time.Hour))
	s := &secured{&crowded{
		t: t, address: l.Addr().String(), arrived: make(chan struct{}, 100), release: make(chan struct{}),
	}, testcert.Client(pair)}
	logger := slog.New(slog.NewJSONHandler(&s.log, nil))
	server := handlers.NewServer(http.HandlerFunc(s.serve), logger, limit)
	go func() { _ = server.ServeTLS(l, pair.Server(t)) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

// transport is a client with at most one connection.
func (s *secured) transport(http2 bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2)
	transport := &http.Transport{
		TLSClientConfig: s.client.Clone(), Protocols: protocols, MaxConnsPerHost: 1,
		HTTP2: &http.HTTP2Config{StrictMaxConcurrentRequests: true},
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// get returns the body, or what went wrong.
func (s *secured) get(transport http.RoundTripper, path string) (text, protocol string) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second) // for a server that never answers
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "GET", "https://"+s.address+path, nil)
	if err != nil {
		s.t.Error(err)
		return "", ""
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err.Error(), ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body), response.Proto
}

// postForEver sends a request whose body never ends, and returns when the connection has carried its begin.
func (s *secured) postForEver(transport http.RoundTripper) {
	s.t.Helper()
	body, pen := io.Pipe()
	ctx, cancel := context.WithCancel(s.t.Context())
	s.t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, "POST", "https://"+s.address+"/", body)
	if err != nil {
		s.t.Fatal(err)
	}
	go func() {
		if response, err := transport.RoundTrip(request); err == nil {
			_ = response.Body.Close()
		}
	}()
	if _, err := pen.Write([]byte("{")); err != nil {
		s.t.Fatal(err)
	}
}

// TestCrowdMakesRoomOverTLS is TestCrowdMakesRoom for connections that carry TLS.
func TestCrowdMakesRoomOverTLS(t *testing.T) {
	t.Parallel()
	const limit = 3
	tests := []struct {
		name string
		join func(*secured)
	}{
		{"that never begins the handshake", func(s *secured) { s.dial("") }},
		{"that sends a part of the handshake", func(s *secured) { s.dial("\x16\x03\x01\x02\x00\x01") }},
		{"that says nothing after the handshake", func(s *secured) {
			conn := tls.Client(s.dial(""), &tls.Config{InsecureSkipVerify: true})
			if err := conn.Handshake(); err != nil {
				s.t.Fatal(err)
			}
		}},
		{"that is idle after an answer", func(s *secured) { s.get(s.transport(false), "/") }},
		{"that is idle after an answer of HTTP/2", func(s *secured) { s.get(s.transport(true), "/") }},
		{"that sends a part of a body", func(s *secured) { s.postForEver(s.transport(false)) }},
		{"that sends a part of a body with HTTP/2", func(s *secured) { s.postForEver(s.transport(true)) }},
		{"that sends many parts of bodies, and a whole request", func(s *secured) {
			transport := s.transport(true)
			s.postForEver(transport)
			s.postForEver(transport)
			s.get(transport, "/")
		}},
	}
	for _, tt := range tests {
		for _, http2 := range []bool{false, true} {
			t.Run(tt.name+map[bool]string{true: ", asked with HTTP/2"}[http2], func(t *testing.T) {
				t.Parallel()
				s := newSecured(t, limit)
				for range 2 * limit {
					tt.join(s)
				}
				if got, protocol := s.get(s.transport(http2), "/"); got != "here" {
					t.Errorf("a client who speaks at once got %q (%s)", got, protocol)
				}
				if !strings.Contains(s.log.String(), `"msg":"too many connections are open`) {
					t.Error("there was no crowd")
				}
			})
		}
	}
}

// TestStreamsKeepTheirConnection: a connection of HTTP/2 is closed for nobody while a whole request is being
// answered on it, though it carries one that never ends.
func TestStreamsKeepTheirConnection(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 1)
	working := s.transport(true)
	var answers sync.WaitGroup
	for range 3 {
		answers.Go(func() {
			if got, protocol := s.get(working, "/wait"); got != "here" || protocol != "HTTP/2.0" {
				t.Errorf("a whole request got %q (%s)", got, protocol)
			}
		})
		<-s.arrived
	}
	s.postForEver(working)
	next := s.dial("")
	_ = next.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := next.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("the one who came too much got %v, want to wait", err)
	}
	close(s.release)
	answers.Wait()
}

// TestStreamsOfOneConnection: the server tells its limit, so that an honest client waits in front of it.
func TestStreamsOfOneConnection(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 5)
	conn, err := s.transport(true).NewClientConn(t.Context(), "https", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, _ := s.get(conn, "/"); got != "here" { // after its settings
		t.Fatalf("got %q", got)
	}
	if got := conn.Available(); got != 32 {
		t.Errorf("%d requests may be open on one connection, want 32", got)
	}
}

// TestVersionsOfTLS: nothing older than TLS 1.2.
func TestVersionsOfTLS(t *testing.T) {
	t.Parallel()
	s := newSecured(t, 20)
	for version, accepted := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		client := s.client.Clone()
		client.MinVersion, client.MaxVersion = version, version
		conn, err := tls.Dial("tcp", s.address, client)
		if (err == nil) != accepted {
			t.Errorf("%s: %v, want accepted: %v", tls.VersionName(version), err, accepted)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// TestHandshakeErrorsAreNoAlarm: strangers cause them all day, and no operator can do anything about it.
func TestHandshakeErrorsAreNoAlarm(t *testing.T) {
	t.Parallel()
	var log testlog.Buffer
	server := handlers.NewServer(http.NotFoundHandler(), slog.New(slog.NewJSONHandler(&log, nil)), 1)
	server.ErrorLog.Print("http: TLS handshake error from 192.0.2.1:4711: EOF")
	if !strings.Contains(log.String(), `"level":"INFO"`) {
		t.Error(log.String())
	}
}

// TestHSTS: over TLS each answer has the header, errors included, and over plain HTTP none has.
func TestHSTS(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, path := range []string{"/", "/healthz", "/mountain/k2", "/nowhere"} {
		if got := s.do("GET", path, "").header.Get("Strict-Transport-Security"); got != "" {
			t.Errorf("plain %s: %q", path, got)
		}
	}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	pair := testcert.New(t, time.Now().Add(time.Hour))
	server := handlers.NewServer(s.router, s.service.Logger, 10)
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(l, pair.Server(t)) }()
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: testcert.Client(pair), ForceAttemptHTTP2: true,
	}}
	for _, path := range []string{"/", "/healthz", "/mountain/k2", "/nowhere"} {
		response, err := client.Get("https://" + l.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if got := response.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
			t.Errorf("%s: %q", path, got)
		}
		if response.Proto != "HTTP/2.0" {
			t.Errorf("%s: %s", path, response.Proto)
		}
	}
	_ = server.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
}

// TestBodiesOverHTTP2: the limits of a body hold there too.
func TestBodiesOverHTTP2(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	pair := testcert.New(t, time.Now().Add(time.Hour))
	server := handlers.NewServer(s.router, s.service.Logger, 10)
	go func() { _ = server.ServeTLS(l, pair.Server(t)) }()
	t.Cleanup(func() { _ = server.Close() })
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: testcert.Client(pair), ForceAttemptHTTP2: true,
	}}
	for _, tt := range []struct {
		name   string
		body   []byte
		status int
	}{
		{"a login", []byte(credentials(username, password)), 200},
		{"64 KiB and more", bytes.Repeat([]byte(" "), 70<<10), 413},
		{"2 MiB", bytes.Repeat([]byte(" "), 2<<20), 413},
	} {
		url := "https://" + l.Addr().String() + "/auth"
		response, err := client.Post(url, "application/json", bytes.NewReader(tt.body))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode != tt.status || response.Proto != "HTTP/2.0" {
			t.Errorf("%s: %s %d, want %d", tt.name, response.Proto, response.StatusCode, tt.status)
		}
	}
}
