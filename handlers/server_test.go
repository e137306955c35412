package handlers_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/handlers"
	"sherpa/internal/pgtest"
	"sherpa/internal/testclock"
	"sherpa/internal/testlog"
	"sherpa/metrics"
	"sherpa/models"
	"sherpa/security"
	hashing "sherpa/security/password"
	"sherpa/security/token"
)

const (
	username    = "sherpa"
	password    = "everest"
	signingKey  = "kQ7fW2mZx9Lr4TbV8nYc1JdH6sGp3EuA"
	retiredKey  = "Zt5Rw8Xb2Nq6Mc9Kv3Jf7Hd1Gs4Pa0Ly"
	jwtHeader   = `{"alg":"HS256","typ":"JWT"}`
	problemType = "application/problem+json"
)

// server is the shipped router, listener and server on a database of its own, with the user sherpa/everest.
type server struct {
	t       testing.TB
	url     string
	clock   *testclock.Clock
	store   *models.Store
	service *security.Service
	user    models.User
	metrics *metrics.Metrics
	log     *testlog.Buffer
	router  *gin.Engine
	extra   []handlers.TestRoute        // that a test added
	watch   func(*http.Request, answer) // sees every answer; nil for none
}

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// onPostgres: SHERPA_TEST_ENGINE=postgres runs the tests of this package on PostgreSQL. They say the same of
// both.
func onPostgres() bool { return os.Getenv("SHERPA_TEST_ENGINE") == "postgres" }

// testDatabase is the URL of a new database.
func testDatabase(t testing.TB) string {
	t.Helper()
	if onPostgres() {
		return pgtest.Database(t)
	}
	return "sqlite:" + filepath.Join(t.TempDir(), "sherpa.db")
}

func cheapHash() hashing.Params { return hashing.Params{MemoryKiB: 64, Time: 1, Threads: 1} }

func newServer(t testing.TB, change ...func(*handlers.Config)) *server {
	t.Helper()
	return newServerWith(t, nil, change...)
}

