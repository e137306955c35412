package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Addresses for documentation (RFC 5737): nobody has them.
const (
	forgedForwardedFor = "203.0.113.77"
	forgedOthers       = "203.0.113.78"
)

func proxyRows() []row { //nolint:funlen // a table
	const forges = "Anybody can choose the address that counts: failed logins are never slowed down by " +
		"address, and the list of sessions tells lies."
	return []row{
		{
			name:   "forwarded-for",
			checks: "nobody can choose an address with X-Forwarded-For",
			means:  forges,
			mend: "Let the outermost proxy replace the header by the client's address (nginx: " +
				"proxy_set_header " +
				"X-Forwarded-For $remote_addr), and name only proxies in SHERPA_TRUSTED_PROXIES, not " +
				"the network of " +
				"clients.",
			look: forwarded(forgedForwardedFor, "X-Forwarded-For: "+forgedForwardedFor),
		},
		{
			name:   "forwarded-others",
			checks: "nobody can choose an address with Forwarded or X-Real-IP",
			means:  forges,
			mend:   "Do not make X-Forwarded-For of a header that the client sent.",
			look: forwarded(forgedOthers, "Forwarded: for="+forgedOthers, "X-Real-IP: "+forgedOthers,
				"True-Client-IP: "+forgedOthers, "CF-Connecting-IP: "+forgedOthers),
		},
		{
			name:   "request-id",
			checks: "the X-Request-Id of a request stands in its answer",
			means:  "An error cannot be found in the logs of client, proxy and service by one name.",
			mend:   "Pass X-Request-Id both ways; make one only when there is none.",
			look: func(ctx context.Context, p *probe) (string, error) {
				want := "check-" + p.id
				a := p.get(ctx, "/healthz", "X-Request-Id: "+want)
				if got := a.header.Get("X-Request-Id"); got != want {
					return "", fmt.Errorf("%s got X-Request-Id %s, want %s", a.name(), orNone(got), want)
				}
				return a.want(200, "")
			},
		},
		{
			name:   "cors",
			checks: "a page of any other site cannot read answers",
			means:  "Programs in any page can read what the service answers to the browser of a user.",
			mend: "Let the proxy add no Access-Control-Allow-Origin. Allow exact origins only, in " +
				"the service.",
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				a := p.me(ctx, bearer(access), "Origin: https://stranger.invalid")
				if allowed := a.header.Get("Access-Control-Allow-Origin"); allowed != "" {
					return "", fmt.Errorf("Access-Control-Allow-Origin: %s", allowed)
				}
				return a.want(200, "")
			}),
		},
	}
}

// forwarded is a row that logs in with headers that name an address, and looks whether it is believed.
func forwarded(address string, lines ...string) func(ctx context.Context, p *probe) (string, error) {
	return func(ctx context.Context, p *probe) (string, error) {
		s, err := p.open(ctx, lines...)
		if err != nil {
			return "", err
		}
		own, err := p.list(ctx)
		if err != nil {
			return "", err
		}
		view, listed := own[s.id]
		if !listed {
			return "", errors.New("the session is not in the list")
		}
		if view.Address == address {
			return "", fmt.Errorf("the session has the forged address %s", address)
		}
		return "the session has the address " + view.Address, nil
	}
}

func cacheRows() []row {
	const off = "Switch caching off for the service, or let the cache obey Cache-Control: no-store. " +
		"nginx: no " +
		"proxy_ignore_headers."
	return []row{
		{
			name:   "cache-repeat",
			checks: "the same request twice is answered twice",
			means:  "A cache answers in place of the service: users see what is old, or what is another's.",
			mend:   off,
			look:   withToken(lookRepeat),
		},
		{
			name:   "cache-stranger",
			checks: "after an answer to a user, the same URL without a token gets 401",
			means:  "Strangers get from a cache what a user was answered.",
			mend:   off,
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				path := "/auth/me?cached=stranger-" + p.id
				if _, err := p.get(ctx, path, bearer(access)).want(200, ""); err != nil {
					return "", err
				}
				return p.get(ctx, path).want(401, "token_missing")
			}),
		},
		{
			name:   "cache-logout",
			checks: "after a logout, a URL that was asked before gets 401",
			means:  "A cache answers to a session that has ended.",
			mend:   off,
			look: withSession(func(ctx context.Context, p *probe, s *session) (string, error) {
				path := "/auth/me?cached=logout-" + p.id
				if _, err := p.get(ctx, path, bearer(s.access)).want(200, ""); err != nil {
					return "", err
				}
				if err := p.logOut(ctx, s); err != nil {
					return "", err
				}
				if _, err := p.gone(ctx, s.access, "logout"); err != nil {
					return "", err
				}
				return p.get(ctx, path, bearer(s.access)).want(401, "session_ended")
			}),
		},
	}
}

