//go:build linux

package e2e

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// guarded is an API that knows nothing of Sherpa, behind a proxy that asks Sherpa: the files in
// deploy/forward-auth.
type guarded struct {
	t                  *testing.T
	proxy, sherpa, api *process
	secure             *tls.Config // nil for plain HTTP
	certificate        string      // the file, for TLS
	user, admin        reply       // logins
}

const clientAddress = "127.0.1.77" // of the tests: proxies tell it to Sherpa and the API

// startGuarded starts Sherpa, the API, and a proxy in front of both.
func startGuarded(t *testing.T, start func(t *testing.T, g *guarded)) *guarded {
	t.Helper()
	skipWithout(t, "python3")
	g := &guarded{
		t: t, sherpa: startProcess(t, t.TempDir()), api: &process{t: t, address: steadyAddress(t)},
		proxy: &process{t: t, address: steadyAddress(t)},
	}
	g.sherpa.sherpa(t, checkPassword+"\n", "user", "add", checkUser)
	g.sherpa.sherpa(t, checkPassword+"\n", "user", "add", "eve", "--role", "admin")
	g.sherpa.sherpa(t, checkPassword+"\n", "user", "add", "bob", "--role", "admin") // eve is not the last one
	_, port, _ := net.SplitHostPort(g.api.address)
	g.api.run("the API", exec.CommandContext(t.Context(), "python3", "../deploy/forward-auth/api.py", port))
	g.api.listens()
	start(t, g)
	g.proxy.listens()
	g.user = g.logIn("sherpa", "everest")
	g.admin = g.logIn("eve", checkPassword)
	return g
}

// guards are the proxies, by name.
var guards = map[string]func(t *testing.T, g *guarded){
	"nginx":   func(t *testing.T, g *guarded) { g.startNginx(t) },
	"caddy":   func(t *testing.T, g *guarded) { g.startCaddy(t) },
	"haproxy": func(t *testing.T, g *guarded) { g.startHAProxy(t) },
}

func (g *guarded) startNginx(t *testing.T, changes ...replacement) {
	t.Helper()
	skipWithout(t, "nginx")
	g.certificate = g.proxy.runNginx("../deploy/forward-auth/nginx.conf", append(changes,
		replacement{"server 127.0.0.1:5000;", "server " + g.sherpa.address + ";"},
		replacement{"server 127.0.0.1:8000;", "server " + g.api.address + ";"},
		replacement{"/etc/ssl/certs/api.pem", "certificate.pem"},
		replacement{"/etc/ssl/private/api.key", "key.pem"},
	))
	g.secure = &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}
	g.secure.RootCAs.AppendCertsFromPEM([]byte(readFile(t, g.certificate)))
}

func (g *guarded) startCaddy(t *testing.T) {
	t.Helper()
	skipWithout(t, "caddy")
	file, err := filepath.Abs("../deploy/forward-auth/Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// Without the address of its own API, and without files outside the folder of the test.
	text := "{\n\tadmin off\n}\nimport " + file + "\n"
	frame := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(frame, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "caddy", "run", "--config", frame)
	command.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir,
		"SITE=http://"+g.proxy.address, "SHERPA="+g.sherpa.address, "API="+g.api.address)
	g.proxy.run("Caddy", command)
}

func (g *guarded) startHAProxy(t *testing.T) {
	t.Helper()
	skipWithout(t, "haproxy")
	command := exec.CommandContext(t.Context(), "haproxy", "-db", "-f", "../deploy/forward-auth/haproxy.cfg")
	command.Env = append(os.Environ(), "PROXY_BIND="+g.proxy.address, "SHERPA="+g.sherpa.address,
		"API="+g.api.address, "VERIFY_LUA=../deploy/forward-auth/sherpa.lua")
	g.proxy.run("HAProxy", command)
}

// seen is an answer, by Sherpa, the proxy or the API. Those of the API have a Path.
type seen struct {
	status  int
	header  http.Header
	body    string
	Code    string      `json:"code"`
	Path    string      `json:"path"`
	Method  string      `json:"method"`
	Headers [][2]string `json:"headers"` // that the API got
	Bytes   int         `json:"body_bytes"`

	Trailers []string `json:"trailers"` // that the API got
}

