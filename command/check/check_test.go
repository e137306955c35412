package check_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sherpa/command/check"
	"sherpa/security/token"
)

// record keeps every request that reaches the service, with its body.
type record struct {
	mu       sync.Mutex
	requests []string // METHOD URL body
	tokens   []string
}

func (r *record) proxy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		text := readBody(request)
		a := httptest.NewRecorder()
		line := request.Method + " " + request.URL.String() + " " + text
		next.ServeHTTP(a, request)
		r.mu.Lock()
		r.requests = append(r.requests, line)
		r.tokens = append(r.tokens, tokenMember.FindAllString(a.Body.String(), -1)...)
		r.mu.Unlock()
		write(w, a)
	})
}

var tokenMember = regexp.MustCompile(`[A-Za-z0-9_.-]{40,}`)

// TestHealthy: every row holds for the shipped service, with --wait as well, and no session is left.
func TestHealthy(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{
		"HS256":                 signingKey,
		"HS256, ES256 is known": signingKey + "\n" + newKey(t, token.ES256),
		"ES256":                 newKey(t, token.ES256),
		"ES256, three known":    newKey(t, token.ES256) + "\n" + newKey(t, token.EdDSA) + "\n" + signingKey,
		"EdDSA":                 newKey(t, token.EdDSA) + "\n" + newKey(t, token.EdDSA),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantHealthy(t, newServiceWith(t, keys))
		})
	}
}

// TestHealthyForARole: for a verifier, the row of the feed sees the news. An administrator, who may read the
// list of users, proves nothing against the service.
func TestHealthyForARole(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]struct{ row, seen string }{
		"verifier": {"feed", "told of the logout"},
		"admin":    {"administration-closed", "the user of the check is an administrator"},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.grant(role)
			report, red := run(t, s.options(s.api))
			at := slices.IndexFunc(report.Rows, func(r check.Result) bool { return r.Name == want.row })
			if len(red) > 0 || report.Rows[at].Seen != want.seen {
				t.Errorf("red: %v; %+v", red, report.Rows[at])
			}
		})
	}
}

func wantHealthy(t *testing.T, s *service) {
	t.Helper()
	var seen record
	options := s.options(seen.proxy(s.api))
	options.Wait = true
	report, red := run(t, options)
	if len(red) > 0 {
		t.Errorf("red: %v", red)
	}
	wantExplained(t, report)
	var skipped, names []string
	for _, r := range report.Rows {
		names = append(names, r.Name)
		if r.Outcome == check.Skipped {
			skipped = append(skipped, r.Name)
		}
	}
	if diff := cmp.Diff([]string{"tls-certificate", "http-closed"}, skipped); diff != "" {
		t.Errorf("skipped (want -, got +):\n%s", diff)
	}
	slices.Sort(names)
	if twice := len(names) - len(slices.Compact(names)); twice != 0 {
		t.Errorf("%d names stand for two rows", twice)
	}
	sum := report.Summary
	if sum.OK+sum.Skipped != len(report.Rows) || sum.Requests != len(seen.requests) || !sum.Finished {
		t.Errorf("summary %+v of %d rows and %d requests", sum, len(report.Rows), len(seen.requests))
	}
	if s.live() != 0 || sum.Alive != 0 || sum.Started == 0 {
		t.Errorf("%d sessions live, summary %+v", s.live(), sum)
	}
	seen.wantHarmless(t)
	seen.wantNoSecretIn(t, report)
}

// wantHarmless: no wrong password for the user, none of the user's other sessions, no other password.
func (r *record) wantHarmless(t *testing.T) {
	t.Helper()
	right := `{"password":"` + secret + `","username":"` + username + `"}`
	for _, line := range r.requests {
		if strings.Contains(line, "scope") || strings.Contains(line, "/auth/password ") {
			t.Errorf("sent %s", line)
		}
		login := strings.HasPrefix(line, "POST /auth ") && strings.Contains(line, `"`+username+`"`)
		if login && !isJSON(line, right) {
			t.Errorf("sent %s", line)
		}
		current := strings.Contains(line, `"current_password"`)
		if current && !strings.Contains(line, `"current_password":"`+secret+`"`) {
			t.Errorf("sent %s", line)
		}
	}
}

