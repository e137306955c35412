package security

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"sherpa/models"
	"sherpa/security/token"
)

// Identify returns the principal whom an access token or a personal one names. A token is verified once;
// after that its claims come from the cache, because the same text has the same claims. Its times, its
// session and its user are checked every time. The errors are those of Verify and Identity.
func (s *Service) Identify(ctx context.Context, text string) (*Principal, error) {
	if token.IsPersonal(text) {
		return s.usePersonal(ctx, text)
	}
	_, principal, err := s.identifyAccess(ctx, text)
	return principal, err
}

// identifyAccess is Identify for an access token. It also returns its claims.
func (s *Service) identifyAccess(ctx context.Context, text string) (*token.Claims, *Principal, error) {
	ring := s.Keys() // once: what this ring verified must not pass as verified by the next one
	if claims, ok := s.cache.claims(text, ring); ok {
		principal, err := s.Identity(ctx, claims)
		return claims, principal, err
	}
	s.cache.tokenMisses.Add(1)
	claims, err := s.verify(text, ring)
	if err != nil {
		return nil, nil, err
	}
	principal, err := s.Identity(ctx, &claims)
	if err == nil {
		s.cache.put(text, ring, claims)
	}
	return &claims, principal, err
}

// Verify returns the claims of an access token that a key of the ring signed, after every check that does not
// depend on the time. The error is *Error with code token_invalid.
func (s *Service) Verify(text string) (token.Claims, error) { return s.verify(text, s.Keys()) }

func (s *Service) verify(text string, ring *token.KeyRing) (token.Claims, error) {
	claims, err := ring.Verify(text, s.Settings.Issuer, s.Settings.Audience)
	return claims, tokenError(err)
}

// Identity returns the principal that verified claims name: the tutorial's identity(payload). The principal
// is shared and must not be changed. The error is *Error: token_invalid, token_expired or session_ended; or
// it wraps models.ErrUnavailable, and then nobody may pass.
func (s *Service) Identity(ctx context.Context, claims *token.Claims) (*Principal, error) {
	now := s.Now()
	if err := claims.CheckTimes(now); err != nil {
		return nil, tokenError(err)
	}
	live, err := s.live(ctx, claims.SessionID, now, (*Service).loadSession)
	if err != nil {
		return nil, err
	}
	if live.principal.UserID != claims.Identity {
		return nil, tokenError(&token.InvalidError{Reason: "its session belongs to another user"})
	}
	return &live.principal, nil
}

// loader reads a session, or a personal access token, from the database. Only a live one has no error, so
// only that is cached.
type loader func(s *Service, ctx context.Context, id string) (*liveSession, error)

// live returns the session or the token with its principal, from the cache if the cache is fresh.
func (s *Service) live(ctx context.Context, id string, now time.Time, load loader) (*liveSession, error) {
	if !s.feed.fresh(ctx, now) {
		return load(s, ctx, id) // fails closed: the outage is longer than cacheGrace
	}
	epoch := s.cache.epoch.Load()
	live, ok := s.cache.sessions.GetIfPresent(id)
	if ok && now.UnixMilli() < live.endsAt && live.epoch == epoch {
		s.cache.hits.Add(1)
		return live, nil
	}
	if ok {
		s.cache.evict(id) // a refresh may have prolonged it, or all sessions were evicted since it was read
	}
	read := func(ctx context.Context, id string) (*liveSession, error) { return load(s, ctx, id) }
	live, err := s.cache.sessions.Get(ctx, id, otter.LoaderFunc[string, *liveSession](read))
	if err == nil && live.epoch < epoch { // a load that began before all sessions were evicted
		return load(s, ctx, id)
	}
	return live, err
}

// loadSession is a loader.
func (s *Service) loadSession(ctx context.Context, id string) (*liveSession, error) {
	s.cache.loads.Add(1)
	epoch := s.cache.epoch.Load()
	session, user, err := s.Store.SessionWithUser(ctx, id)
	if errors.Is(err, models.ErrNotFound) {
		return nil, sessionEnded("")
	}
	if err != nil {
		return nil, fmt.Errorf("identify: %w", err)
	}
	if reason := endedReason(session, user, s.Now()); reason != "" {
		return nil, sessionEnded(reason)
	}
	return &liveSession{
		principal: newPrincipal(user, session.ID),
		endsAt:    min(session.IdleEndsAt.UnixMilli(), session.EndsAt.UnixMilli()),
		epoch:     epoch,
	}, nil
}

// endedReason returns why the session cannot be used, or "". A disabled user has no usable session.
func endedReason(session models.Session, user models.User, now time.Time) models.EndedReason {
	if user.Disabled() {
		return models.EndedByDisable
	}
	return session.Ended(now)
}