// values are what the API got in a header of this name, in any spelling that a program may take for it.
func (s seen) values(name string) (all []string) {
	for _, header := range s.Headers {
		if strings.NewReplacer("_", "-", ".", "-").Replace(strings.ToLower(header[0])) == name {
			all = append(all, header[1])
		}
	}
	return all
}

func (g *guarded) dial() net.Conn {
	g.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddress)}}
	conn, err := dialer.DialContext(g.t.Context(), "tcp", g.proxy.address)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		g.t.Fatal(err)
	}
	if g.secure == nil {
		return conn
	}
	return tls.Client(conn, g.secure)
}

// request is the head of a request as it goes over the wire: header lines have the spelling that they have
// here.
func (g *guarded) request(method, path, token string, lines ...string) string {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, g.proxy.address)
	if token != "" {
		head += "Authorization: Bearer " + token + "\r\n"
	}
	for _, line := range lines {
		head += line + "\r\n"
	}
	return head + "\r\n"
}

// ask sends a request, and reads the answer.
func (g *guarded) ask(method, path, token string, lines ...string) seen {
	g.t.Helper()
	return g.exchange(method, g.request(method, path, token, lines...), nil)
}

func (g *guarded) exchange(method, head string, body io.Reader) seen {
	g.t.Helper()
	conn := g.dial()
	defer conn.Close()
	if _, err := io.WriteString(conn, head); err != nil {
		g.t.Fatal(err)
	}
	if body != nil {
		go io.Copy(conn, body) // the answer says whether it arrived
	}
	return g.read(bufio.NewReader(conn), method)
}

func (g *guarded) read(reader *bufio.Reader, method string) (s seen) {
	g.t.Helper()
	response, err := http.ReadResponse(reader, &http.Request{Method: method})
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	s.status, s.header = response.StatusCode, response.Header
	if response.StatusCode == http.StatusSwitchingProtocols {
		return s
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	s.body = string(text)
	if strings.Contains(s.header.Get("Content-Type"), "json") && len(text) > 0 {
		if err := json.Unmarshal(text, &s); err != nil {
			g.t.Fatalf("%v: %s", err, text)
		}
	}
	return s
}

// logIn logs in through the proxy.
func (g *guarded) logIn(username, password string) (r reply) {
	g.t.Helper()
	body := credentials(username, password)
	head := g.request("POST", "/auth", "", "Content-Type: application/json",
		fmt.Sprintf("Content-Length: %d", len(body)))
	s := g.exchange("POST", head, strings.NewReader(body))
	if err := json.Unmarshal([]byte(s.body), &r); err != nil || r.Access == "" {
		g.t.Fatalf("log in: %d %v %s", s.status, err, s.body)
	}
	return r
}

// TestForwardAuth runs each proxy with the files in deploy/forward-auth.
func TestForwardAuth(t *testing.T) {
	t.Parallel()
	for name, start := range guards {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := startGuarded(t, start)
			for name, test := range map[string]func(t *testing.T, g *guarded){
				"passes": testPasses, "forged": testForged, "refuses": testRefuses, "roles": testRoles,
				"paths": testPaths, "own paths": testOwnPaths, "large bodies": testLargeBodies,
				"upgrades": testUpgrades, "addresses": testAddresses, "check": testCheck,
			} {
				t.Run(name, func(t *testing.T) { test(t, g) })
			}
			if name != "haproxy" { // which passes them on: docs/forward-auth.md says so
				t.Run("trailers", func(t *testing.T) { testTrailers(t, g) })
			}
			t.Run("logout", func(t *testing.T) { testLogout(t, g) }) // these end what the others need
			t.Run("frozen Sherpa", func(t *testing.T) { testFrozenSherpa(t, g) })
			t.Run("no Sherpa", func(t *testing.T) { testNoSherpa(t, g) })
		})
	}
}

func testPasses(t *testing.T, g *guarded) {
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		s := g.ask(method, "/hello?role=guide&x=%20y", g.user.Access, "Content-Length: 0")
		if s.status != 200 || s.Method != method || s.Path != "/hello?role=guide&x=%20y" {
			t.Errorf("%s: %d %s", method, s.status, s.body)
		}
		got := map[string][]string{}
		for _, name := range []string{"remote-user", "remote-user-id", "remote-session", "authorization"} {
			got[name] = s.values(name)
		}
		if diff := cmp.Diff(map[string][]string{
			"remote-user": {"sherpa"}, "remote-user-id": {"1"}, "authorization": nil,
			"remote-session": {sessionOf(t, g.user.Access)},
		}, got); diff != "" {
			t.Errorf("%s: the API got (+)\n%s", method, diff)
		}
	}
	groups := g.ask("GET", "/hello", g.admin.Access).values("remote-groups")
	if !slices.Equal(groups, []string{"admin"}) {
		t.Errorf("the roles of an admin are %q", groups)
	}
}