// isJSON compares the body of a line with JSON, whose members have no order.
func isJSON(line, want string) bool {
	var a, b map[string]string
	_, text, _ := strings.Cut(line, "{")
	read := json.Unmarshal([]byte("{"+text), &a) == nil && json.Unmarshal([]byte(want), &b) == nil
	return read && cmp.Equal(a, b)
}

func (r *record) wantNoSecretIn(t *testing.T, report check.Report) {
	t.Helper()
	text, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.tokens) == 0 {
		t.Error("no tokens were seen")
	}
	for _, secret := range append(r.tokens, secret) {
		if strings.Contains(string(text), secret) {
			t.Errorf("the report has the secret %s", secret)
		}
	}
}

// TestOtherSessionsLive: the check leaves the other sessions of its user alone.
func TestOtherSessionsLive(t *testing.T) {
	t.Parallel()
	s := newService(t)
	a := httptest.NewRecorder()
	login := strings.NewReader(`{"username":"` + username + `","password":"` + secret + `"}`)
	request := httptest.NewRequest("POST", "/auth", login)
	request.Header.Set("Content-Type", "application/json")
	s.api.ServeHTTP(a, request)
	run(t, s.options(s.api))
	if got := s.live(); a.Code != 200 || got != 1 {
		t.Errorf("status %d, %d sessions live, want the one of the user", a.Code, got)
	}
}

// TestInterrupt: after Ctrl-C, or when the time is over, the remaining rows are skipped and all sessions end.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, after := range []int32{20, 80, 140} {
		s := newService(t)
		ctx, interrupt := context.WithCancel(t.Context())
		var count atomic.Int32
		options := s.options(onRequest(func(*http.Request) {
			if count.Add(1) == after {
				interrupt()
			}
		})(s.api))
		report, err := check.Run(ctx, options)
		sum := report.Summary
		if err != nil || sum.Finished || sum.Failed > 0 || sum.Skipped < 5 || sum.Alive > 0 {
			t.Errorf("after %d requests: %v, %+v", after, err, sum)
		}
		if live := s.live(); live != 0 {
			t.Errorf("after %d requests: %d sessions live", after, live)
		}
	}
}

// TestInterruptedLogin: the first login starts a session, and its answer does not come before Ctrl-C.
func TestInterruptedLogin(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ctx, interrupt := context.WithCancel(t.Context())
	var count atomic.Int32
	front := func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) > 1 {
			s.api.ServeHTTP(w, r)
			return
		}
		s.api.ServeHTTP(httptest.NewRecorder(), r)
		if s.live() != 1 {
			t.Error("the login started no session")
		}
		interrupt()
		<-r.Context().Done()
	}
	_, err := check.Run(ctx, s.options(http.HandlerFunc(front)))
	if !errors.Is(err, check.ErrCannotRun) || s.live() != 0 {
		t.Errorf("%v, %d sessions live", err, s.live())
	}
}

// TestForkWithoutMountains: the rows that need the example are skipped.
func TestForkWithoutMountains(t *testing.T) {
	t.Parallel()
	s := newService(t)
	report, red := run(t, s.options(refuses(404, "not_found", func(r *http.Request) bool {
		return strings.HasPrefix(r.URL.Path, "/mountain/")
	})(s.api)))
	skipped := map[string]bool{}
	for _, r := range report.Rows {
		skipped[r.Name] = r.Outcome == check.Skipped
	}
	if len(red) > 0 || !skipped["path-plus"] || skipped["path-encoded"] {
		t.Errorf("red: %v, skipped: %v", red, skipped)
	}
}

func wantCannotRun(t *testing.T, options check.Options, why string) {
	t.Helper()
	_, err := check.Run(t.Context(), options)
	if !errors.Is(err, check.ErrCannotRun) || !strings.Contains(err.Error(), why) {
		t.Errorf("the error is %v, want one with %q", err, why)
	}
}

