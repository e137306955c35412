package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

const pathVerify = "/auth/verify"

// verify asks as a proxy does. Its query is the operator's: the service refuses one that it does not know, so
// nothing keeps this URL apart from others.
func (p *probe) verify(ctx context.Context, query string, lines ...string) answer {
	return p.get(ctx, pathVerify+"?"+query, lines...)
}

func verifyRows() []row { //nolint:funlen // a table
	const (
		asIs = "Send requests to /auth/verify and their answers through as they are."
		open = "A proxy that asks here lets requests pass that it must refuse."
	)
	return []row{
		{
			name:   "verify",
			checks: "GET /auth/verify names the user, the roles and the session in headers",
			means:  "An API behind a proxy that asks here takes the user for somebody else, or for nobody.",
			mend:   asIs,
			look:   withToken(lookVerify),
		},
		{
			name:   "verify-refuses",
			checks: "/auth/verify refuses a request without a token by every method, OPTIONS included",
			means:  open,
			mend:   asIs + " Let the proxy answer no OPTIONS itself.",
			look: func(ctx context.Context, p *probe) (string, error) {
				for _, method := range []string{
					http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost, http.MethodPut,
					http.MethodPatch, http.MethodDelete,
				} {
					if _, err := p.do(ctx, method, pathVerify+"?", "").want(401, ""); err != nil {
						return "", err
					}
				}
				return p.verify(ctx, "").want(401, "token_missing")
			},
		},
		{
			name:   "verify-role",
			checks: "/auth/verify refuses a user without the role in its query, and an unknown query",
			means:  open,
			mend:   "Pass the query of /auth/verify on.",
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				lacks := "check-" + strings.ToLower(p.id)
				for _, query := range []string{"role=", "role=" + lacks + "&role=", "roles=" + lacks} {
					a := p.verify(ctx, query, bearer(access))
					if _, err := a.want(400, "invalid_request"); err != nil {
						return "", err
					}
				}
				return p.verify(ctx, "role="+lacks, bearer(access)).want(403, "forbidden")
			}),
		},
		{
			name:   "verify-forged",
			checks: "what a client writes into Remote-User and its like changes nothing",
			means:  "Users can be whoever they like to be.",
			mend:   "Let no program put headers of a request into its answer.",
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				const forged = "check-forged"
				a := p.verify(ctx, "", bearer(access), "Remote-User: "+forged, "Remote-User-Id: "+forged,
					"Remote-Groups: "+forged, "Remote-Session: "+forged)
				for name, values := range a.header {
					if strings.Contains(strings.Join(values, ","), forged) {
						return "", fmt.Errorf("the answer has the forged %s", name)
					}
				}
				return a.want(200, "")
			}),
		},
		{
			name:   "verify-logout",
			checks: "after a logout, /auth/verify refuses the token that it let pass before",
			means:  "A proxy that asks here lets users in who have logged out: a cache answers.",
			mend:   "Keep no answer of /auth/verify. nginx: no proxy_ignore_headers.",
			look: withSession(func(ctx context.Context, p *probe, s *session) (string, error) {
				if _, err := p.verify(ctx, "", bearer(s.access)).want(200, ""); err != nil {
					return "", err
				}
				if err := p.logOut(ctx, s); err != nil {
					return "", err
				}
				if _, err := p.gone(ctx, s.access, "logout"); err != nil {
					return "", err
				}
				return p.verify(ctx, "", bearer(s.access)).want(401, "session_ended")
			}),
		},
	}
}

// lookVerify compares the headers with GET /auth/me.
func lookVerify(ctx context.Context, p *probe, access string) (string, error) {
	var me struct {
		ID      int64    `json:"id"`
		Roles   []string `json:"roles"`
		Session string   `json:"session_id"`
	}
	a := p.verify(ctx, "", bearer(access))
	if _, err := a.want(200, ""); err != nil {
		return "", err
	}
	if err := p.me(ctx, bearer(access)).read(&me); err != nil {
		return "", err
	}
	if a.header.Get("Remote-User") == "" || len(a.body) > 0 {
		return "", errors.New("the answer has no Remote-User, or it has a body")
	}
	groups := strings.Join(a.header["Remote-Groups"], ",")
	return each("user "+a.header.Get("Remote-User-Id"),
		same("Remote-User-Id", a.header.Get("Remote-User-Id"), fmt.Sprint(me.ID)),
		unless(groups == strings.Join(me.Roles, ","), "Remote-Groups are "+orNone(groups)),
		same("Remote-Session", a.header.Get("Remote-Session"), me.Session))
}
