package security

import (
	"context"
	"errors"
	"fmt"

	"sherpa/models"
	"sherpa/security/token"
)

// Refresh exchanges a refresh token for the next one (RFC 9700, section 4.14.2). The previous token, used
// again within the grace period, gets the same successor. An older one means that somebody else has a copy,
// and ends the session. The error is *Error: refresh_token_invalid or session_ended; or it wraps
// models.ErrUnavailable.
func (s *Service) Refresh(ctx context.Context, text string) (Login, error) {
	login, err := s.refresh(ctx, text)
	s.Metrics.Refresh(resultOf(err))
	return login, err
}

func (s *Service) refresh(ctx context.Context, text string) (Login, error) {
	presented, err := s.Keys().ParseRefresh(text)
	if err != nil {
		return Login{}, &Error{Code: RefreshInvalid}
	}
	const attempts = 3 // the second sees what overtook the first; more would be a livelock
	for range attempts {
		login, err := s.rotate(ctx, presented, text)
		if !errors.Is(err, models.ErrNotFound) {
			return login, err
		}
		holder, err := s.holder(ctx, presented, text)
		if err != nil {
			return Login{}, err
		}
		if holder.decide() != rotate {
			return s.repeat(ctx, holder)
		}
	}
	return Login{}, fmt.Errorf("refresh: %w: overtaken too often", models.ErrUnavailable)
}

// rotate replaces the newest token of a live session, without reading the session first: nearly all refreshes
// are this. It returns models.ErrNotFound for all others.
func (s *Service) rotate(ctx context.Context, presented token.Refresh, text string) (Login, error) {
	now := s.Now()
	next := s.Keys().NewRefresh(presented.SessionID, presented.Count+1).String()
	idleEnds := now.Add(s.Settings.SessionIdle)
	rotated, err := s.Store.RotateSession(ctx, models.Rotation{
		SessionID: presented.SessionID, FromCount: presented.Count, FromHash: token.HashRefresh(text),
		Hash: token.HashRefresh(next), At: now, IdleEndsAt: idleEnds,
	})
	if err != nil {
		return Login{}, err
	}
	return Login{
		User: models.User{ID: rotated.UserID, Username: rotated.Username, Roles: rotated.Roles},
		Session: models.Session{
			ID: presented.SessionID, UserID: rotated.UserID, IdleEndsAt: idleEnds, EndsAt: rotated.EndsAt,
		},
		RefreshToken: next, At: now,
	}, nil
}

// holder is who presents a refresh token that a key of the ring signed.
type holder struct {
	session models.Session
	user    models.User
	refreshCase
}

// holder looks up whose token this is, with the roles and the state that the user has now.
func (s *Service) holder(ctx context.Context, presented token.Refresh, text string) (holder, error) {
	session, user, err := s.Store.SessionWithUser(ctx, presented.SessionID)
	if errors.Is(err, models.ErrNotFound) {
		return holder{}, &Error{Code: RefreshInvalid}
	}
	if err != nil {
		return holder{}, fmt.Errorf("look up refresh token: %w", err)
	}
	h := holder{session: session, user: user}
	h.generation = generationOf(presented, text, session)
	h.ended = endedReason(session, user, s.Now())
	if h.needsTiming() {
		h.timing = s.retryTiming(ctx, session)
	}
	return h, nil
}

// generationOf compares the token with the newest one of its session.
func generationOf(presented token.Refresh, text string, session models.Session) generation {
	switch {
	case token.SameHash(token.HashRefresh(text), session.RefreshHash):
		return newest
	case presented.Count >= session.RefreshCount:
		return future
	case presented.Count == session.RefreshCount-1:
		return previous
	}
	return older
}

// retryTiming says whether the previous token comes within the grace period. A session must not end because
// this replica has not yet noticed the end of an outage, so it polls first.
func (s *Service) retryTiming(ctx context.Context, session models.Session) timing {
	outages := &s.feed.outages
	if outages.ongoing() {
		s.feed.catchUp(ctx, outages.ongoing)
	}
	switch {
	case outages.ongoing():
		return unknown
	case outages.inGrace(session.LastUsedAt, s.Now()):
		return inTime
	}
	return late
}

// repeat answers a token that was used before: with the successor that it got then, or with an error.
func (s *Service) repeat(ctx context.Context, h holder) (Login, error) {
	if err := s.enforce(ctx, h); err != nil {
		return Login{}, err
	}
	same, ok := s.Keys().FindRefresh(h.session.ID, h.session.RefreshCount, h.session.RefreshHash)
	if !ok { // the key that signed the successor was removed
		return Login{}, s.endReused(ctx, h)
	}
	return Login{User: h.user, Session: h.session, RefreshToken: same, At: s.Now()}, nil
}

// enforce carries out a decision that goes against the holder. It returns nil when the token may be used.
func (s *Service) enforce(ctx context.Context, h holder) error {
	switch h.decide() {
	case rotate, repeat:
		return nil
	case rejectToken:
		return &Error{Code: RefreshInvalid}
	case rejectEnded:
		return sessionEnded(h.ended)
	case retryLater:
		return fmt.Errorf("refresh: %w: how long the outage lasted is not known yet", models.ErrUnavailable)
	default:
		return s.endReused(ctx, h)
	}
}

// endReused does not know who presents the token: the user or a thief.
func (s *Service) endReused(ctx context.Context, h holder) error {
	ctx = asAnonymous(ctx)
	if _, err := s.endSession(ctx, h.user.ID, h.session.ID, models.EndedByReuse); err != nil {
		return err
	}
	return sessionEnded(models.EndedByReuse)
}