func lookRepeat(ctx context.Context, p *probe, access string) (string, error) {
	var ids []string
	for range 3 {
		a := p.get(ctx, "/auth/me?cached=repeat-"+p.id, bearer(access))
		if _, err := a.want(200, ""); err != nil {
			return "", err
		}
		if age := a.header.Get("Age"); age != "" {
			return "", fmt.Errorf("the answer has Age: %s", age)
		}
		if id := a.header.Get("X-Request-Id"); !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return each("three different X-Request-Id",
		unless(len(ids) == 3, fmt.Sprintf("three answers have %d different X-Request-Id", len(ids))))
}

func answerRows() []row { //nolint:funlen // a table
	return []row{
		{
			name:   "no-store",
			checks: "every answer that has to do with a token has Cache-Control: no-store",
			means: "Browsers and proxies may keep tokens and what is a user's own (RFC 6749, section " +
				"5.1).",
			mend: "Let the proxy pass Cache-Control, and set it on answers of its own.",
			look: everyAnswer(func(a answer) error {
				if value := a.header.Get("Cache-Control"); a.secret && !strings.Contains(value, "no-store") {
					return fmt.Errorf("Cache-Control: %s", orNone(value))
				}
				return nil
			}),
		},
		{
			name:   "nosniff",
			checks: "every answer has X-Content-Type-Options: nosniff",
			means:  "A browser may take an answer for a page or a script.",
			mend:   "Let the proxy pass the header, and set it on answers of its own.",
			look: everyAnswer(func(a answer) error {
				return same("X-Content-Type-Options", a.header.Get("X-Content-Type-Options"), "nosniff")
			}),
		},
		{
			name:   "request-id-everywhere",
			checks: "every answer has an X-Request-Id",
			means:  "An error cannot be found in the log.",
			mend:   "Let the proxy pass the header, and set it on answers of its own.",
			look: everyAnswer(func(a answer) error {
				return unless(a.header.Get("X-Request-Id") != "", "no X-Request-Id")
			}),
		},
		{
			name:   "no-redirects",
			checks: "no answer is a redirect",
			means: "Clients send tokens and passwords to wherever they are sent, and a POST becomes a " +
				"GET.",
			mend: "Do not let the proxy redirect.",
			look: everyAnswer(func(a answer) error {
				if a.status/100 == 3 {
					return fmt.Errorf("%d to %q", a.status, a.header.Get("Location"))
				}
				return nil
			}),
		},
		{
			name:   "problems",
			checks: "every error is a problem document (RFC 9457) with its own status and code",
			means:  "Clients that switch on `code` meet a page that they cannot read.",
			mend: "Let the proxy send the errors of the service through (nginx: no " +
				"proxy_intercept_errors), and make " +
				"its own problem documents: deploy/haproxy.cfg and deploy/nginx.conf do.",
			look: everyError(func(a answer, got problem) error {
				mediaType, _, _ := strings.Cut(a.header.Get("Content-Type"), ";")
				return errors.Join(
					same("Content-Type", mediaType, "application/problem+json"),
					same("`status`", got.Status, a.status),
					same("`type`", got.Type, "/problems/"+got.Code),
					unless(got.Code != "" && got.Title != "", "no code or no title"))
			}),
		},
		{
			name:   "problem-ids",
			checks: "the `request_id` of every problem is its X-Request-Id",
			means:  "The name that a client reports is not the one in the log.",
			mend:   "Let the proxy pass X-Request-Id, and not write another one into answers.",
			look: everyError(func(a answer, got problem) error {
				id, named := got.RequestID, a.header.Get("X-Request-Id")
				return unless(id != "" && id == named,
					fmt.Sprintf("`request_id` is %s, X-Request-Id is %s", orNone(id), orNone(named)))
			}),
		},
	}
}

// everyAnswer is a row about all answers until now. Requests that got none show in other rows.
func everyAnswer(look func(a answer) error) func(context.Context, *probe) (string, error) {
	return func(_ context.Context, p *probe) (string, error) {
		seen := 0
		for _, a := range p.answers {
			if a.err != nil || a.probed || p.ofAPI(a) {
				continue
			}
			seen++
			if err := look(a); err != nil {
				return each("", fmt.Errorf("%s got %d: %w", a.name(), a.status, err))
			}
		}
		return fmt.Sprintf("%d answers", seen), nil
	}
}

func everyError(look func(a answer, got problem) error) func(context.Context, *probe) (string, error) {
	return everyAnswer(func(a answer) error {
		if a.status < http.StatusBadRequest || a.method == http.MethodHead {
			return nil
		}
		return look(a, a.problem())
	})
}
