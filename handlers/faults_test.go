package handlers_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/handlers"
	"sherpa/models"
	"sherpa/security"
	hashing "sherpa/security/password"
)

// execute runs a statement that no method of the store has.
func (s *server) execute(statement string, args ...any) {
	s.t.Helper()
	err := s.store.Transact(s.t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

type panicking struct{}

func (panicking) Get(*gin.Context) error { panic("the secret cause") }

type halfway struct{}

func (halfway) Get(c *gin.Context) error {
	c.String(http.StatusOK, "half")
	panic("in the middle")
}

type failing struct{ err error }

func (f failing) Get(*gin.Context) error { return f.err }

func TestPanicBecomesAProblem(t *testing.T) {
	t.Parallel()
	s := newServerWith(t, []handlers.TestRoute{{Path: "/panic", Resource: panicking{}, Open: true}})
	a := s.do("GET", "/panic", "")
	p := a.problem(t)
	if a.status != 500 || p.Code != "internal_error" || strings.Contains(a.body, "secret") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if log := s.log.String(); !strings.Contains(log, "the secret cause") ||
		!strings.Contains(log, p.RequestID) {
		t.Error("the log has no cause under the request id")
	}
	if a := s.do("GET", "/healthz", ""); a.status != 200 {
		t.Error("the server did not survive")
	}
}

func TestPanicInTheMiddleOfAnAnswerCutsTheConnection(t *testing.T) {
	t.Parallel()
	s := newServerWith(t, []handlers.TestRoute{{Path: "/half", Resource: halfway{}, Open: true}})
	response, err := http.Get(s.url + "/half")
	if err == nil {
		defer response.Body.Close()
		buffer := make([]byte, 10)
		for err == nil {
			_, err = response.Body.Read(buffer)
		}
	}
	if err == nil || err.Error() == "EOF" {
		t.Errorf("half an answer passed for a whole one: %v", err)
	}
}

func TestErrorsOfResources(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"not found", fmt.Errorf("read: %w", models.ErrNotFound), 404, "not_found"},
		{"own not found", handlers.NotFound("No such peak."), 404, "not_found"},
		{"invalid", handlers.InvalidRequest("Too high."), 400, "invalid_request"},
		{"database", fmt.Errorf("read: %w", models.ErrUnavailable), 503, "unavailable"},
		{"deadline", context.DeadlineExceeded, 503, "unavailable"},
		{"unknown", errors.New("pq: secret table"), 500, "internal_error"},
		{"overloaded", &security.Error{Code: security.Overloaded, RetryAfter: 1200 * time.Millisecond}, 503,
			"overloaded"},
		{"code nobody knows", &security.Error{Code: "typo"}, 500, "internal_error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServerWith(
				t, []handlers.TestRoute{{Path: "/failing", Resource: failing{tt.err}, Open: true}},
			)
			a := s.do("GET", "/failing", "")
			if p := a.problem(t); a.status != tt.status || string(p.Code) != tt.code {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if strings.Contains(a.body, "secret") {
				t.Error("the cause was sent")
			}
			if tt.name == "overloaded" && a.header.Get("Retry-After") != "2" {
				t.Errorf("Retry-After %q must be rounded up", a.header.Get("Retry-After"))
			}
		})
	}
}

type noMethods struct{}

type wrongSignature struct{}

func (wrongSignature) Get(*gin.Context) {}

type ownHead struct{ every }

func (ownHead) Head(*gin.Context) error { return nil }

type anyAndGet struct{ handlers.Verify }

func (anyAndGet) Get(*gin.Context) error { return nil }

type pointerReceiver struct{}

func (*pointerReceiver) Post(*gin.Context) error { return nil }

func TestResourceThatWouldNotBeServedIsRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for name, tt := range map[string]struct {
		resource any
		fault    string
	}{
		"no method":        {noMethods{}, "has none of the methods"},
		"wrong signature":  {wrongSignature{}, "Get must be a method"},
		"pointer receiver": {pointerReceiver{}, "Post must be a method"},
		"nothing":          {nil, "route /x"},
		"own HEAD":         {ownHead{}, "need no method"},
		"Any and Get":      {anyAndGet{}, "Any stands alone"},
	} {
		config := s.config(s.service)
		_, err := handlers.NewWith(config, handlers.TestRoute{Path: "/x", Resource: tt.resource})
		if err == nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoutesInEachOthersWayAreRefused(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, path := range []string{"/mountain/:name", "/mountain/:other/camps", "camps"} {
		_, err := handlers.NewWith(s.config(s.service), handlers.TestRoute{Path: path, Resource: every{}})
		if err == nil || !strings.Contains(err.Error(), "route "+path) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

type every struct{}

func (every) Get(c *gin.Context) error    { c.Status(200); return nil }
func (every) Post(c *gin.Context) error   { c.Status(201); return nil }
func (every) Put(c *gin.Context) error    { c.Status(200); return nil }
func (every) Patch(c *gin.Context) error  { c.Status(200); return nil }
func (every) Delete(c *gin.Context) error { c.Status(204); return nil }

func TestResourceServesTheMethodsItHas(t *testing.T) {
	t.Parallel()
	s := newServerWith(t, []handlers.TestRoute{{Path: "/every", Resource: every{}, Open: true}})
	for method, status := range map[string]int{"GET": 200, "HEAD": 200, "POST": 201, "PUT": 200, "PATCH": 200,
		"DELETE": 204, "OPTIONS": 204} {
		if a := s.do(method, "/every", ""); a.status != status {
			t.Errorf("%s: %d", method, a.status)
		}
	}
	if allow := s.do(
		"TRACE", "/every", "",
	).header.Get(
		"Allow",
	); allow != "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT" {
		t.Errorf("Allow %q", allow)
	}
}

// TestBrokenHTTPIsRejected: what is no HTTP request never reaches a handler. net/http answers it, and closes.
func TestBrokenHTTPIsRejected(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	tests := []struct{ name, request, status string }{
		{"broken escape", "GET /mountain/%zz HTTP/1.1\r\nHost: x\r\n\r\n", "400 Bad Request"},
		{"no HTTP at all", "hello\r\n\r\n", "400 Bad Request"},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "400 Bad Request"},
		{"headers too large", "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 20<<10) + "\r\n\r\n",
			"431 Request Header Fields Too Large"},
		{"unknown transfer encoding", "POST /auth HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
			"501 Not Implemented"},
		{"unknown expectation", "GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: foo\r\n\r\n",
			"417 Expectation Failed"},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404 Not Found"},
		{"HTTP/3.0", "GET / HTTP/3.0\r\nHost: x\r\n\r\n", "505 HTTP Version Not Supported"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply := s.raw(tt.request)
			for _, part := range []string{"HTTP/1.1 " + tt.status, "Connection: close"} {
				if !strings.Contains(reply, part) {
					t.Errorf("no %q in %q", part, reply)
				}
			}
		})
	}
}

func TestServerHasLimits(t *testing.T) {
	t.Parallel()
	s := handlers.NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler), 1)
	for name, limit := range map[string]time.Duration{
		"header": s.ReadHeaderTimeout, "read": s.ReadTimeout, "write": s.WriteTimeout, "idle": s.IdleTimeout,
	} {
		if limit <= 0 || limit > 2*time.Minute {
			t.Errorf("%s timeout %v", name, limit)
		}
	}
	if s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 16<<10 {
		t.Errorf("headers of %d bytes", s.MaxHeaderBytes)
	}
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the real header timeout of 8 s")
	}
	t.Parallel()
	s := newServer(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	_, err = conn.Read(make([]byte, 1))
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection is still open after 10 s")
	}
}

// TestHashingIsBounded fills every slot and every place in the queue, and then asks for one hash more.
//
// It is not parallel: under -race, beside other tests, nine slow hashes take longer than the server lets an
// answer wait.
func TestHashingIsBounded(t *testing.T) {
	s := newServer(t, trust("127.0.0.0/8")) // many names at many addresses: nobody is throttled
	slow := hashing.DefaultParams()
	slow.Time *= 4 // so that requests come sooner than hashes are done, whatever the database takes
	s.service.Hasher = hashing.NewHasher(slow, 1)
	const places = 9 // one slot, and eight that wait for it
	var wg sync.WaitGroup
	answers := make(chan answer, 5*places)
	for i := range cap(answers) {
		wg.Go(func() {
			answers <- s.do("POST", "/auth", credentials(fmt.Sprint("nobody", i), "x"), jsonType,
				fmt.Sprintf("X-Forwarded-For: 198.51.100.%d", i))
		})
	}
	wg.Wait()
	close(answers)
	statuses := map[int]int{}
	for a := range answers {
		statuses[a.status]++
		if a.status == 503 && (a.problem(t).Code != "overloaded" || a.header.Get("Retry-After") != "1") {
			t.Errorf("%v %s", a.header, a.body)
		}
	}
	if statuses[503] == 0 || statuses[401] < places || statuses[401]+statuses[503] != cap(answers) {
		t.Errorf("statuses %v", statuses)
	}
}

