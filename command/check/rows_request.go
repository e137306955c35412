package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// refreshWith is a row that sends a wrong body. It goes to POST /auth/refresh, because it must never count as
// a failed login.
func refreshWith(
	body string, status int, code string, lines ...string,
) func(ctx context.Context, p *probe) (string, error) {
	return func(ctx context.Context, p *probe) (string, error) {
		return p.post(ctx, "/auth/refresh", body, lines...).want(status, code)
	}
}

func requestRows() []row { //nolint:funlen // a table
	const (
		vague = "Clients do not learn what is wrong with their request, or a wrong request is carried out."
		pass  = "Send bodies and answers through as they are. nginx: no proxy_intercept_errors."
	)
	tooLarge := `{"refresh_token":"` + strings.Repeat("a", 70_000) + `"}`
	return []row{
		{
			name:   "body-too-large",
			checks: "a body of 70 kB gets 413 `content_too_large`",
			means: "Strangers can make the service read as much as they like, or clients do not learn " +
				"the limit.",
			mend: "Let the proxy's own limit be larger than 64 KiB, so that the service answers.",
			look: refreshWith(tooLarge, 413, "content_too_large"),
		},
		{
			name:   "body-not-json",
			checks: "a body that does not claim to be JSON gets 415",
			means:  vague,
			mend:   pass,
			look:   refreshWith(`{}`, 415, "unsupported_media_type", "Content-Type: text/plain"),
		},
		{
			name:   "body-broken",
			checks: "broken JSON gets 400 `invalid_request`",
			means:  vague,
			mend:   pass,
			look:   refreshWith(`{"refresh_token":`, 400, "invalid_request"),
		},
		{
			name:   "body-unknown-member",
			checks: "an unknown member gets 400, and the answer points at it",
			means:  vague,
			mend:   pass,
			look: func(ctx context.Context, p *probe) (string, error) {
				a := p.post(ctx, "/auth/refresh", `{"refresh_token":"garbage","summit":true}`)
				if _, err := a.want(400, "invalid_request"); err != nil {
					return "", err
				}
				if wrong := a.problem().Errors; len(wrong) != 1 || wrong[0].Pointer != "#/summit" {
					return "", errors.New("`errors` does not point at #/summit")
				}
				return a.text(), nil
			},
		},
		{
			name:   "body-repeated-member",
			checks: "a repeated member gets 400",
			means:  "Two programs on the way may each believe another value.",
			mend:   pass,
			look:   refreshWith(`{"refresh_token":"a","refresh_token":"b"}`, 400, "invalid_request"),
		},
		{
			name:   "not-found",
			checks: "an unknown path gets 404 `not_found`",
			means:  vague,
			mend:   pass,
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.get(ctx, "/nowhere-"+p.id).want(404, "not_found")
			},
		},
		{
			name:   "method-not-allowed",
			checks: "another method gets 405, and Allow has the right ones",
			means:  "Clients do not learn which methods there are.",
			mend:   "Let the proxy pass the header Allow.",
			look: func(ctx context.Context, p *probe) (string, error) {
				a := p.post(ctx, "/auth/me", "")
				if _, err := a.want(405, "method_not_allowed"); err != nil {
					return "", err
				}
				return allows(a, "GET", "HEAD", "OPTIONS")
			},
		},
		{
			name:   "trailing-slash",
			checks: "a slash too many gets 404, and no redirect",
			means: "A client sends its token or its password twice, the second time to wherever it " +
				"was sent.",
			mend: "Do not let the proxy redirect or rewrite paths.",
			look: func(ctx context.Context, p *probe) (string, error) {
				return all(404, "not_found", p.get(ctx, "/auth/me/"), p.post(ctx, "/auth/", "{}"))
			},
		},
		{
			name:   "head",
			checks: "HEAD answers as GET does, without a body",
			means:  "Monitors and clients that ask with HEAD fail.",
			mend:   "Let the proxy pass HEAD.",
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				a := p.do(ctx, http.MethodHead, "/auth/me", "", bearer(access))
				if len(a.body) > 0 {
					return "", errors.New("the answer has a body")
				}
				return a.want(200, "")
			}),
		},
		{
			name:   "options",
			checks: "OPTIONS needs no token: 204 with Allow",
			means:  "Browsers cannot ask before they send a request from another site.",
			mend:   "Let the proxy pass OPTIONS and the header Allow.",
			look: func(ctx context.Context, p *probe) (string, error) {
				a := p.do(ctx, http.MethodOptions, "/auth/me", "")
				if _, err := a.want(204, ""); err != nil {
					return "", err
				}
				return allows(a, "GET", "HEAD", "OPTIONS")
			},
		},
		{
			name:   "problem-page",
			checks: "the `type` of a problem leads to its explanation",
			means:  "Clients and people cannot look up an error.",
			mend:   "Let the proxy pass /problems/.",
			look: func(ctx context.Context, p *probe) (string, error) {
				of := p.me(ctx).problem().Type
				if !strings.HasPrefix(of, "/problems/") {
					return "", fmt.Errorf("the type is %q", of)
				}
				return p.get(ctx, of).want(200, "")
			},
		},
	}
}

