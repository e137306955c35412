package security

import (
	"context"
	"fmt"
	"time"

	"sherpa/models"
	"sherpa/security/token"
)

// Introspection is what a token is at this moment (RFC 7662, section 2.2). When Active is false there is no
// more to it: whoever asks learns nothing about a token that is not good.
type Introspection struct {
	Active              bool
	Principal           Principal
	IssuedAt, ExpiresAt time.Time
}

// Introspect says whether Identify would accept the token, an access token or a personal one. It counts as no
// use of it. There is no grace during an outage, because the caller may keep the answer: the error wraps
// models.ErrUnavailable then.
func (s *Service) Introspect(ctx context.Context, text string) (Introspection, error) {
	claims, principal, err := s.identifyAny(ctx, text)
	switch {
	case HasCode(err, TokenInvalid), HasCode(err, TokenExpired), HasCode(err, SessionEnded):
		return Introspection{}, nil
	case err != nil:
		return Introspection{}, err
	case s.feed.outages.ongoing():
		return Introspection{}, fmt.Errorf("introspect: %w", models.ErrUnavailable)
	}
	return Introspection{
		Active: true, Principal: *principal,
		IssuedAt: time.Unix(claims.IssuedAt, 0), ExpiresAt: time.Unix(claims.ExpiresAt, 0),
	}, nil
}

func (s *Service) identifyAny(ctx context.Context, text string) (*token.Claims, *Principal, error) {
	if !token.IsPersonal(text) {
		return s.identifyAccess(ctx, text)
	}
	claims, live, err := s.identifyPersonal(ctx, text)
	if err != nil {
		return nil, nil, err
	}
	return claims, &live.principal, nil
}
