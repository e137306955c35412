package handlers_test

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sherpa/handlers"
	"sherpa/internal/testlog"
)

// crowded is a server with room for few connections.
type crowded struct {
	t       *testing.T
	address string
	log     testlog.Buffer
	arrived chan struct{} // has a value for each request at /wait
	release chan struct{} // closed to answer them
}

func newCrowded(t *testing.T, limit int) *crowded {
	t.Helper()
	s := &crowded{t: t, arrived: make(chan struct{}, 10), release: make(chan struct{})}
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	logger := slog.New(slog.NewJSONHandler(&s.log, nil))
	server := handlers.NewServer(http.HandlerFunc(s.serve), logger, limit)
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func (s *crowded) serve(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	if r.URL.Path == "/wait" {
		s.arrived <- struct{}{}
		<-s.release
	}
	_, _ = io.WriteString(w, "here")
}

// dial sends a text, which may be no whole request.
func (s *crowded) dial(text string) net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

// read returns the body of the next answer, or "" when the connection was closed.
func (s *crowded) read(conn net.Conn) string {
	s.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // for a server that never answers
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		if isTimeout(err) {
			s.t.Fatal("the connection is open and has no answer")
		}
		return ""
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

const whole = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// TestCrowdMakesRoom fills the server with one kind of connection, and asks over one more.
func TestCrowdMakesRoom(t *testing.T) {
	t.Parallel()
	const limit = 3
	tests := []struct {
		name   string
		text   string // that each of the crowd sends
		before func(*crowded, net.Conn)
	}{
		{"that says nothing", "", nil},
		{"that sends a part of a header", "GET / HTTP/1.1\r\nHost", nil},
		{"that sends a part of a body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", nil},
		{"that is idle after an answer", whole, func(s *crowded, conn net.Conn) {
			if got := s.read(conn); got != "here" {
				s.t.Fatalf("the crowd got %q", got)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newCrowded(t, limit)
			var crowd []net.Conn
			for range 5 * limit {
				conn := s.dial(tt.text)
				if tt.before != nil {
					tt.before(s, conn)
				}
				crowd = append(crowd, conn)
			}
			if got := s.read(s.dial(whole)); got != "here" {
				t.Errorf("a client who speaks at once got %q", got)
			}
			if got := s.read(crowd[0]); got != "" {
				t.Errorf("the most silent one got %q", got)
			}
			const want = `"msg":"too many connections are open`
			if n := strings.Count(s.log.String(), want); n != 1 {
				t.Errorf("%d lines of log about the crowd, want 1 a minute:\n%s", n, s.log.String())
			}
		})
	}
}

// TestWholeRequestsKeepTheirConnections: nobody is closed while the service works on the answer. Who comes
// then waits.
func TestWholeRequestsKeepTheirConnections(t *testing.T) {
	t.Parallel()
	const limit = 3
	s := newCrowded(t, limit)
	const post = "POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
	working := []net.Conn{s.dial(post), s.dial(post), s.dial("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")}
	for range limit {
		<-s.arrived
	}
	next := s.dial(whole)
	_ = next.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := next.Read(make([]byte, 1)); !isTimeout(err) {
		t.Errorf("the one who came too much got %v, want to wait", err)
	}
	close(s.release)
	for i, conn := range working {
		if got := s.read(conn); got != "here" {
			t.Errorf("request %d got %q", i, got)
		}
	}
	if got := s.read(next); got != "here" {
		t.Errorf("the one who waited got %q", got)
	}
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.As(err, &slow) && slow.Timeout()
}

// TestShutdownEndsTheWaitForRoom: a server that is full of work must be able to stop.
func TestShutdownEndsTheWaitForRoom(t *testing.T) {
	t.Parallel()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	arrived, release := make(chan struct{}), make(chan struct{})
	server := handlers.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	}), slog.New(slog.DiscardHandler), 1)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	s := &crowded{t: t, address: l.Addr().String()}
	s.dial(whole)
	<-arrived
	s.dial(whole) // Accept waits for room
	go func() { _ = server.Shutdown(t.Context()) }()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Error(err)
	}
	close(release)
}

// TestServerLogsWhatItCannotTell: net/http's own reports are errors of the operator's.
func TestServerLogsWhatItCannotTell(t *testing.T) {
	t.Parallel()
	var log testlog.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	server := handlers.NewServer(http.NotFoundHandler(), logger, 1)
	for i := range 100 {
		server.ErrorLog.Printf("http: Accept error: accept4: too many open files; retrying in %dms", i)
	}
	server.ErrorLog.Print("http: superfluous response.WriteHeader call")
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines, want one of each kind:\n%s", len(lines), log.String())
	}
	for i, want := range []string{
		`"level":"ERROR","msg":"http: Accept error: accept4: too many open files; retrying in 0ms; ` +
			"allow more with `ulimit -n`, or fewer connections with SHERPA_MAX_CONNECTIONS\",\"count\":1",
		`"level":"ERROR","msg":"http: superfluous response.WriteHeader call","count":1`,
	} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %s, want %s", i, lines[i], want)
		}
	}
}