func TestForwardedForIsBelievedFromTrustedProxiesOnly(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change []func(*handlers.Config)
		client string
	}{
		"no proxy":      {nil, "127.0.0.1"},
		"another proxy": {[]func(*handlers.Config){trust("10.0.0.0/8")}, "127.0.0.1"},
		"this proxy":    {[]func(*handlers.Config){trust("127.0.0.0/8")}, "203.0.113.9"},
	} {
		s := newServer(t, tt.change...)
		s.do("GET", "/healthz", "", "X-Forwarded-For: 203.0.113.9")
		log := s.waitForLog(`"http.route":"/healthz"`)
		if !strings.Contains(log, `"client.address":"`+tt.client+`"`) {
			t.Errorf("%s: %s", name, log)
		}
	}
}

// waitForLog returns the log once it has the text: the line of a request is written after its answer.
func (s *server) waitForLog(text string) string {
	s.t.Helper()
	for range 1000 {
		if log := s.log.String(); strings.Contains(log, text) {
			return log
		}
		time.Sleep(time.Millisecond)
	}
	s.t.Fatalf("the log never had %s:\n%s", text, s.log.String())
	return ""
}

func TestLogHasNoSecret(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	tokens := s.post("/auth", credentials(username, password)).tokens(t)
	token := tokens.AccessToken
	next := s.refresh(tokens.RefreshToken).tokens(t)
	s.clock.Add(time.Minute)
	s.refresh(tokens.RefreshToken) // ends the session
	s.mountain(token)
	s.mountain(token + "x")
	s.post("/auth", credentials(username, "a wrong secret"))
	s.post("/auth", credentials("name\nlevel=ERROR", "a wrong secret"))
	s.post("/auth", `{"username":"sherpa","password":47114711471147114711}`)
	s.do("GET", "/mountain/x?access_token="+token, "")
	s.do("GET", "/healthz", "")
	log := s.waitForLog(`"http.route":"/healthz"`)
	for _, secret := range []string{token, tokens.RefreshToken, next.RefreshToken, next.AccessToken,
		strings.Split(token, ".")[2], password, "a wrong secret", "47114711", signingKey} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	for _, wanted := range []string{`"http.route":"/auth","http.response.status_code":200`,
		`"user.id":"1"`, `refresh token used twice`,
		`"http.route":"/mountain/:name"`, `"code":"invalid_credentials"`, "wrong password"} {
		if !strings.Contains(log, wanted) {
			t.Errorf("the log lacks %s:\n%s", wanted, log)
		}
	}
}

func TestStoppingServerServesButIsNotReady(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	s := newServer(t, func(c *handlers.Config) { c.Stopping = stop })
	mine := s.open()
	if a := s.do("GET", "/readyz", ""); a.status != 200 {
		t.Errorf("before: %d %s", a.status, a.body)
	}
	close(stop)
	a := s.do("GET", "/readyz", "")
	if p := a.problem(t); a.status != 503 || p.Code != "stopping" || a.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if log := s.waitForLog(`"code":"stopping"`); strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("an ordinary stop is logged as an error: %s", log)
	}
	for path, a := range map[string]answer{"/healthz": s.do("GET", "/healthz", ""),
		"/mountain": s.mountain(mine.AccessToken)} {
		if a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestRequestsOfAProxyAreLoggedQuietly(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	s := newServer(t, func(c *handlers.Config) { c.Stopping = stop })
	s.do("GET", "/healthz", "")
	s.do("GET", "/readyz", "")
	close(stop)
	s.do("GET", "/readyz", "")
	s.do("GET", "/problems/stopping", "")
	log := s.waitForLog(`"http.route":"/problems/:code"`)
	for _, row := range []struct {
		level, route string
		status       int
	}{
		{"DEBUG", "/healthz", 200}, {"DEBUG", "/readyz", 200}, {"INFO", "/readyz", 503},
		{"INFO", "/problems/:code", 200},
	} {
		want := fmt.Sprintf(`"level":%q,"msg":"request","http.request.method":"GET","http.route":%q,`+
			`"http.response.status_code":%d`, row.level, row.route, row.status)
		if !strings.Contains(log, want) {
			t.Errorf("no %s in %s", want, log)
		}
	}
}