// forgeries are header lines in which a client claims to be somebody.
func forgeries() [][]string {
	all := [][]string{
		{"Remote-User: forged", "Remote-User: forged"},
		{"Remote-User: forged", "remote_user: forged", "Remote-Groups: forged"},
		{"Connection: close, Remote-User, Remote-User-Id, Remote-Groups, Remote-Session"},
		{"connection: remote-user", "Remote-User: forged"},
	}
	for _, name := range []string{
		"Remote-User", "Remote-User-Id", "Remote-Groups", "Remote-Session", "Remote-Name", "Remote-Email",
	} {
		under := strings.ReplaceAll(name, "-", "_")
		for _, spelling := range []string{
			name, strings.ToLower(name), strings.ToUpper(name), under, strings.ToLower(under),
			strings.ToUpper(under), strings.Replace(name, "-", "_", 1), strings.ReplaceAll(name, "-", "."),
		} {
			all = append(all, []string{spelling + ": forged"})
		}
	}
	return all
}

func testForged(t *testing.T, g *guarded) {
	names := []string{
		"remote-user", "remote-user-id", "remote-groups", "remote-session", "remote-name", "remote-email",
	}
	own := map[string]string{
		"remote-user": "sherpa", "remote-user-id": "1", "remote-groups": "",
		"remote-session": sessionOf(t, g.user.Access),
	}
	for _, lines := range forgeries() {
		for path, token := range map[string]string{"/hello": g.user.Access, "/public": ""} {
			s := g.ask("GET", path, token, lines...)
			if s.status == 400 { // refused as a whole
				continue
			}
			if s.status != 200 {
				t.Errorf("%s with %q: %d %s", path, lines, s.status, s.body)
			}
			for _, name := range names {
				want := ""
				if token != "" {
					want = own[name]
				}
				if got := s.values(name); len(got) > 1 || strings.Join(got, "") != want {
					t.Errorf("%s with %q: the API got %s %q, want %q", path, lines, name, got, want)
				}
			}
			got := strings.ToLower(strings.Join(s.values("connection"), ","))
			if strings.Contains(got, "remote") {
				t.Errorf("%s with %q: the API got Connection: %s", path, lines, got)
			}
		}
	}
}

// testTrailers: the API gets nothing that stands behind a chunked body.
func testTrailers(t *testing.T, g *guarded) {
	for _, announced := range [][]string{nil, {"Trailer: Remote-User"}} {
		head := g.request("POST", "/public", "", append(announced, "Transfer-Encoding: chunked")...)
		body := "3\r\nabc\r\n0\r\nRemote-User: forged\r\n\r\n"
		s := g.exchange("POST", head, strings.NewReader(body))
		if s.status != 200 || s.Bytes != 3 || len(s.Trailers) > 0 {
			t.Errorf("%q: %d %s", announced, s.status, s.body)
		}
	}
}

