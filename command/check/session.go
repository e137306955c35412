package check

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// session is one that the check started.
type session struct {
	id      string
	access  string
	refresh string
	expires time.Time // of the access token
	login   tokens
	header  http.Header // of the answer to the login
}

// tokens is the answer to a login or a refresh (RFC 6749, section 5.1).
type tokens struct {
	Access           string `json:"access_token"`
	Type             string `json:"token_type"`
	ExpiresIn        int    `json:"expires_in"`
	Refresh          string `json:"refresh_token"`
	RefreshExpiresIn int    `json:"refresh_expires_in"`
}

// sessionView is an entry of GET /auth/sessions.
type sessionView struct {
	ID        string     `json:"id"`
	Current   bool       `json:"current"`
	Address   string     `json:"address"`
	UserAgent string     `json:"user_agent"`
	EndedAt   *time.Time `json:"ended_at"`
}

func credentials(name, password string) string {
	body, _ := json.Marshal(map[string]string{"username": name, "password": password}) // strings never fail
	return string(body)
}

func refreshBody(token string) string {
	body, _ := json.Marshal(map[string]string{"refresh_token": token}) // as above
	return string(body)
}

func bearer(token string) string { return "Authorization: Bearer " + token }

// begin starts the session that lives until the end of the check.
func (p *probe) begin(ctx context.Context) (err error) {
	p.main, err = p.open(ctx)
	return err
}

// me asks the protected resource that every service has.
func (p *probe) me(ctx context.Context, lines ...string) answer {
	return p.get(ctx, "/auth/me", lines...)
}

// open starts a session with the right password. The check never sends a wrong one: failures would count
// against the user.
func (p *probe) open(ctx context.Context, lines ...string) (*session, error) {
	a := p.post(ctx, "/auth", credentials(p.Username, p.Password), lines...)
	switch {
	case a.err != nil:
		return nil, fmt.Errorf("log in: no answer: %w", plain(a.err))
	case a.status == http.StatusTooManyRequests:
		return nil, fmt.Errorf("log in: too many logins failed before; wait %s s",
			a.header.Get("Retry-After"))
	case a.status/100 == 3:
		return nil, fmt.Errorf("log in: the service sends clients to %q; check that URL",
			a.header.Get("Location"))
	case a.status != http.StatusOK:
		return nil, fmt.Errorf("log in: got %s", a.text())
	}
	s := &session{header: a.header}
	if err := s.take(a, p.Now()); err != nil {
		return nil, err
	}
	s.id = s.claims().SessionID
	p.sessions = append(p.sessions, s)
	return s, nil
}

// take reads the tokens of an answer.
func (s *session) take(a answer, now time.Time) error {
	if _, err := a.want(http.StatusOK, ""); err != nil {
		return err
	}
	var t tokens
	if err := a.read(&t); err != nil {
		return err
	}
	if t.Access == "" || t.Refresh == "" {
		return fmt.Errorf("%s answers without an access token and a refresh token", a.name())
	}
	s.access, s.refresh, s.login = t.Access, t.Refresh, t
	s.expires = now.Add(time.Duration(t.ExpiresIn) * time.Second)
	return nil
}

// renew exchanges the refresh token.
func (p *probe) renew(ctx context.Context, s *session) error {
	return s.take(p.post(ctx, "/auth/refresh", refreshBody(s.refresh)), p.Now())
}

// token returns the access token of the main session, with some life left.
func (p *probe) token(ctx context.Context) (string, error) {
	const margin = 3 * time.Second
	if p.main.expires.Sub(p.Now()) > margin {
		return p.main.access, nil
	}
	if err := p.renew(ctx, p.main); err != nil {
		return "", fmt.Errorf("renew the token of the check: %w", err)
	}
	return p.main.access, nil
}

// list returns the sessions of the user that this check started, by their id.
func (p *probe) list(ctx context.Context) (map[string]sessionView, error) {
	access, err := p.token(ctx)
	if err != nil {
		return nil, err
	}
	var body struct {
		Sessions []sessionView `json:"sessions"`
	}
	a := p.get(ctx, "/auth/sessions", bearer(access))
	if _, err := a.want(http.StatusOK, ""); err != nil {
		return nil, err
	}
	if err := a.read(&body); err != nil {
		return nil, err
	}
	own := map[string]sessionView{}
	for _, view := range body.Sessions {
		if view.UserAgent == p.userAgent {
			own[view.ID] = view
		}
	}
	return own, nil
}

