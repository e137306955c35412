package check_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sherpa/command/check"
	"sherpa/handlers"
	"sherpa/models"
	"sherpa/security"
	"sherpa/security/password"
	"sherpa/security/token"
)

const (
	username   = "ada"
	secret     = "an analytical engine"
	signingKey = "kQ7fW2mZx9Lr4TbV8nYc1JdH6sGp3EuA"
)

// clock is the time of this machine, moved by every sleep: a check under test never waits.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) Sleep(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += d
	return nil
}

// service is the shipped API on SQLite.
type service struct {
	t       *testing.T
	clock   *clock
	store   *models.Store
	users   *security.Service
	api     http.Handler
	trusted []netip.Prefix
}

// newService trusts these proxies.
func newService(t *testing.T, trusted ...string) *service {
	t.Helper()
	return newServiceWith(t, signingKey, trusted...)
}

// newKey returns a fresh key for the algorithm.
func newKey(t *testing.T, algorithm string) string {
	t.Helper()
	text, err := token.NewKey(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// newServiceWith has these signing keys.
func newServiceWith(t *testing.T, secrets string, trusted ...string) *service {
	t.Helper()
	s := &service{t: t, clock: &clock{}}
	for _, proxy := range trusted {
		s.trusted = append(s.trusted, netip.MustParsePrefix(proxy))
	}
	store, err := models.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "sherpa.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s.store = store
	keys, err := token.ParseKeyRing(secrets)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.DiscardHandler)
	cheap := password.Params{MemoryKiB: 64, Time: 1, Threads: 1}
	users, err := security.NewService(security.Parts{
		Store: store, Hasher: password.NewHasher(cheap, 2), Policy: password.Policy{MinLength: 15},
		Keys: keys, Logger: logger, Now: s.clock.Now,
		Settings: security.Settings{
			Issuer: "sherpa", Audience: "sherpa", AccessTTL: 5 * time.Minute,
			SessionIdle: 24 * time.Hour, SessionAge: 48 * time.Hour, CacheSize: 1000,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := users.CreateUser(t.Context(), username, secret, nil); err != nil {
		t.Fatal(err)
	}
	s.users = users
	s.api, err = handlers.New(handlers.Config{
		Service: users, Store: store, Now: s.clock.Now, Logger: logger, TrustedProxies: s.trusted,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// grant gives the user a role. The service polls its feed from now on, for whoever follows it.
func (s *service) grant(role string) {
	s.t.Helper()
	user, err := s.store.UserByName(s.t.Context(), username)
	if err == nil {
		_, err = s.users.AddRole(s.t.Context(), user.ID, role)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan struct{})
	go func() { s.users.Run(ctx); close(ran) }()
	s.t.Cleanup(func() { cancel(); <-ran })
}

// live returns how many sessions of all users have not ended.
func (s *service) live() (count int) {
	s.t.Helper()
	for _, err := range s.store.LiveSessions(s.t.Context(), 0, s.clock.Now()) {
		if err != nil {
			s.t.Fatal(err)
		}
		count++
	}
	return count
}

// options are those of a check of the handler, which stands in front of the service.
func (s *service) options(front http.Handler) check.Options {
	s.t.Helper()
	server := httptest.NewServer(front)
	s.t.Cleanup(server.Close)
	return s.optionsAt(server.URL, check.NewTransport(nil, false))
}

func (s *service) optionsAt(at string, transport *http.Transport) check.Options {
	s.t.Helper()
	target, err := url.Parse(at)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(transport.CloseIdleConnections)
	return check.Options{
		URL: target, Username: username, Password: secret, Transport: transport,
		Now: s.clock.Now, Sleep: s.clock.Sleep,
	}
}

// named is a transport that finds these hosts, such as "sherpa.test:443", at the addresses of test servers.
func named(hosts map[string]*httptest.Server, insecure bool) *http.Transport {
	transport := check.NewTransport(nil, insecure)
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		server, ok := hosts[address]
		if !ok {
			return nil, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
		}
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	return transport
}

// run checks, and returns what is wrong: the names of the rows that failed or warned.
func run(t *testing.T, options check.Options) (report check.Report, red []string) {
	t.Helper()
	report, err := check.Run(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Rows {
		if r.Outcome == check.Failed || r.Outcome == check.Warning {
			red = append(red, r.Name)
		}
	}
	return report, red
}

// middleware is a proxy that breaks something.
type middleware func(next http.Handler) http.Handler

// onRequest changes requests on their way in.
func onRequest(change func(r *http.Request)) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			change(r)
			next.ServeHTTP(w, r)
		})
	}
}

// onAnswer changes answers on their way out.
func onAnswer(change func(r *http.Request, a *httptest.ResponseRecorder)) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			recorder := httptest.NewRecorder()
			next.ServeHTTP(recorder, r)
			change(r, recorder)
			write(w, recorder)
		})
	}
}