// testRefuses also sees that nothing of a refused request reaches the API.
func testRefuses(t *testing.T, g *guarded) {
	mixed := g.user.Access[:len(g.user.Access)-4] + "AAAA"
	for _, tt := range []struct {
		name, method, path, token string
		lines                     []string
		status                    int
		code, challenge           string
	}{
		{name: "no token", method: "GET", path: "/no-token", status: 401, code: "token_missing"},
		{name: "POST", method: "POST", path: "/no-post", status: 401, code: "token_missing"},
		{name: "OPTIONS", method: "OPTIONS", path: "/no-options", status: 401, code: "token_missing"},
		{name: "HEAD", method: "HEAD", path: "/no-head", status: 401},
		{
			name: "a preflight", method: "OPTIONS", path: "/no-preflight", status: 401, code: "token_missing",
			lines: []string{"Origin: https://x.example", "Access-Control-Request-Method: PUT"},
		},
		{
			name: "a wrong token", method: "GET", path: "/no-garbage", token: mixed, status: 401,
			code: "token_invalid", challenge: `error="invalid_token"`,
		},
		{
			name: "another scheme", method: "GET", path: "/no-basic", status: 401, code: "token_missing",
			lines: []string{"Authorization: Basic YTpi"},
		},
		{
			name: "two tokens", method: "GET", path: "/no-two", token: g.user.Access, status: 400,
			lines: []string{"Authorization: Bearer " + g.user.Access},
		},
		{
			name: "no role", method: "GET", path: "/admin/no-role", token: g.user.Access, status: 403,
			code: "forbidden", challenge: `error="insufficient_scope"`,
		},
	} {
		s := g.ask(tt.method, tt.path, tt.token, append(tt.lines, "Content-Length: 0")...)
		if s.status != tt.status || s.Code != tt.code && tt.code != "" || s.Path != "" {
			t.Errorf("%s: %d %s", tt.name, s.status, s.body)
		}
		challenge := strings.Join(s.header["Www-Authenticate"], ", ")
		if tt.status != 400 && (!strings.HasPrefix(challenge, `Bearer realm="sherpa"`) ||
			!strings.Contains(challenge, tt.challenge)) {
			t.Errorf("%s: challenge %q", tt.name, challenge)
		}
		if tt.code != "" && (s.header.Get("Content-Type") != "application/problem+json" ||
			!strings.Contains(s.header.Get("Cache-Control"), "no-store")) {
			t.Errorf("%s: %v", tt.name, s.header)
		}
		if strings.Contains(g.api.log.String(), tt.path) {
			t.Errorf("%s: the request has reached the API", tt.name)
		}
	}
	s := g.ask("get", "/no-such-method", "") // nginx cannot read it, others ask Sherpa
	if s.status != 401 && s.status != 400 || s.Code == "" ||
		s.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a method in lower case: %d %s", s.status, s.body)
	}
}

func testRoles(t *testing.T, g *guarded) {
	for _, path := range []string{"/admin", "/admin/users", "/admin?role=none"} {
		if s := g.ask("GET", path, g.admin.Access); s.status != 200 || s.Path != path {
			t.Errorf("%s as admin: %d %s", path, s.status, s.body)
		}
		for _, query := range []string{"", "?role=admin", "?"} {
			base, _, _ := strings.Cut(path, "?")
			if s := g.ask("GET", base+query, g.user.Access); s.status != 403 {
				t.Errorf("%s as a user: %d %s", base+query, s.status, s.body)
			}
		}
	}
}

// testPaths: another spelling of a path passes no rule by. What is open or free of a role for the proxy must
// be so for an API that reads the path in its own way.
func testPaths(t *testing.T, g *guarded) {
	for _, path := range []string{
		"/hello/../public", "/hello/..%2fpublic", "/hello/%2e%2e/public", "/public/../hello",
		"/public%2f..%2fhello", "/public/%2e%2e/hello", "/public/..;/hello", "//public", "/public/",
		"/public/hello", "/%70ublic", "/public.", "/PUBLIC", "/./public", "/x/..//public", "/public%00",
		"/public%3f", "/public%23x", "/public;x",
	} {
		s := g.ask("GET", path, "")
		if s.status == 200 && s.Path != "/public" && s.Path != "/%70ublic" {
			t.Errorf("%s: the API answers to a stranger for %s", path, s.Path)
		}
	}
	for _, path := range []string{
		"/admin/../admin/x", "/x/../admin/x", "/x/..%2fadmin/x", "/x/%2e%2e/admin/x",
		"/admin%2f..%2fadmin/x", "/admin%2f..%2fx", "/admin%2fx", "//admin/x", "/%61dmin/x",
		"/admin/..%2fx", "/./admin/x", "/x//../admin/x", "/ADMIN", "/Admin/x", "/%41DMIN",
		"/x/..;/admin/x", "/;a/admin/x", "/x%5c..%5cadmin", "/x\\..\\admin", "/%2561dmin", "/x%3b/admin",
	} {
		s := g.ask("GET", path, g.user.Access)
		if s.status == 200 && strings.Contains(readTwice(s.Path), "admin") {
			t.Errorf("%s: the API answers to a user without the role for %s", path, s.Path)
		}
	}
	for _, path := range []string{"/Admin/x", "/ADMIN?x=%2541;", "/admin/a%20b%3fc"} {
		if s := g.ask("GET", path, g.admin.Access); s.status != 200 || !strings.EqualFold(s.Path, path) {
			t.Errorf("%s as admin: %d %s", path, s.status, s.body)
		}
	}
}