// allows is ok when Allow has all these methods.
func allows(a answer, methods ...string) (string, error) {
	allow := a.header.Get("Allow")
	listed := strings.Split(strings.ReplaceAll(allow, " ", ""), ",")
	for _, method := range methods {
		if !slices.Contains(listed, method) {
			return "", fmt.Errorf("%s got %d, and Allow is %q without %s", a.name(), a.status, allow, method)
		}
	}
	return fmt.Sprintf("%d, Allow: %s", a.status, allow), nil
}

// mountain is a row about the name in the path of GET /mountain/<name>, which a fork may have removed.
func mountain(escaped string) func(ctx context.Context, p *probe) (string, error) {
	return withToken(func(ctx context.Context, p *probe, access string) (string, error) {
		if a := p.get(ctx, "/mountain/check", bearer(access)); a.status == http.StatusNotFound {
			return "", skipped("this service has no /mountain/<name>")
		}
		a := p.get(ctx, "/mountain/"+escaped, bearer(access))
		if _, err := a.want(http.StatusOK, ""); err != nil {
			return "", err
		}
		var got struct {
			Mountain string `json:"mountain"`
		}
		if err := a.read(&got); err != nil {
			return "", err
		}
		want, err := url.PathUnescape(escaped)
		return each(fmt.Sprintf("%q", got.Mountain), err, same("the name", got.Mountain, want))
	})
}

func pathRows() []row { //nolint:funlen // a table
	const (
		names = "What has such a name cannot be reached, or something else answers in its place."
		raw   = "Send paths through as they came. nginx: proxy_pass without a path; Apache: nocanon and " +
			"AllowEncodedSlashes NoDecode."
		two = "A rule of the proxy about a path and the service see different paths: the rule can be " +
			"passed by."
	)
	return []row{
		{
			name:   "path-encoded",
			checks: "an encoded letter means the letter: /problems/token%5Fmissing",
			means:  names,
			mend:   raw,
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.get(ctx, "/problems/token%5Fmissing").want(200, "")
			},
		},
		{
			name:   "path-blank",
			checks: "%20 in a path means a blank",
			means:  names,
			mend:   raw,
			look:   mountain("K2%20peak"),
		},
		{
			name:   "path-utf8",
			checks: "letters beyond ASCII in a path arrive",
			means:  names,
			mend:   raw,
			look:   mountain("%C3%89verest"),
		},
		{
			name:   "path-plus",
			checks: "+ in a path stays +",
			means:  names,
			mend:   raw,
			look:   mountain("a+b"),
		},
		{
			name:   "path-percent",
			checks: "%25 in a path is decoded once: %252F means %2F",
			means:  names,
			mend:   raw,
			look:   mountain("a%252Fb"),
		},
		{
			name:   "path-slash",
			checks: "an encoded slash is no part of a name: 404 `not_found`",
			means:  two,
			mend:   raw,
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				return p.get(ctx, "/mountain/a%2Fb", bearer(access)).want(404, "not_found")
			}),
		},
		{
			name:   "path-double-slash",
			checks: "two slashes are not one: 404 `not_found`",
			means:  two,
			mend:   raw,
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.get(ctx, "/problems//token_missing").want(404, "not_found")
			},
		},
		{
			name:   "path-dots",
			checks: "/nowhere/../healthz is not /healthz: 404 `not_found`",
			means:  two,
			mend:   raw,
			look: func(ctx context.Context, p *probe) (string, error) {
				return all(404, "not_found",
					p.get(ctx, "/nowhere/../healthz"), p.get(ctx, "/nowhere/%2e%2e/healthz"))
			},
		},
	}
}