func write(w http.ResponseWriter, a *httptest.ResponseRecorder) {
	for name, values := range a.Header() {
		w.Header()[name] = values
	}
	w.Header().Del("Content-Length") // the body may have been changed
	w.WriteHeader(a.Code)
	_, _ = w.Write(a.Body.Bytes())
}

// header is a change of one header of all answers; an empty value drops it.
func header(name, value string) middleware {
	return onAnswer(func(_ *http.Request, a *httptest.ResponseRecorder) {
		a.Header().Del(name)
		if value != "" {
			a.Header().Set(name, value)
		}
	})
}

// lets answers 200 to the requests for which pass is true, with the headers of the service.
func lets(pass func(r *http.Request) bool) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if pass(r) {
				r = httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/healthz", nil)
			}
			next.ServeHTTP(w, r)
		})
	}
}

// swallows answers these requests with a status of its own, and does not pass them on.
func swallows(status int, these func(r *http.Request) bool) middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !these(r) {
				next.ServeHTTP(w, r)
				return
			}
			recorder := plainAnswer(next, r)
			recorder.Code = status
			if status == http.StatusNoContent {
				recorder.Body.Reset()
			}
			write(w, recorder)
		})
	}
}

// plainAnswer is one with the headers that all answers have.
func plainAnswer(next http.Handler, r *http.Request) *httptest.ResponseRecorder {
	a := httptest.NewRecorder()
	next.ServeHTTP(a, httptest.NewRequestWithContext(r.Context(), http.MethodGet, "/healthz", nil))
	return a
}

// refuses answers these requests with a proper problem.
func refuses(status int, code string, these func(r *http.Request) bool) middleware {
	return onAnswer(func(r *http.Request, a *httptest.ResponseRecorder) {
		if these(r) {
			problem(a, status, code)
		}
	})
}

// problem makes the answer one.
func problem(a *httptest.ResponseRecorder, status int, code string) {
	a.Code = status
	a.Header().Set("Content-Type", "application/problem+json")
	a.Body.Reset()
	_ = json.NewEncoder(a.Body).Encode(map[string]any{
		"type": "/problems/" + code, "title": "Refused", "status": status, "code": code,
		"request_id": a.Header().Get("X-Request-Id"),
	})
}

func at(method, path string) func(r *http.Request) bool {
	return func(r *http.Request) bool { return r.Method == method && r.URL.Path == path }
}

// authorization is true for requests whose header Authorization is so.
func authorization(is func(value string) bool) func(r *http.Request) bool {
	return func(r *http.Request) bool { return is(r.Header.Get("Authorization")) }
}

// bearing is true for requests with a token of three parts that is so. header and payload are decoded.
func bearing(is func(header, payload, signature string) bool) func(r *http.Request) bool {
	return authorization(func(value string) bool {
		all := strings.Split(strings.TrimPrefix(value, "Bearer "), ".")
		if len(all) != 3 {
			return false
		}
		head, _ := base64.RawURLEncoding.DecodeString(all[0])
		payload, _ := base64.RawURLEncoding.DecodeString(all[1])
		return is(string(head), string(payload), all[2])
	})
}

// body is true for requests whose body is so.
func body(is func(text string) bool) func(r *http.Request) bool {
	return func(r *http.Request) bool { return is(readBody(r)) }
}

// readBody leaves the body to be read again.
func readBody(r *http.Request) string {
	text, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(text))
	return string(text)
}

// members changes the JSON of the answers for which these is true.
func members(these func(r *http.Request) bool, change func(all map[string]any)) middleware {
	return onAnswer(func(r *http.Request, a *httptest.ResponseRecorder) {
		var all map[string]any
		if a.Code != http.StatusOK || !these(r) || json.Unmarshal(a.Body.Bytes(), &all) != nil {
			return
		}
		change(all)
		a.Body.Reset()
		_ = json.NewEncoder(a.Body).Encode(all)
	})
}

// tlsServer serves with a certificate.
func tlsServer(t *testing.T, front http.Handler, certificate tls.Certificate) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(front)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}