// readTwice is how a careless API reads a path: in any case, and decoded twice.
func readTwice(path string) string {
	once, _ := url.PathUnescape(path)
	if twice, err := url.PathUnescape(once); err == nil {
		once = twice
	}
	return strings.ToLower(once)
}

// testCheck: sherpa check fails no row for what belongs to the API.
func testCheck(t *testing.T, g *guarded) {
	if g.secure == nil {
		g.sherpa.wantRed(t, "", "http://"+g.proxy.address)
		return
	}
	g.sherpa.wantRed(t, "", "https://"+g.proxy.address, "--ca-file", g.certificate)
}

func testOwnPaths(t *testing.T, g *guarded) {
	for path, status := range map[string]int{
		"/auth/me": 200, "/auth/verify": 200, "/docs": 200, "/docs/docs.js": 200, "/problems/forbidden": 200,
		"/openapi.json": 200, "/openapi.yaml": 200, "/.well-known/jwks.json": 200,
		"/.well-known/nothing": 404,
	} {
		s := g.ask("GET", path, g.user.Access)
		reached := strings.Contains(g.api.log.String(), path)
		if s.status != status || s.header.Get("X-Request-Id") == "" || reached {
			t.Errorf("%s: %d %v, the API was asked: %v", path, s.status, s.header, reached)
		}
	}
	for _, path := range []string{"/authors", "/docsify", "/openapi.txt", "/healthz"} {
		if s := g.ask("GET", path, g.user.Access); s.status != 200 || s.Path != path {
			t.Errorf("%s: %d %s", path, s.status, s.body)
		}
	}
}

const largeBody = 20 << 20

// zeros is an endless body.
type zeros struct{}

// Read fills p.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func testLargeBodies(t *testing.T, g *guarded) {
	length := fmt.Sprintf("Content-Length: %d", largeBody)
	head := g.request("POST", "/upload", g.user.Access, length)
	s := g.exchange("POST", head, io.LimitReader(zeros{}, largeBody))
	if s.status != 200 || s.Bytes != largeBody {
		t.Errorf("%d, %d bytes arrived: %.200s", s.status, s.Bytes, s.body)
	}
	// A stranger is refused before the body has come: nobody stores it.
	head = g.request("POST", "/no-upload", "", length)
	s = g.exchange("POST", head, io.LimitReader(zeros{}, 1000))
	if s.status != 401 || s.Code != "token_missing" || strings.Contains(g.api.log.String(), "/no-upload") {
		t.Errorf("without a token: %d %s", s.status, s.body)
	}
}

func testUpgrades(t *testing.T, g *guarded) {
	websocket := []string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}
	conn := g.dial()
	defer conn.Close()
	reader := bufio.NewReader(conn)
	send := func(text string) {
		t.Helper()
		if _, err := io.WriteString(conn, text); err != nil {
			t.Fatal(err)
		}
	}
	send(g.request("GET", "/socket", g.user.Access, websocket...))
	s := g.read(reader, "GET")
	if s.status != 101 || s.header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%d %v %s", s.status, s.header, s.body)
	}
	for _, text := range []string{"one", "another"} {
		send(text)
		back := make([]byte, len(text))
		if _, err := io.ReadFull(reader, back); err != nil || string(back) != text {
			t.Fatalf("%q came back as %q: %v", text, back, err)
		}
	}
	if s := g.ask("GET", "/no-socket", "", websocket...); s.status != 401 {
		t.Errorf("without a token: %d %s", s.status, s.body)
	}
	// What is no WebSocket stays a plain request.
	s = g.ask("GET", "/h2c", g.user.Access, "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
		"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
	if s.status != 200 || len(s.values("upgrade")) > 0 {
		t.Errorf("h2c: %d, and the API got Upgrade %q", s.status, s.values("upgrade"))
	}
	s = g.ask("GET", "/two", g.user.Access, "Connection: Upgrade", "Upgrade: h2c", "Upgrade: other")
	if s.status == 200 && len(s.values("upgrade")) > 0 {
		t.Errorf("two protocols: the API got Upgrade %q", s.values("upgrade"))
	}
}

