package handlers_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sherpa/handlers"
	"sherpa/security"
)

// verify asks as a proxy does.
func (s *server) verify(query, token string) answer {
	s.t.Helper()
	return s.do("GET", "/auth/verify"+query, "", "Authorization: Bearer "+token)
}

func TestVerifyNamesThePrincipal(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.addUser("ada", "an analytical engine", "admin", "editor")
	s.addUser("josé", "a name for trouble")
	s.addUser("x,admin%", "a name for trouble")
	for name, tt := range map[string]struct {
		password string
		want     []string // name, id, roles
	}{
		username:   {password, []string{username, "1", ""}},
		"ada":      {"an analytical engine", []string{"ada", "2", "admin,editor"}},
		"josé":     {"a name for trouble", []string{"jos%C3%A9", "3", ""}},
		"x,admin%": {"a name for trouble", []string{"x%2Cadmin%25", "4", ""}},
	} {
		token := s.login(name, tt.password)
		a := s.verify("", token)
		sid, _ := claims(t, token)["sid"].(string)
		var got []string
		for _, header := range []string{
			"Remote-User", "Remote-User-Id", "Remote-Groups", "Remote-Session", "Content-Length",
			"Cache-Control",
		} {
			got = append(got, strings.Join(a.header[header], "|"))
			if len(a.header[header]) != 1 { // an empty header must overwrite a forged one
				t.Errorf("%s: %d headers %s", name, len(a.header[header]), header)
			}
		}
		if diff := cmp.Diff(append(tt.want, sid, "0", "no-store"), got); diff != "" || a.status != 200 {
			t.Errorf("%s: %d %s", name, a.status, diff)
		}
		if plain, err := url.PathUnescape(a.header.Get("Remote-User")); err != nil || plain != name {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

// TestVerifyTakesPersonalTokens, which have no session: the empty header overwrites a forged one.
func TestVerifyTakesPersonalTokens(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ada := s.addUser("ada", "an analytical engine", "admin", "editor")
	_, text := s.addTokenOf(ada, security.NewToken{Name: "deploy", Roles: []string{"editor"}})
	a := s.verify("?role=editor", text)
	session, sent := a.header["Remote-Session"]
	if a.status != 200 || a.header.Get("Remote-Groups") != "editor" || !sent || session[0] != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := s.verify("?role=admin", text); a.status != 403 {
		t.Errorf("a role that the token does not have: %d", a.status)
	}
}

func TestVerifyAsksForARole(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.addUser("ada", "an analytical engine", "admin", "editor")
	user, admin := s.login(username, password), s.login("ada", "an analytical engine")
	tests := []struct {
		name, query string
		user, admin int
	}{
		{"no query", "", 200, 200},
		{"an empty query", "?", 200, 200},
		{"a role", "?role=admin", 403, 200},
		{"either role", "?role=guide&role=editor", 403, 200},
		{"a role that nobody has", "?role=guide", 403, 403},
		{"an encoded letter", "?role=%61dmin", 403, 200},
		{"an empty role", "?role=", 400, 400},
		{"no value", "?role", 400, 400},
		{"an empty one beside a good one", "?role=admin&role=", 400, 400},
		{"two in one", "?role=admin,editor", 400, 400},
		{"capitals", "?role=Admin", 400, 400},
		{"a blank", "?role=admin+", 400, 400},
		{"a slip of the name", "?roles=admin", 400, 400},
		{"a name in capitals", "?Role=admin", 400, 400},
		{"something else as well", "?role=admin&x=1", 400, 400},
		{"the query of a client", "?page=2", 400, 400},
		{"a semicolon", "?role=admin;x", 400, 400},
		{"a broken escape", "?role=%zz", 400, 400},
		{"a separator alone", "?&", 400, 400},
	}
	for _, tt := range tests {
		for token, want := range map[string]int{user: tt.user, admin: tt.admin} {
			a := s.verify(tt.query, token)
			if a.status != want || want != 200 && a.header.Get("Remote-User") != "" {
				t.Errorf("%s: %d %s, want %d", tt.name, a.status, a.body, want)
			}
		}
		if a := s.do("GET", "/auth/verify"+tt.query, ""); a.status != 401 {
			t.Errorf("%s, without a token: %d", tt.name, a.status)
		}
	}
}

// TestVerifyRefusesInAHeader: a proxy that drops the body still has the problem and the challenge.
func TestVerifyRefusesInAHeader(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ended, token := s.login(username, password), s.login(username, password)
	s.do("POST", "/auth/logout", "", "Authorization: Bearer "+ended)
	for name, tt := range map[string]struct {
		query, token, code, challenge string
	}{
		"no token": {"", "", "token_missing", `Bearer realm="sherpa"`},
		"ended":    {"", ended, "session_ended", `Bearer realm="sherpa", error="invalid_token"`},
		"no role": {
			"?role=admin&role=guide", token, "forbidden",
			`Bearer realm="sherpa", error="insufficient_scope", scope="admin guide"`,
		},
	} {
		a := s.verify(tt.query, tt.token)
		if got := a.header.Get("WWW-Authenticate"); got != tt.challenge {
			t.Errorf("%s: challenge %s", name, got)
		}
		if p := a.problem(t); string(p.Code) != tt.code || len(a.header["Sherpa-Problem"]) != 1 ||
			a.header.Get("Sherpa-Problem") != strings.TrimSpace(a.body) {
			t.Errorf("%s: %s, header %s", name, a.body, a.header.Get("Sherpa-Problem"))
		}
		beyondASCII := func(r rune) bool { return r < ' ' || r > '~' }
		if got := a.header.Get("Sherpa-Problem"); strings.ContainsFunc(got, beyondASCII) {
			t.Errorf("%s: %q is not ASCII", name, got)
		}
	}
	if a := s.do("GET", "/auth/me", ""); a.header.Get("Sherpa-Problem") != "" {
		t.Error("a route for clients has the header for proxies")
	}
	if p := s.verify("?role=admin&role=guide", token).problem(t); !strings.Contains(p.Detail, "admin") ||
		!strings.Contains(p.Detail, "guide") {
		t.Errorf("%q does not name the roles", p.Detail)
	}
}

// TestVerifyTakesEveryMethod: some proxies ask by the method of their client, and there are more than Gin's.
func TestVerifyTakesEveryMethod(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	token := s.login(username, password)
	for _, method := range []string{
		"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "MKCOL", "QUERY",
		"M-SEARCH", "get", "SHERPA",
	} {
		for query, tt := range map[string]struct {
			token  string
			status int
			user   string
		}{
			"":            {token, 200, username},
			"?role=guide": {token, 403, ""},
			"?":           {"nothing", 401, ""},
		} {
			a := s.do(method, "/auth/verify"+query, "", "Authorization: Bearer "+tt.token)
			refused := a.header.Get("Sherpa-Problem") != ""
			if a.status != tt.status || refused != (tt.status != 200) || a.header.Get("Allow") != "" ||
				a.header.Get("Remote-User") != tt.user {
				t.Errorf("%s %s: %d %v", method, query, a.status, a.header)
			}
		}
	}
	if a := s.do("PROPFIND", "/auth/verify/", "", "Authorization: Bearer "+token); a.status != 404 {
		t.Errorf("another path: %d", a.status)
	}
}

// TestVerifyReadsNoBody: nginx with proxy_pass_request_body off may still announce the body. The answer must
// not wait for it, and what comes later on the connection must not be taken for it.
func TestVerifyReadsNoBody(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	authorization := "Authorization: Bearer " + s.login(username, password)
	for _, tt := range []struct {
		name, header, body string
		status             int
		closes             bool
	}{
		{"passes", authorization, "Content-Length: 100", 200, true},
		{"passes, large", authorization, "Content-Length: 20000000", 200, true},
		{"passes, in chunks", authorization, "Transfer-Encoding: chunked", 200, true},
		{"refuses", "X-Nothing: at all", "Content-Length: 100", 401, true},
		{"no body", authorization, "Content-Length: 0", 200, false},
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		head := "POST /auth/verify HTTP/1.1\r\nHost: sherpa"
		fmt.Fprintf(conn, "%s\r\n%s\r\n%s\r\n\r\n", head, tt.header, tt.body)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if response.StatusCode != tt.status || response.Close != tt.closes {
			t.Errorf("%s: %s, the connection closes: %v", tt.name, response.Status, response.Close)
		}
		if err := errors.Join(response.Body.Close(), conn.Close()); err != nil {
			t.Error(err)
		}
	}
}

// FuzzVerifyQuery: a user without roles passes only when nobody asks for one.
func FuzzVerifyQuery(f *testing.F) {
	for _, seed := range []string{
		"", "role=admin", "role=", "role", "roles=admin", "role=a&role=b", "%72ole=admin", "role=admin;", "&",
		"=", "role%00=admin", "role=%zz",
	} {
		f.Add(seed)
	}
	s := newServer(f, func(c *handlers.Config) { c.AccessLog = nil })
	token := s.login(username, password)
	f.Fuzz(func(t *testing.T, query string) {
		request := httptest.NewRequest(http.MethodGet, "/auth/verify", nil)
		request.URL.RawQuery = query
		request.Header.Set("Authorization", "Bearer "+token)
		a := s.serveDirectly(t, request)
		if (a.status == 200) != (query == "") || !slices.Contains([]int{200, 400, 403}, a.status) {
			t.Errorf("%q: %d", query, a.status)
		}
	})
}
