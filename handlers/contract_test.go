package handlers_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoginAnswer(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.addUser("ada", "an analytical engine", "admin", "editor")

	a := s.post("/auth", credentials("ada", "an analytical engine"))

	var body map[string]any
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatal(err)
	}
	token, _ := body["access_token"].(string)
	refresh, _ := body["refresh_token"].(string)
	delete(body, "access_token")
	delete(body, "refresh_token")
	if diff := cmp.Diff(
		map[string]any{"token_type": "Bearer", "expires_in": 300.0, "refresh_expires_in": 604800.0}, body,
	); diff != "" {
		t.Error(diff)
	}
	if got := a.header.Get("Cache-Control"); a.status != 200 || got != "no-store" {
		t.Errorf("status %d, Cache-Control %q", a.status, got)
	}
	now := float64(s.clock.Now().Unix())
	got := claims(t, token)
	sid, _ := got["sid"].(string)
	delete(got, "sid")
	want := map[string]any{
		"identity": 2.0, "sub": "2", "roles": []any{"admin", "editor"}, "iss": "sherpa", "aud": "sherpa",
		"iat": now, "nbf": now - 10, "exp": now + 300, "orig_iat": now,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(sid) < 26 {
		t.Errorf("sid %q is shorter than 128 bits", sid)
	}
	if id, secret, _ := strings.Cut(refresh, "."); id != sid || len(secret) < 43 {
		t.Errorf("refresh token %q", refresh)
	}
}

func TestLoginRefusesBadRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	before := s.service.Hasher.Computed()
	big := strings.Repeat("a", 1<<20)
	tests := []struct {
		name, body, contentType string
		status                  int
		code, detail            string
	}{
		{"no password", `{"username":"sherpa"}`, "application/json", 400, "invalid_request",
			"`password` is required"},
		{"no member at all", `{}`, "application/json", 400, "invalid_request",
			"`username` is required and must be a string. `password` is"},
		{"null", `{"username":null,"password":"x"}`, "application/json", 400, "invalid_request",
			"`username` is required"},
		{"number", `{"username":"sherpa","password":12345}`, "application/json", 400, "invalid_request",
			"`password` must be a string"},
		{"array", `{"username":["sherpa"],"password":"x"}`, "application/json", 400, "invalid_request",
			"`username` must be a string"},
		{"unknown member", `{"username":"sherpa","password":"everest","admin":true}`, "application/json", 400,
			"invalid_request", "`admin` is not a member that this resource knows: it knows `username`, "},
		{"other case", `{"Username":"sherpa","password":"everest"}`, "application/json", 400,
			"invalid_request", "`Username`"},
		{"repeated member", `{"username":"x","username":"sherpa","password":"everest"}`, "application/json",
			400, "invalid_request", "`username` appears more than once"},
		{"trailing text", `{"username":"sherpa","password":"everest"} x`, "application/json", 400,
			"invalid_request", "not valid JSON"},
		{"second object", `{"username":"sherpa","password":"everest"}{}`, "application/json", 400,
			"invalid_request", "not valid JSON"},
		{"null as a whole", `null`, "application/json", 400, "invalid_request", "must be a JSON object"},
		{"broken", `{"username":`, "application/json", 400, "invalid_request", "not valid JSON"},
		{"empty", ``, "application/json", 400, "invalid_request", "not valid JSON"},
		{"not an object", `["sherpa","everest"]`, "application/json", 400, "invalid_request",
			"must be a JSON object"},
		{"not UTF-8", "{\"username\":\"\xff\",\"password\":\"x\"}", "application/json", 400,
			"invalid_request", "not valid JSON"},
		{"form", `username=sherpa&password=everest`, "application/x-www-form-urlencoded", 415,
			"unsupported_media_type", "application/json"},
		{"no type", `{"username":"sherpa","password":"everest"}`, "", 415, "unsupported_media_type",
			"application/json"},
		{"XML", `<a/>`, "application/xml", 415, "unsupported_media_type", "application/json"},
		{"password of a MiB", credentials("sherpa", big), "application/json", 413, "content_too_large",
			"65536"},
		{"garbage of a MiB", big, "application/json", 413, "content_too_large", "65536"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := s.do("POST", "/auth", tt.body, "Content-Type: "+tt.contentType)
			p := a.problem(t)
			if a.status != tt.status || string(p.Code) != tt.code || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("got %d %s %q", a.status, p.Code, p.Detail)
			}
			if strings.Contains(a.body, "12345") {
				t.Error("the answer repeats the password")
			}
		})
	}
	if got := s.service.Hasher.Computed(); got != before {
		t.Errorf("%d hashes were computed for requests that cannot be logins", got-before)
	}
}