const endTimeout = 20 * time.Second

// endSessions ends all sessions of the check, and returns those that it could not end. It goes on when ctx
// has ended. Sessions that have ended already count as ended: a logout may be sent twice.
func (p *probe) endSessions(ctx context.Context) (left []string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	alive := map[string]bool{}
	for _, s := range p.sessions {
		alive[s.id] = s != p.main && p.logOut(ctx, s) != nil
	}
	// A login whose answer was lost has started a session, too, and a proxy may answer a logout that it did
	// not pass on. The list knows better: it has all sessions with the User-Agent of this check.
	if own, err := p.list(ctx); err == nil {
		for id, view := range own {
			alive[id] = view.EndedAt == nil && id != p.main.id && p.delete(ctx, id) != nil
		}
	}
	alive[p.main.id] = p.endMain(ctx) != nil
	for id := range alive {
		if alive[id] {
			left = append(left, id)
		}
	}
	slices.Sort(left)
	return left
}

// endLost ends the session of a first login that was cut off: it may have started one, and only another login
// can find it.
func (p *probe) endLost(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if p.begin(ctx) == nil {
		p.endSessions(ctx)
	}
}

func (p *probe) logOut(ctx context.Context, s *session) error {
	_, err := p.post(ctx, "/auth/logout", refreshBody(s.refresh)).want(http.StatusNoContent, "")
	return err
}

func (p *probe) delete(ctx context.Context, id string) error {
	_, err := p.do(ctx, http.MethodDelete, "/auth/sessions/"+id, "", bearer(p.main.access)).
		want(http.StatusNoContent, "")
	return err
}

// endMain tries both ways to log out, until the token is refused.
func (p *probe) endMain(ctx context.Context) error {
	if err := p.logOut(ctx, p.main); err == nil {
		if _, err := p.gone(ctx, p.main.access, "logout"); err == nil {
			return nil
		}
	}
	_, err := p.post(ctx, "/auth/logout", "", bearer(p.main.access)).want(http.StatusNoContent, "")
	if err != nil {
		return err
	}
	_, err = p.gone(ctx, p.main.access, "logout")
	return err
}

// impossibleName is a username that nobody can have, because it has blanks: no user is slowed down by its
// failures. It is another one in each check, so that no check has to wait for the one before.
func impossibleName() string { return "nobody of this name " + rand.Text()[:8] }

// promised is how long another replica may take to learn that a session has ended.
const promised = time.Second

// gone asks with the token of a session that has just ended, until several answers in a row refuse it: each
// replica behind a proxy may answer. They have a second for it.
func (p *probe) gone(ctx context.Context, access, reason string) (string, error) {
	return p.refused(ctx, access, "session_ended", reason)
}

// refused is gone for a token that is refused with this code and reason.
func (p *probe) refused(ctx context.Context, access, code, reason string) (string, error) {
	const inARow = 4
	start := p.Now()
	passed, lastPass := 0, time.Duration(0)
	for refused := 0; refused < inARow; {
		asked := p.Now()
		a := p.me(ctx, bearer(access))
		switch {
		case a.err != nil:
			return "", fmt.Errorf("%s: %s", a.name(), a.text())
		case a.status == http.StatusOK && asked.Sub(start) > promised:
			return "", fmt.Errorf("the token still worked after %v", asked.Sub(start).Round(time.Millisecond))
		case a.status == http.StatusOK:
			refused, passed, lastPass = 0, passed+1, p.Now().Sub(start)
			if err := p.Sleep(ctx, promised/20); err != nil {
				return "", err
			}
			continue
		}
		if _, err := a.want(http.StatusUnauthorized, code); err != nil {
			return "", err
		}
		if got := a.problem().Reason; got != reason {
			return "", fmt.Errorf("the reason is %q, want %q", got, reason)
		}
		refused++
	}
	if passed > 0 {
		return fmt.Sprintf("refused after %v", lastPass.Round(time.Millisecond)), nil
	}
	return "refused at once", nil
}
