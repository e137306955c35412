package check

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// news is an answer of the feed of ended sessions.
type news struct {
	Cursor      string `json:"cursor"`
	Revocations []struct {
		SessionID string `json:"sid"`
		Ended     bool   `json:"ended"`
	} `json:"revocations"`
}

func (n news) endOf(s *session) bool {
	for _, r := range n.Revocations {
		if r.SessionID == s.id && r.Ended {
			return true
		}
	}
	return false
}

// lookFeed follows the feed while a session ends. A user without the role must be refused.
func lookFeed(ctx context.Context, p *probe, s *session) (string, error) {
	const feed = "/auth/revocations"
	access, err := p.token(ctx)
	if err != nil {
		return "", err
	}
	first := p.get(ctx, feed, bearer(access))
	if first.status == http.StatusForbidden {
		return first.want(http.StatusForbidden, "forbidden")
	}
	n, err := first.news()
	if err != nil {
		return "", err
	}
	if err := p.logOut(ctx, s); err != nil {
		return "", err
	}
	for ended := p.Now(); p.Now().Sub(ended) < time.Second; {
		if n, err = p.get(ctx, feed+"?wait=1&after="+n.Cursor, bearer(access)).news(); err != nil {
			return "", err
		}
		if n.endOf(s) {
			return "told of the logout", nil
		}
	}
	return "", errors.New("a second after the logout, the feed has not told of it")
}

func (a answer) news() (n news, err error) {
	if _, err := a.want(http.StatusOK, ""); err != nil {
		return n, err
	}
	if err = a.read(&n); err == nil && n.Cursor == "" {
		err = errors.New("the feed has no cursor")
	}
	return n, err
}