func testAddresses(t *testing.T, g *guarded) {
	s := g.ask("GET", "/hello", g.user.Access, "X-Forwarded-For: 203.0.113.7")
	if got := s.values("x-forwarded-for"); !slices.Equal(got, []string{clientAddress}) {
		t.Errorf("the API got X-Forwarded-For %q", got)
	}
	eventually(t, "Sherpa logs the question with the address of the client", func() bool {
		for line := range strings.Lines(g.sherpa.log.String()) {
			if strings.Contains(line, "/auth/verify") && strings.Contains(line, clientAddress) {
				return true
			}
		}
		return false
	})
	if strings.Contains(g.sherpa.log.String(), "203.0.113.7") {
		t.Error("a client can forge its address")
	}
}

func testLogout(t *testing.T, g *guarded) {
	gone := g.logIn("sherpa", "everest")
	if s := g.ask("GET", "/hello", gone.Access); s.status != 200 {
		t.Fatalf("%d %s", s.status, s.body)
	}
	if s := g.ask("POST", "/auth/logout", gone.Access, "Content-Length: 0"); s.status != 204 {
		t.Fatalf("log out: %d %s", s.status, s.body)
	}
	if s := g.ask("GET", "/hello", gone.Access); s.status != 401 || s.Code != "session_ended" {
		t.Errorf("after the logout: %d %s", s.status, s.body)
	}
	// Another process ends the session of the other user: Sherpa learns it from the feed.
	g.sherpa.sherpa(t, "", "user", "disable", "eve")
	ended := time.Now()
	for {
		asked := time.Now()
		s := g.ask("GET", "/hello", g.admin.Access)
		if s.status == 401 && s.Code == "session_ended" {
			break
		}
		if s.status != 200 || asked.Sub(ended) > time.Second {
			t.Fatalf("%v after the end of the session: %d %s", asked.Sub(ended), s.status, s.body)
		}
		time.Sleep(10 * time.Millisecond) // Sherpa reads the feed meanwhile
	}
}

// testFrozenSherpa: Sherpa takes the question, and does not answer.
func testFrozenSherpa(t *testing.T, g *guarded) {
	freezeReplica(t, g.sherpa)
	defer func() { _ = g.sherpa.command.Process.Signal(syscall.SIGCONT) }() // or nobody could stop it
	s := g.ask("GET", "/no-frozen", g.user.Access)
	if s.status != 503 || s.Code != "unavailable" || strings.Contains(g.api.log.String(), "/no-frozen") {
		t.Errorf("%d %s", s.status, s.body)
	}
}

func testNoSherpa(t *testing.T, g *guarded) {
	g.sherpa.kill()
	for _, token := range []string{g.user.Access, ""} {
		s := g.ask("GET", "/no-sherpa", token)
		if s.status != 503 || s.Code != "unavailable" || s.header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", s.status, s.header, s.body)
		}
	}
	if strings.Contains(g.api.log.String(), "/no-sherpa") {
		t.Error("a request has reached the API")
	}
	if s := g.ask("GET", "/public", ""); s.status != 200 {
		t.Errorf("the open path: %d %s", s.status, s.body)
	}
}

// TestForwardAuthBehindACache gives nginx a cache for the answers of Sherpa. They forbid to keep them, so it
// keeps none, unless somebody tells it to ignore that.
func TestForwardAuthBehindACache(t *testing.T) {
	t.Parallel()
	const (
		question = "proxy_pass http://sherpa/auth/verify;"
		upstream = "upstream sherpa {"
	)
	behind := func(t *testing.T, more string) *guarded {
		t.Helper()
		return startGuarded(t, func(t *testing.T, g *guarded) {
			t.Helper()
			g.startNginx(t,
				replacement{upstream, "proxy_cache_path cache keys_zone=all:1m;\n" + upstream},
				replacement{question, question + " proxy_cache all; proxy_cache_valid any 1h; " +
					"proxy_cache_key $http_authorization; " + more})
		})
	}
	t.Run("as it is", func(t *testing.T) {
		t.Parallel()
		g := behind(t, "")
		testLogout(t, g)
		testRefuses(t, g)
	})
	t.Run("told to ignore", func(t *testing.T) {
		t.Parallel()
		g := behind(t, "proxy_ignore_headers Cache-Control;")
		g.ask("GET", "/hello", g.user.Access)
		g.ask("POST", "/auth/logout", g.user.Access, "Content-Length: 0")
		if s := g.ask("GET", "/hello", g.user.Access); s.status != 200 {
			t.Errorf("%d: there is no cache, so the other test shows nothing", s.status)
		}
	})
}