// TestCannotRun: what must not be sent is not sent, and what cannot be checked is not reported as failed.
func TestCannotRun(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(o *check.Options)
		fault  middleware
		why    string
		sent   int
	}{
		{name: "the demo user", why: "everybody knows", change: func(o *check.Options) {
			o.Username, o.Password = "sherpa", "everest"
		}},
		{name: "the demo user in capitals", why: "everybody knows", change: func(o *check.Options) {
			o.Username, o.Password = " SHERPA", "everest"
		}},
		{name: "no password", why: "must not be empty", change: func(o *check.Options) { o.Password = "" }},
		{name: "a network without TLS", why: "in clear", change: func(o *check.Options) {
			o.URL = &url.URL{Scheme: "http", Host: "192.0.2.1"}
		}},
		{name: "a name without TLS", why: "in clear", change: func(o *check.Options) {
			o.URL = &url.URL{Scheme: "http", Host: "127.0.0.1.sherpa.test"}
		}},
		{name: "no host", why: "is not a URL", change: func(o *check.Options) {
			o.URL = &url.URL{Path: "sherpa"}
		}},
		{name: "a path", why: "without a path", change: func(o *check.Options) { o.URL.Path = "/api" }},
		{name: "a wrong password", why: "401 invalid_credentials", sent: 1, change: func(o *check.Options) {
			o.Password = "a slip"
		}},
		{
			name: "throttled", why: "wait 60 s", sent: 1,
			fault: onAnswer(func(_ *http.Request, a *httptest.ResponseRecorder) {
				a.Header().Set("Retry-After", "60")
				problem(a, 429, "throttled")
			}),
		},
		{
			name: "redirected", why: `"https://sherpa.test/auth"`, sent: 1,
			fault: onAnswer(func(_ *http.Request, a *httptest.ResponseRecorder) {
				a.Header().Set("Location", "https://sherpa.test/auth")
				a.Code = 308
			}),
		},
		{
			name: "another program", why: "without an access token", sent: 1,
			fault: members(anything, func(all map[string]any) { delete(all, "refresh_token") }),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			var seen record
			front := seen.proxy(s.api)
			if tt.fault != nil {
				front = tt.fault(front)
			}
			options := s.options(front)
			if tt.change != nil {
				tt.change(&options)
			}
			wantCannotRun(t, options, tt.why)
			if len(seen.requests) != tt.sent {
				t.Errorf("sent %v", seen.requests)
			}
		})
	}
}

// TestNoService: nothing answers.
func TestNoService(t *testing.T) {
	t.Parallel()
	s := newService(t)
	server := httptest.NewServer(s.api)
	options := s.optionsAt(server.URL, check.NewTransport(nil, false))
	server.Close()
	wantCannotRun(t, options, "no answer")
}

// guardsAPI is a proxy that asks for a token on all paths but those of the service, for an API behind it.
func guardsAPI(next http.Handler) http.Handler {
	own := regexp.MustCompile(`^/(auth|\.well-known|docs|problems)(/|$)|^/openapi\.`)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if own.MatchString(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		a := httptest.NewRecorder()
		if r.Header.Get("Authorization") == "" {
			problem(a, 401, "token_missing")
		}
		write(w, a)
	})
}

// TestBehindForwardAuth: what a path of the API answers says nothing about the service, and is no failure.
// The paths of the service are still looked at.
func TestBehindForwardAuth(t *testing.T) {
	t.Parallel()
	s := newService(t)
	report, red := run(t, s.options(guardsAPI(s.api)))
	var skipped []string
	for _, r := range report.Rows {
		if r.Outcome == check.Skipped && strings.Contains(r.Seen, "(forward-auth)") {
			skipped = append(skipped, r.Name)
		}
	}
	want := []string{
		"ready", "not-found", "path-blank", "path-utf8", "path-plus", "path-percent", "path-slash",
		"path-dots", "request-id",
	}
	if diff := cmp.Diff(want, skipped); diff != "" || len(red) > 0 {
		t.Errorf("red: %v; skipped (want -, got +):\n%s", red, diff)
	}
	_, red = run(t, s.options(guardsAPI(header("X-Request-Id", "")(s.api))))
	if !slices.Contains(red, "request-id-everywhere") {
		t.Errorf("without X-Request-Id, only these are red: %v", red)
	}
}
