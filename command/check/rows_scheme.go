package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// accepted is a row whose Authorization header must be accepted. %s in it stands for the token.
func accepted(header string) func(ctx context.Context, p *probe) (string, error) {
	return withToken(func(ctx context.Context, p *probe, access string) (string, error) {
		return p.me(ctx, "Authorization: "+strings.ReplaceAll(header, "%s", access)).want(200, "")
	})
}

// refused is a row whose Authorization headers must each be refused with 401 and the code.
func refused(code string, headers ...string) func(ctx context.Context, p *probe) (string, error) {
	return refusedAs(code, func(ctx context.Context, p *probe, access string) (answers []answer, err error) {
		for _, header := range headers {
			answers = append(answers, p.me(ctx, "Authorization: "+strings.ReplaceAll(header, "%s", access)))
		}
		return answers, nil
	})
}

func schemeRows() []row { //nolint:funlen // a table
	const (
		lost   = "The proxy drops or rewrites the header Authorization, so that no client can use the API."
		passIt = "Send the header Authorization through as it is."
		open   = "Requests without a valid token reach what is protected, or clients cannot tell why not."
		guard  = "Let the service see every request. No proxy may answer, add or rewrite Authorization."
	)
	return []row{
		{
			name:   "scheme-bearer",
			checks: "`Authorization: Bearer <token>` is accepted",
			means:  lost,
			mend:   passIt,
			look:   accepted("Bearer %s"),
		},
		{
			name:   "scheme-jwt",
			checks: "`Authorization: JWT <token>`, that of the tutorial, is accepted",
			means:  lost,
			mend:   passIt,
			look:   accepted("JWT %s"),
		},
		{
			name:   "scheme-case",
			checks: "a scheme is accepted in any case",
			means:  "Clients that write `bearer` are refused (RFC 9110, section 11.1).",
			mend:   passIt,
			look:   accepted("bEaReR %s"),
		},
		{
			name:   "no-token",
			checks: "a request without a token gets 401 `token_missing`",
			means:  open,
			mend:   guard,
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.me(ctx).want(401, "token_missing")
			},
		},
		{
			name:   "administration-closed",
			checks: "administration needs a token, and the role `admin`: 403 `forbidden` names it (`scope`)",
			means:  "Whoever can reach the service can read and change its users.",
			mend:   guard,
			look:   administrationClosed,
		},
		{
			name:   "scheme-unknown",
			checks: "other schemes get 401 `token_missing`",
			means:  open,
			mend:   guard,
			look:   refused("token_missing", "Token %s", "Basic bm9ib2R5Ong="),
		},
		{
			name:   "scheme-alone",
			checks: "a scheme without a token gets 401 `token_missing`",
			means:  open,
			mend:   guard,
			look:   refused("token_missing", "Bearer", "JWT"),
		},
		{
			name:   "token-alone",
			checks: "a token without a scheme gets 401 `token_missing`",
			means:  open,
			mend:   guard,
			look:   refused("token_missing", "%s"),
		},
		{
			name:   "token-quoted",
			checks: "a token in quotes gets 401 `token_invalid`",
			means:  open,
			mend:   guard,
			look:   refused("token_invalid", `Bearer "%s"`),
		},
		{
			name:   "two-in-one-line",
			checks: "two tokens in one header get 401 `token_invalid`",
			means:  "Two programs on the way may each believe another token.",
			mend:   guard,
			look:   refused("token_invalid", "Bearer %s, JWT %s", "Bearer %s Bearer %s"),
		},
		{
			name:   "two-headers",
			checks: "two Authorization headers get 400, from the service or from the proxy",
			means:  "Two programs on the way may each believe another header.",
			mend:   "Do not merge or drop headers that come twice. nginx and HAProxy do not.",
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				return p.me(ctx, bearer(access), bearer(access)).want(400, "")
			}),
		},
		{
			name:   "token-in-query",
			checks: "a token in the query is not looked at",
			means:  "Tokens stand in logs, histories and Referer headers, and work for whoever reads them.",
			mend:   guard,
			// The token ends with the check: whoever finds it in a log has nothing.
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				return p.get(ctx, "/auth/me?access_token="+access+"&token="+access+"&jwt="+access).
					want(401, "token_missing")
			}),
		},
		{
			name:   "token-in-cookie",
			checks: "a token in a cookie is not looked at",
			means:  "Other sites can send requests in the name of a user (CSRF).",
			mend:   guard,
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				return p.me(ctx, "Cookie: jwt="+access+"; access_token="+access+"; token="+access).
					want(401, "token_missing")
			}),
		},
		{
			name:   "challenge-lines",
			checks: "a 401 has two lines WWW-Authenticate: Bearer, then JWT (RFC 9110, section 11.6.1)",
			means:  "Clients do not learn how to authenticate, or read two challenges as one.",
			mend: "Send every line WWW-Authenticate through. nginx: no proxy_hide_header; other " +
				"proxies: no rule " +
				"that sets or merges it.",
			look: func(ctx context.Context, p *probe) (string, error) {
				return challenges(p.me(ctx), "Bearer ", "JWT ")
			},
		},
		{
			name:   "challenge-without-error",
			checks: "the challenge has no error when no token came (RFC 6750, section 3.1)",
			means:  "Clients believe that a token was refused, and log their user out.",
			mend:   "Let no proxy answer 401 itself.",
			look: func(ctx context.Context, p *probe) (string, error) {
				a := p.me(ctx)
				lines := strings.Join(a.header.Values("WWW-Authenticate"), " | ")
				if strings.Contains(lines, "error=") {
					return "", errors.New("WWW-Authenticate: " + lines)
				}
				return a.want(401, "")
			},
		},
		{
			name:   "challenge-invalid-token",
			checks: "the challenge has error=\"invalid_token\" when a token was refused",
			means:  "Clients do not learn that they need another token.",
			mend:   "Send every line WWW-Authenticate through.",
			look: func(ctx context.Context, p *probe) (string, error) {
				a := p.me(ctx, bearer("garbage"))
				for _, line := range a.header.Values("WWW-Authenticate") {
					if strings.HasPrefix(line, "Bearer ") && strings.Contains(line, `error="invalid_token"`) {
						return line, nil
					}
				}
				return "", fmt.Errorf("WWW-Authenticate: %s",
					orNone(strings.Join(a.header.Values("WWW-Authenticate"), " | ")))
			},
		},
	}
}

func administrationClosed(ctx context.Context, p *probe) (string, error) {
	const path = "/auth/users?limit=1" // an administrator gets 400 for a parameter that is not known
	if _, err := p.get(ctx, path).want(401, "token_missing"); err != nil {
		return "", err
	}
	access, err := p.token(ctx)
	if err != nil {
		return "", err
	}
	a := p.get(ctx, path, bearer(access))
	if a.status == http.StatusOK {
		return "the user of the check is an administrator", nil
	}
	challenge := strings.Join(a.header.Values("WWW-Authenticate"), " | ")
	if !strings.Contains(challenge, `error="insufficient_scope", scope="admin"`) {
		return "", fmt.Errorf("%d, WWW-Authenticate: %s", a.status, orNone(challenge))
	}
	return a.want(403, "forbidden")
}

// challenges is ok when the lines begin so, in this order.
func challenges(a answer, want ...string) (string, error) {
	lines := a.header.Values("WWW-Authenticate")
	begins := func(line, start string) bool { return strings.HasPrefix(line, start) }
	if !slices.EqualFunc(lines, want, begins) {
		return "", errors.New("WWW-Authenticate: " + orNone(strings.Join(lines, " | ")))
	}
	return fmt.Sprintf("%d lines", len(lines)), nil
}
