package check

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

func sessionRows() []row { //nolint:funlen // a table
	const (
		lives  = "Users cannot end a stolen session: its token goes on working."
		atOne  = "Let the proxy cache no answer. Give all replicas one database and one clock."
		copies = "Whoever copies a refresh token can use it beside its owner, and nobody notices."
		rotate = "Let each refresh reach the service exactly once: no proxy may repeat or cache a POST."
	)
	return []row{
		{
			name:   "logout",
			checks: "the access token is refused within a second after a logout",
			means:  lives,
			mend:   atOne,
			look: withSession(func(ctx context.Context, p *probe, s *session) (string, error) {
				if err := p.warm(ctx, s); err != nil {
					return "", err
				}
				if _, err := p.post(ctx, "/auth/logout", "", bearer(s.access)).want(204, ""); err != nil {
					return "", err
				}
				return p.gone(ctx, s.access, "logout")
			}),
		},
		{
			name:   "logout-twice",
			checks: "a second logout gets 204 as well",
			means:  "A client that lost the first answer cannot know that its session has ended.",
			mend:   "Send the answers of the service through.",
			look: withSession(func(ctx context.Context, p *probe, s *session) (string, error) {
				first := p.post(ctx, "/auth/logout", "", bearer(s.access))
				return all(204, "", first, p.post(ctx, "/auth/logout", "", bearer(s.access)))
			}),
		},
		{
			name:   "logout-by-refresh-token",
			checks: "a refresh token alone can log out",
			means:  "Users cannot log out after their access token has expired.",
			mend:   "Send the body of POST /auth/logout through.",
			look: withSession(func(ctx context.Context, p *probe, s *session) (string, error) {
				if err := p.logOut(ctx, s); err != nil {
					return "", err
				}
				return p.gone(ctx, s.access, "logout")
			}),
		},
		{
			name:   "refresh-after-logout",
			checks: "the refresh token is refused after a logout",
			means:  lives,
			mend:   atOne,
			look: withSession(func(ctx context.Context, p *probe, s *session) (string, error) {
				if err := p.logOut(ctx, s); err != nil {
					return "", err
				}
				return p.post(ctx, "/auth/refresh", refreshBody(s.refresh)).want(401, "session_ended")
			}),
		},
		{
			name:   "logout-needs-token",
			checks: "a logout without a token gets 401",
			means:  "Clients believe that they have logged out, and have not.",
			mend:   "Send the answers of the service through.",
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.post(ctx, "/auth/logout", "").want(401, "token_missing")
			},
		},
		{
			name:   "refresh",
			checks: "a refresh gives two new tokens of the same session",
			means:  "Users must log in again every few minutes.",
			mend:   rotate,
			look:   withSession(lookRefresh),
		},
		{
			name:   "refresh-retry",
			checks: "the same refresh token, sent again within 10 s, gets the same successor",
			means:  "Users whose connection breaks during a refresh are logged out.",
			mend:   "Give all replicas one database and the same keys.",
			look:   withSession(lookRetry),
		},
		{
			// The grace of 10 s is for the previous token alone, so an older one needs no wait.
			name:   "refresh-reuse",
			checks: "a refresh token older than the previous one ends its session",
			means:  copies,
			mend:   rotate,
			look:   withSession(lookReuse),
		},
		{
			name:   "refresh-garbage",
			checks: "an access token or garbage is refused as a refresh token",
			means:  "Whoever steals an access token has the session.",
			mend:   rotate,
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				return all(401, "refresh_token_invalid",
					p.post(ctx, "/auth/refresh", refreshBody("garbage")),
					p.post(ctx, "/auth/refresh", refreshBody(access)),
					p.post(ctx, "/auth/refresh", refreshBody(p.main.id+"."+encode(string(newKey()[:40])))))
			}),
		},
		{
			name:   "refresh-by-post",
			checks: "GET /auth/refresh gets 405",
			means:  "A link or a cache could refresh.",
			mend:   "Do not rewrite methods in the proxy.",
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.get(ctx, "/auth/refresh").want(405, "method_not_allowed")
			},
		},
		{
			name:   "session-list",
			checks: "GET /auth/sessions lists the sessions of this check, and knows the current one",
			means:  "Users cannot see a stolen session.",
			mend:   "Send the header Authorization and the answer through.",
			look:   lookList,
		},
		{
			name:   "session-end",
			checks: "a session that another one ends is refused within a second",
			means:  lives,
			mend:   "Let the proxy pass DELETE, and cache no answer.",
			look: withSession(func(ctx context.Context, p *probe, s *session) (string, error) {
				if err := p.warm(ctx, s); err != nil {
					return "", err
				}
				if _, err := p.token(ctx); err != nil {
					return "", err
				}
				if err := p.delete(ctx, s.id); err != nil {
					return "", err
				}
				return p.gone(ctx, s.access, "ended_by_user")
			}),
		},
		{
			name:   "session-unknown",
			checks: "a session that is not the user's cannot be ended: 404",
			means:  "Users could end the sessions of others, or learn which exist.",
			mend:   "Send DELETE and its answer through.",
			look: withToken(func(ctx context.Context, p *probe, access string) (string, error) {
				return p.do(ctx, http.MethodDelete, "/auth/sessions/nobodys-"+p.id, "", bearer(access)).
					want(404, "not_found")
			}),
		},
		{
			name:   "feed",
			checks: "the role verifier alone reads /auth/revocations, and learns of a logout within a second",
			means:  "Strangers see who logs out, or services that verify tokens themselves do not.",
			mend:   "Let the proxy pass Authorization and the query, cache no answer, and let one take 10 s.",
			look:   withSession(lookFeed),
		},
	}
}