func TestLoginNamesEveryMemberAtFault(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	p := s.post("/auth", `{}`).problem(t)
	var pointers []string
	for _, e := range p.Errors {
		pointers = append(pointers, e.Pointer)
	}
	if diff := cmp.Diff([]string{"#/username", "#/password"}, pointers); diff != "" {
		t.Error(diff)
	}
}

func TestLoginAcceptsWhatTheTutorialsClientsSend(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8",
		"Application/JSON"} {
		if a := s.do(
			"POST", "/auth", ` {"password" : "everest", "username":"Sherpa"} `, "Content-Type: "+contentType,
		); a.status != 200 {
			t.Errorf("%s: %d %s", contentType, a.status, a.body)
		}
	}
}

// TestLoginTellsNothing counts hashes rather than timing them: equal work is what makes the times equal.
func TestLoginTellsNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	disabled := s.addUser("disabled", "was a good password")
	if _, err := s.store.DisableUser(t.Context(), disabled.ID, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	answers := map[string]answer{}
	for name, body := range map[string]string{
		"wrong password":            credentials(username, "wrong"),
		"unknown user":              credentials("nobody", "wrong"),
		"disabled, right password":  credentials("disabled", "was a good password"),
		"disabled, wrong password":  credentials("disabled", "wrong"),
		"name that cannot exist":    credentials("a b\x00' OR 1=1 --", "wrong"),
		"name that is too long":     credentials(strings.Repeat("n", 1000), "wrong"),
		"empty name":                credentials("", "wrong"),
		"empty password":            credentials(username, ""),
		"password that is too long": credentials(username, strings.Repeat("p", 1000)),
		"password with a NUL":       credentials(username, "everest\x00"),
	} {
		before := s.service.Hasher.Computed()
		a := s.post("/auth", body)
		if n := s.service.Hasher.Computed() - before; n != 1 {
			t.Errorf("%s: %d hashes computed, want 1", name, n)
		}
		if p := a.problem(t); a.status != 401 || p.Code != "invalid_credentials" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		answers[name] = withoutRequest(a)
	}
	for name, a := range answers {
		if diff := cmp.Diff(answers["unknown user"], a, cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%s differs from an unknown user:\n%s", name, diff)
		}
	}
}

// withoutRequest removes what differs between any two requests.
func withoutRequest(a answer) answer {
	id := a.header.Get("X-Request-Id")
	a.body = strings.ReplaceAll(a.body, id, "ID")
	a.header.Del("X-Request-Id")
	a.header.Del("Date")
	return a
}

