package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
)

// personalToken is the answer that has a new personal access token, or an entry of the list.
type personalToken struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Token string `json:"token"`
}

func personalRows() []row {
	const through = "Send POST, DELETE and the header Authorization through, and cache no answer."
	return []row{
		{
			name:   "personal-token",
			checks: "a personal access token works, and is refused within a second after it was deleted",
			means:  "A token that leaked from a script cannot be stopped.",
			mend:   "Give all replicas one database. " + through,
			look: withPersonal(func(ctx context.Context, p *probe, t personalToken) (string, error) {
				for range 4 { // so that each replica has it in its cache
					if _, err := p.me(ctx, bearer(t.Token)).want(http.StatusOK, ""); err != nil {
						return "", err
					}
				}
				if err := p.deletePersonal(ctx, t.ID); err != nil {
					return "", err
				}
				return p.refused(ctx, t.Token, "token_invalid", "")
			}),
		},
		{
			name:   "personal-account",
			checks: "a personal access token without `allow` does not reach the account: 403",
			means:  "Whoever steals a token from a script has the account.",
			mend:   "Send the header Authorization through as it is. It is the client's, not the proxy's.",
			look: withPersonal(func(ctx context.Context, p *probe, t personalToken) (string, error) {
				return all(http.StatusForbidden, "token_not_allowed",
					p.get(ctx, "/auth/sessions", bearer(t.Token)),
					p.get(ctx, "/auth/tokens", bearer(t.Token)))
			}),
		},
		{
			name:   "personal-forged",
			checks: "a personal access token with another secret is refused",
			means:  "Anybody can make one.",
			mend:   "Verify tokens with Sherpa alone.",
			look: withPersonal(func(ctx context.Context, p *probe, t personalToken) (string, error) {
				const end = 6 // the checksum
				body := t.Token[:len(t.Token)-end]
				return all(http.StatusUnauthorized, "token_invalid",
					p.me(ctx, bearer(body+"000000")), p.me(ctx, bearer(t.Token[:len(t.Token)-1])))
			}),
		},
	}
}

// withPersonal is a row that needs a personal access token of its own. It is deleted in any case, also when
// the answer that had it was lost, and expires after a day.
func withPersonal(
	look func(ctx context.Context, p *probe, t personalToken) (string, error),
) func(ctx context.Context, p *probe) (string, error) {
	return withToken(func(ctx context.Context, p *probe, access string) (seen string, err error) {
		defer func() { err = errors.Join(err, p.deletePersonals(ctx)) }()
		body, _ := json.Marshal(map[string]any{ // it never fails
			"name": p.userAgent, "expires_in_days": 1, "current_password": p.Password,
		})
		a := p.post(ctx, "/auth/tokens", string(body), bearer(access))
		if _, err := a.want(http.StatusCreated, ""); err != nil {
			return "", err
		}
		var t personalToken
		if err := a.read(&t); err != nil {
			return "", err
		}
		if !strings.HasPrefix(t.Token, "sherpa_pat_"+t.ID+"_") || len(t.Token) < 60 {
			return "", fmt.Errorf("%s answers without a personal access token", a.name())
		}
		return look(ctx, p, t)
	})
}

func (p *probe) deletePersonal(ctx context.Context, id string) error {
	access, err := p.token(ctx)
	if err != nil {
		return err
	}
	_, err = p.do(ctx, http.MethodDelete, "/auth/tokens/"+id, "", bearer(access)).
		want(http.StatusNoContent, "")
	return err
}

// deletePersonals deletes the personal access tokens of this check.
func (p *probe) deletePersonals(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	access, err := p.token(ctx)
	if err != nil {
		return err
	}
	var list struct {
		Items []personalToken `json:"items"`
	}
	a := p.get(ctx, "/auth/tokens", bearer(access))
	if _, err := a.want(http.StatusOK, ""); err != nil {
		return err
	}
	if err := a.read(&list); err != nil {
		return err
	}
	for _, t := range list.Items {
		if t.Name == p.userAgent {
			err = errors.Join(err, p.deletePersonal(ctx, t.ID))
		}
	}
	return err
}