// warm lets every replica see the token, so that each has it in its cache.
func (p *probe) warm(ctx context.Context, s *session) error {
	for range 4 {
		if _, err := p.me(ctx, bearer(s.access)).want(http.StatusOK, ""); err != nil {
			return err
		}
	}
	return nil
}

func lookRefresh(ctx context.Context, p *probe, s *session) (string, error) {
	before := *s
	if err := p.renew(ctx, s); err != nil {
		return "", err
	}
	if s.refresh == before.refresh {
		return "", errors.New("the refresh token stays the same")
	}
	if s.claims().SessionID != before.id {
		return "", errors.New("the new access token is of another session")
	}
	return p.me(ctx, bearer(s.access)).want(http.StatusOK, "")
}

func lookRetry(ctx context.Context, p *probe, s *session) (string, error) {
	first := s.refresh
	if err := p.renew(ctx, s); err != nil {
		return "", err
	}
	again := &session{}
	if err := again.take(p.post(ctx, "/auth/refresh", refreshBody(first)), p.Now()); err != nil {
		return "", err
	}
	if again.refresh != s.refresh {
		return "", errors.New("it got another successor")
	}
	return "the same successor", nil
}

func lookReuse(ctx context.Context, p *probe, s *session) (string, error) {
	first := s.refresh
	for range 2 {
		if err := p.renew(ctx, s); err != nil {
			return "", err
		}
	}
	a := p.post(ctx, "/auth/refresh", refreshBody(first))
	if _, err := a.want(http.StatusUnauthorized, "session_ended"); err != nil {
		return "", err
	}
	if _, err := p.gone(ctx, s.access, "refresh_reuse"); err != nil {
		return "", err
	}
	return p.post(ctx, "/auth/refresh", refreshBody(s.refresh)).want(http.StatusUnauthorized, "session_ended")
}

func lookList(ctx context.Context, p *probe) (string, error) {
	own, err := p.list(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range p.sessions {
		view, listed := own[s.id]
		if !listed {
			return "", fmt.Errorf("the session %s is not in the list", s.id)
		}
		if view.Current != (s == p.main) {
			return "", fmt.Errorf("current is %v for the session %s", view.Current, s.id)
		}
	}
	return fmt.Sprintf("%d sessions of this check", len(own)), nil
}