func TestMountainNames(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	token := s.login(username, password)
	long := strings.Repeat("k", 4096)
	tests := []struct{ name, path, want string }{
		{"plain", "everest", "everest"},
		{"blank", "K2%20peak", "K2 peak"},
		{"not ASCII", "%C3%89verest", "Éverest"},
		{"plus", "a+b", "a+b"},
		{"encoded plus", "a%2Bb", "a+b"},
		{"percent", "100%25", "100%"},
		{"NUL", "a%00b", "a\x00b"},
		{"HTML", "%3Cscript%3E%22%26", `<script>"&`},
		{"emoji", url.PathEscape("🏔"), "🏔"},
		{"dots", "...", "..."},
		{"semicolon", "a;b", "a;b"},
		{"line end", "a%0Ab", "a\nb"},
		{"question mark", "a%3Fb", "a?b"},
		{"4 KiB", long, long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := s.do("GET", "/mountain/"+tt.path, "", "Authorization: JWT "+token)
			var got map[string]string
			if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if diff := cmp.Diff(map[string]string{"mountain": tt.want}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMountainRefusesNames(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	token := s.login(username, password)
	tests := []struct {
		name, path string
		status     int
	}{
		{"encoded slash", "/mountain/a%2Fb", 404},
		{"no name", "/mountain/", 404},
		{"no name, no slash", "/mountain", 404},
		{"trailing slash", "/mountain/x/", 404},
		{"two names", "/mountain/a/b", 404},
		{"not UTF-8", "/mountain/%ff", 400},
		{"unknown route", "/volcano/x", 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := s.do("GET", tt.path, "", "Authorization: JWT "+token)
			a.problem(t)
			if a.status != tt.status {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

// TestSlashAtTheEnd: the answer names the route, and repeats nothing of the request.
func TestSlashAtTheEnd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const other = "There is no resource at this path. GET / says where to begin."
	without := func(route string) string {
		return "There is no resource at this path. Without the slash at its end there is one: " + route
	}
	for _, tt := range []struct{ name, method, path, detail string }{
		{"a resource", "GET", "/mountain/everest/", without("/mountain/<name>")},
		{"hostile text", "GET", "/mountain/%3Cscript%3E/", without("/mountain/<name>")},
		{"no parameter", "POST", "/auth/", without("/auth")},
		{"deeper", "GET", "/auth/sessions/", without("/auth/sessions")},
		{"a parameter, deeper", "DELETE", "/auth/sessions/ABC/", without("/auth/sessions/<id>")},
		{"whatever the method", "POST", "/mountain/everest/", without("/mountain/<name>")},
		{"and the query", "GET", "/healthz/?x=/", without("/healthz")},
		{"two slashes", "GET", "/mountain/everest//", other},
		{"a parameter is missing", "GET", "/mountain/", other},
		{"a part too many", "GET", "/mountain/a/b/", other},
		{"an encoded slash", "GET", "/mountain/a%2Fb/", other},
		{"no such resource", "GET", "/volcano/", other},
		{"no slash", "GET", "/volcano", other},
	} {
		a := s.do(tt.method, tt.path, "")
		if p := a.problem(t); a.status != 404 || p.Detail != tt.detail || a.header.Get("Location") != "" {
			t.Errorf("%s: %d %q", tt.name, a.status, p.Detail)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	auth := "Authorization: JWT " + s.login(username, password)
	tests := []struct {
		name, method, path string
		status             int
		allow              string
	}{
		{"HEAD", "HEAD", "/mountain/x", 200, ""},
		{"OPTIONS", "OPTIONS", "/mountain/x", 204, "GET, HEAD, OPTIONS"},
		{"POST", "POST", "/mountain/x", 405, "GET, HEAD, OPTIONS"},
		{"DELETE", "DELETE", "/mountain/x", 405, "GET, HEAD, OPTIONS"},
		{"invented method", "CLIMB", "/mountain/x", 405, "GET, HEAD, OPTIONS"},
		{"TRACE", "TRACE", "/mountain/x", 405, "GET, HEAD, OPTIONS"},
		{"GET the login", "GET", "/auth", 405, "OPTIONS, POST"},
		{"OPTIONS of the login", "OPTIONS", "/auth", 204, "OPTIONS, POST"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := s.do(tt.method, tt.path, "", auth)
			if a.status != tt.status || a.header.Get("Allow") != tt.allow {
				t.Errorf("got %d, Allow %q", a.status, a.header.Get("Allow"))
			}
			if tt.status == 405 {
				a.problem(t)
			}
		})
	}
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	auth := "Authorization: JWT " + s.login(username, password)
	get, head := s.do("GET", "/mountain/x", "", auth), s.do("HEAD", "/mountain/x", "", auth)
	if head.body != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
		t.Errorf(
			"HEAD: body %q, Content-Length %s, want %s", head.body, head.header.Get("Content-Length"),
			get.header.Get("Content-Length"),
		)
	}
}

func TestEveryAnswerHasSecurityHeaders(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, path := range []string{"/", "/healthz", "/mountain/x", "/nowhere", "/problems/forbidden"} {
		a := s.do("GET", path, "")
		if a.header.Get("X-Content-Type-Options") != "nosniff" ||
			a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, a.header)
		}
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	tests := []struct {
		name, sent string
		kept       bool
	}{
		{"from a proxy", "5f3c9a7e-0001", true},
		{"too short", "x", false},
		{"forges a log line", `abcdefgh" level=INFO`, false},
		{"too long", strings.Repeat("a", 65), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := s.do("GET", "/nowhere", "", "X-Request-Id: "+tt.sent)
			got := a.header.Get("X-Request-Id")
			if got == "" || got != a.problem(t).RequestID || (got == tt.sent) != tt.kept {
				t.Errorf("sent %q, got %q", tt.sent, got)
			}
		})
	}
}