// newServerWith adds resources to the shipped ones.
func newServerWith(t testing.TB, more []handlers.TestRoute, change ...func(*handlers.Config)) *server {
	t.Helper()
	s := &server{t: t, clock: testclock.New(time.Now().Truncate(time.Second)), log: &testlog.Buffer{}}
	store, err := models.Open(t.Context(), testDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keys, err := token.ParseKeyRing(signingKey + "," + retiredKey)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.store = store
	s.metrics = metrics.New(metrics.Build{Version: "v1.2.3", Commit: "abc", Go: "go1"})
	s.service, err = security.NewService(security.Parts{
		Store: store, Hasher: hashing.NewHasher(cheapHash(), 2), Keys: keys, Logger: logger, Now: s.clock.Now,
		Policy: hashing.Policy{MinLength: 15}, Metrics: s.metrics,
		Settings: security.Settings{
			Issuer: "sherpa", Audience: "sherpa", AccessTTL: 5 * time.Minute,
			SessionIdle: 7 * 24 * time.Hour, SessionAge: 30 * 24 * time.Hour, CacheSize: 1000,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.poll()
	config := s.config(s.service)
	for _, f := range change {
		f(&config)
	}
	s.user = s.addUser(username, password)
	s.serve(config, more)
	return s
}

// config is that of a server with this service.
func (s *server) config(service *security.Service) handlers.Config {
	return handlers.Config{
		Service:   service,
		Store:     s.store,
		Now:       s.clock.Now,
		Logger:    service.Logger,
		AccessLog: handlers.SlogAccess{Logger: service.Logger},
		Docs:      true,

		Registration: true,

		Metrics: s.metrics,
	}
}

func (s *server) serve(config handlers.Config, more []handlers.TestRoute) {
	s.t.Helper()
	router, err := handlers.NewWith(config, more...)
	if err != nil {
		s.t.Fatal(err)
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		s.t.Fatal(err)
	}
	srv := handlers.NewServer(router, s.service.Logger, 100)
	go func() { _ = srv.Serve(listener) }()
	s.t.Cleanup(func() { _ = srv.Close() })
	s.router, s.extra = router, more
	s.url = "http://" + listener.Addr().String()
}

// newServerOn starts another replica on the database of s, with these keys.
func newServerOn(t testing.TB, s *server, keys string) *server {
	t.Helper()
	ring, err := token.ParseKeyRing(keys)
	if err != nil {
		t.Fatal(err)
	}
	parts := s.service.Parts
	parts.Keys = ring
	replica := &server{t: t, clock: s.clock, store: s.store, user: s.user, log: s.log}
	if replica.service, err = security.NewService(parts); err != nil {
		t.Fatal(err)
	}
	replica.poll()
	replica.serve(s.config(replica.service), nil)
	return replica
}

// poll reads the feed, as Run does every half second.
func (s *server) poll() {
	s.t.Helper()
	if err := s.service.Poll(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// addUser bypasses the password policy, which the demo password does not satisfy.
func (s *server) addUser(name, password string, roles ...string) models.User {
	s.t.Helper()
	hash, err := s.service.Hasher.Hash(s.t.Context(), password)
	if err != nil {
		s.t.Fatal(err)
	}
	user, err := s.store.CreateUser(s.t.Context(), models.User{
		Username:          name,
		PasswordHash:      hash,
		Roles:             roles,
		CreatedAt:         s.clock.Now(),
		PasswordChangedAt: s.clock.Now(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return user
}

// answer is a response, read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

// problem returns the problem document, after checking what holds for every one of them.
func (a answer) problem(t *testing.T) handlers.Problem {
	t.Helper()
	var p handlers.Problem
	if got := a.header.Get("Content-Type"); got != problemType {
		t.Fatalf("Content-Type = %q, want %q; body %s", got, problemType, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		t.Fatalf("problem %q: %v", a.body, err)
	}
	if p.Status != a.status || p.Type != "/problems/"+string(p.Code) || p.Title == "" || p.Detail == "" {
		t.Errorf("status %d with the problem %+v", a.status, p)
	}
	return p
}

// do sends a request; header is a list of "Name: value".
func (s *server) do(method, path, body string, header ...string) answer {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Add(name, value)
	}
	return s.send(request)
}

func (s *server) send(request *http.Request) answer {
	s.t.Helper()
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		s.t.Fatal(err)
	}
	a := readAnswer(s.t, response)
	s.holdToPromise(s.t, request, a)
	if s.watch != nil {
		s.watch(request, a)
	}
	return a
}

func readAnswer(t testing.TB, response *http.Response) answer {
	t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

const jsonType = "Content-Type: application/json"

func (s *server) post(path, body string) answer { return s.do("POST", path, body, jsonType) }

// raw sends bytes that no client library would, and returns the whole answer.
func (s *server) raw(text string) string {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		s.t.Fatal(err)
	}
	reply, _ := io.ReadAll(conn) // a reset after the answer is the server's right
	s.holdRawToPromise(text, string(reply))
	return string(reply)
}

func credentials(name, password string) string {
	text, _ := json.Marshal(map[string]string{"username": name, "password": password})
	return string(text)
}

// named returns the user of this name.
func (s *server) named(name string) models.User {
	s.t.Helper()
	user, err := s.store.UserByName(s.t.Context(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return user
}

// addToken makes a personal access token of the demo user.
func (s *server) addToken(n security.NewToken) (models.PersonalToken, string) {
	s.t.Helper()
	return s.addTokenOf(s.user, n)
}

func (s *server) addTokenOf(owner models.User, n security.NewToken) (models.PersonalToken, string) {
	s.t.Helper()
	principal := security.Principal{UserID: owner.ID, Username: owner.Username, Roles: owner.Roles}
	token, text, err := s.service.CreateToken(s.t.Context(), principal, n)
	if err != nil {
		s.t.Fatal(err)
	}
	return token, text
}

// login returns an access token of the user.
func (s *server) login(name, password string) string {
	s.t.Helper()
	a := s.post("/auth", credentials(name, password))
	return a.tokens(s.t).AccessToken
}

// tokens is the answer to a login or a refresh.
type tokens struct {
	AccessToken      string `json:"access_token"`
	RefreshToken     string `json:"refresh_token"`
	RefreshExpiresIn int    `json:"refresh_expires_in"`
}

func (a answer) tokens(t testing.TB) tokens {
	t.Helper()
	var all tokens
	if err := json.Unmarshal([]byte(a.body), &all); err != nil || a.status != 200 || all.AccessToken == "" {
		t.Fatalf("no tokens: %d %s", a.status, a.body)
	}
	return all
}

func (s *server) mountain(token string) answer {
	s.t.Helper()
	return s.do("GET", "/mountain/everest", "", "Authorization: Bearer "+token)
}

// claims returns the payload of a token.
func claims(t testing.TB, token string) map[string]any {
	t.Helper()
	var all map[string]any
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// sign makes a token of any header and payload, as somebody who has the key could.
func sign(key, header, payload string) string {
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil))
}

// forge signs the claims of a good token after change.
func forge(t testing.TB, token string, change func(map[string]any)) string {
	t.Helper()
	all := claims(t, token)
	for name, value := range all {
		if f, ok := value.(float64); ok {
			all[name] = int64(f)
		}
	}
	change(all)
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return sign(signingKey, jwtHeader, string(payload))
}

func trust(networks ...string) func(*handlers.Config) {
	return func(c *handlers.Config) {
		for _, n := range networks {
			c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix(n))
		}
	}
}

// decode reads the body, which must be JSON of status 200.
func (a answer) decode(t testing.TB, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil || a.status != 200 {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
}
