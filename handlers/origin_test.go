package handlers_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sherpa/handlers"
)

const (
	friend   = "https://app.example.org"
	stranger = "https://evil.example"
)

func allow(origins ...string) func(*handlers.Config) {
	return func(c *handlers.Config) { c.Origins = origins }
}

// crossHeaders returns the headers by which a browser decides.
func (a answer) crossHeaders() map[string]string {
	all := map[string]string{}
	for name, values := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			all[name] = strings.Join(values, " | ")
		}
	}
	return all
}

// readable are the headers of an answer that a script of the friend may read.
func readable() map[string]string {
	return map[string]string{
		"Access-Control-Allow-Origin":   friend,
		"Access-Control-Expose-Headers": "Www-Authenticate, Retry-After, X-Request-Id, Allow, Etag, Location",
	}
}

func TestCrossOriginRequests(t *testing.T) {
	t.Parallel()
	s := newServer(t, allow(friend, "http://localhost:3000"))
	token := "Authorization: Bearer " + s.login(username, password)
	for _, tt := range []struct {
		name, method, path, origin, header string
		status                             int
		want                               map[string]string
	}{
		{"a friend with a token", "GET", "/auth/me", friend, token, 200, readable()},
		{"a friend without a token", "GET", "/auth/me", friend, "", 401, readable()},
		{"no such path", "GET", "/nowhere", friend, "", 404, readable()},
		{"no such method", "POST", "/auth/me", friend, "", 405, readable()},
		{"a stranger with a token", "GET", "/auth/me", stranger, token, 200, nil},
		{"null", "GET", "/auth/me", "null", token, 200, nil},
		{"another scheme", "GET", "/healthz", "http://app.example.org", "", 200, nil},
		{"another port", "GET", "/healthz", friend + ":8443", "", 200, nil},
		{"a longer name", "GET", "/healthz", friend + ".evil.example", "", 200, nil},
		{"a name in front", "GET", "/healthz", "https://evil.app.example.org", "", 200, nil},
		{"other letters", "GET", "/healthz", "https://APP.example.org", "", 200, nil},
		{"no origin", "GET", "/auth/me", "", token, 200, nil},
	} {
		var header []string
		if tt.origin != "" {
			header = append(header, "Origin: "+tt.origin)
		}
		if tt.header != "" {
			header = append(header, tt.header)
		}
		a := s.do(tt.method, tt.path, "", header...)
		if tt.want == nil {
			tt.want = map[string]string{}
		}
		if diff := cmp.Diff(tt.want, a.crossHeaders()); diff != "" || a.status != tt.status {
			t.Errorf("%s: %d\n%s", tt.name, a.status, diff)
		}
		if a.header.Get("Vary") != "Origin" {
			t.Errorf("%s: Vary is %q", tt.name, a.header.Values("Vary"))
		}
	}
	index := s.do("GET", "/", "", "Origin: "+friend)
	if diff := cmp.Diff([]string{"Origin, Accept"}, index.header.Values("Vary")); diff != "" {
		t.Errorf("Vary of the index: %s", diff)
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	s := newServer(t, allow(friend))
	for _, tt := range []struct {
		name, path, origin, method, headers string
		status                              int
		methods                             string // "" is a refusal
	}{
		{"a token", "/mountain/everest", friend, "GET", "authorization", 204, "GET, HEAD, OPTIONS"},
		{"a body", "/auth", friend, "POST", "content-type,x-request-id", 204, "OPTIONS, POST"},
		{"all headers", "/auth/sessions/x", friend, "DELETE", "authorization,content-type,x-request-id", 204,
			"DELETE, OPTIONS"},
		{"no header", "/auth/password", friend, "PUT", "", 204, "OPTIONS, PUT"},
		{"a method that the path does not have", "/auth/me", friend, "DELETE", "authorization", 204,
			"GET, HEAD, OPTIONS"},
		{"a version", "/auth/users/1", friend, "PATCH", "authorization,content-type,if-match", 204,
			"DELETE, GET, HEAD, OPTIONS, PATCH"},
		{"a header that nobody needs", "/auth/me", friend, "GET", "authorization,x-evil", 204, ""},
		{"a method that nobody has", "/auth/me", friend, "CONNECT", "", 204, ""},
		{"a stranger", "/auth/me", stranger, "GET", "authorization", 204, ""},
		{"null", "/auth/me", "null", "GET", "authorization", 204, ""},
	} {
		header := []string{"Origin: " + tt.origin, "Access-Control-Request-Method: " + tt.method}
		want := map[string]string{}
		if tt.methods != "" {
			want = map[string]string{
				"Access-Control-Allow-Origin": friend, "Access-Control-Allow-Methods": tt.methods,
				"Access-Control-Max-Age": "600",
			}
		}
		if tt.headers != "" {
			header = append(header, "Access-Control-Request-Headers: "+tt.headers)
			if tt.methods != "" {
				want["Access-Control-Allow-Headers"] = tt.headers
			}
		}
		a := s.do("OPTIONS", tt.path, "", header...)
		if diff := cmp.Diff(want, a.crossHeaders()); diff != "" || a.status != tt.status {
			t.Errorf("%s: %d\n%s", tt.name, a.status, diff)
		}
		if !strings.HasPrefix(a.header.Get("Vary"), "Origin") || a.header.Get("Allow") == "" {
			t.Errorf("%s: %v", tt.name, a.header)
		}
	}
	nowhere := s.do("OPTIONS", "/nowhere", "", "Origin: "+friend, "Access-Control-Request-Method: GET")
	if nowhere.status != 404 { // a browser takes only 200 to 299 for a permission
		t.Errorf("a path without a resource: %d", nowhere.status)
	}
}

// TestNoOriginsByDefault: nothing but the answers of before.
func TestNoOriginsByDefault(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, method := range []string{"GET", "OPTIONS"} {
		a := s.do(method, "/mountain/everest", "", "Origin: "+friend, "Access-Control-Request-Method: GET")
		if len(a.crossHeaders()) > 0 || a.header.Get("Vary") != "" {
			t.Errorf("%s: %v", method, a.header)
		}
	}
}
