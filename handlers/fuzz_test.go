package handlers_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"sherpa/handlers"
)

// serveDirectly sends a request to the router without a connection, which would slow a fuzzer down.
func (s *server) serveDirectly(t *testing.T, request *http.Request) answer {
	t.Helper()
	recorder := httptest.NewRecorder()
	s.router.ServeHTTP(recorder, request.WithContext(t.Context()))
	a := answer{recorder.Code, recorder.Header(), recorder.Body.String()}
	s.holdToPromise(t, request, a)
	return a
}

func fuzzServer(f *testing.F) *server {
	f.Helper()
	return newServer(f, func(c *handlers.Config) { c.AccessLog = nil })
}

func FuzzLoginBody(f *testing.F) {
	for _, seed := range []string{
		"", "{", "null", "[]", `{"username":"sherpa","password":"everest"}`,
		`{"username":"sherpa","password":"everest"} `,
		`{"username":"sherpa","password":"everest"}x`,
		`{"username":"a","username":"sherpa","password":"everest"}`,
		`{"username":"sherpa","password":null}`, `{"USERNAME":"sherpa","password":"everest"}`,
		"\xef\xbb\xbf{}", `{"a":{"b":[1,2,3]}}`,
	} {
		f.Add(seed)
	}
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, body string) {
		request := httptest.NewRequest(http.MethodPost, "/auth", strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		a := s.serveDirectly(t, request)
		switch a.status {
		case 200:
			var sent map[string]string
			if err := json.Unmarshal(
				[]byte(body), &sent,
			); err != nil || sent["password"] != password ||
				len(sent) != 2 {
				t.Errorf("%q logged in", body)
			}
		case 400, 401, 413, 429: // the fuzzer is one address that logs in very often
			a.problem(t)
		default:
			t.Errorf("%q: %d %s", body, a.status, a.body)
		}
	})
}

func FuzzMountainName(f *testing.F) {
	for _, seed := range []string{"everest", "K2 peak", "Éverest", "a+b", "a/b", "", "\x00", "<b>", "%", "..",
		"\xff", "a;b", "?", "#", strings.Repeat("k", 4096)} {
		f.Add(seed)
	}
	s := fuzzServer(f)
	token := s.login(username, password)
	f.Fuzz(func(t *testing.T, name string) {
		request := httptest.NewRequest(http.MethodGet, "/", nil)
		request.URL = &url.URL{Path: "/mountain/" + name}
		request.Header.Set("Authorization", "Bearer "+token)
		a := s.serveDirectly(t, request)
		if a.status != 200 {
			a.problem(t)
			if name != "" && !strings.Contains(name, "/") && utf8.ValidString(name) {
				t.Errorf("%q: %d %s", name, a.status, a.body)
			}
			return
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || got["mountain"] != name {
			t.Errorf("%q came back as %s", name, a.body)
		}
	})
}

func FuzzBearerToken(f *testing.F) {
	s := fuzzServer(f)
	good := s.login(username, password)
	for _, seed := range []string{"", good, "Bearer " + good, "JWT " + good, "bearer  " + good,
		"Bearer " + good + "=", "Bearer " + good[:len(good)-1], "Basic x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		request := httptest.NewRequest(http.MethodGet, "/mountain/x", nil)
		request.Header["Authorization"] = []string{value}
		a := s.serveDirectly(t, request)
		if a.status == 200 {
			scheme, token, _ := strings.Cut(strings.Trim(value, " \t"), " ")
			if strings.Trim(token, " \t") != good ||
				!strings.EqualFold(scheme, "bearer") && !strings.EqualFold(scheme, "jwt") {
				t.Errorf("%q passed", value)
			}
			return
		}
		if a.problem(t); a.status != 401 {
			t.Errorf("%q: %d %s", value, a.status, a.body)
		}
	})
}
