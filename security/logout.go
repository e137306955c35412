package security

import (
	"context"
	"errors"

	"sherpa/models"
	"sherpa/security/token"
)

// Scope says which sessions a logout ends.
type Scope string

// The scopes of a logout.
const (
	ScopeLocal  Scope = "local"  // the session of the request
	ScopeOthers Scope = "others" // all other sessions of the user
	ScopeAll    Scope = "all"
)

// LogOut ends sessions of the one whose access token this is. A session that has ended already is no error.
// It returns the principal, or nil when the session had ended. The errors are those of Identify.
func (s *Service) LogOut(ctx context.Context, accessToken string, scope Scope) (*Principal, error) {
	principal, err := s.logOut(ctx, accessToken, scope)
	s.Metrics.Logout(resultOf(err))
	return principal, err
}

func (s *Service) logOut(ctx context.Context, accessToken string, scope Scope) (*Principal, error) {
	if token.IsPersonal(accessToken) {
		return s.logOutPersonal(ctx, accessToken)
	}
	claims, err := s.Verify(accessToken)
	if err != nil {
		return nil, err
	}
	principal, err := s.Identity(ctx, &claims)
	var known *Error
	if errors.As(err, &known) && known.Code == SessionEnded {
		return nil, s.logOutEnded(ctx, claims.Identity, scope, known.Reason)
	}
	if err != nil {
		return nil, err
	}
	return principal, s.endByScope(As(ctx, *principal), principal.UserID, principal.SessionID, scope)
}

// logOutPersonal never succeeds: a program that takes its token for a session must not believe that the token
// is worthless now.
func (s *Service) logOutPersonal(ctx context.Context, text string) (*Principal, error) {
	principal, err := s.Identify(ctx, text)
	if err != nil {
		return nil, err
	}
	return principal, &Error{Code: TokenNotAllowed, Fact: "it has no session that could end"}
}

// LogOutByRefreshToken is LogOut for a client that has only its refresh token left. A token that was used
// before can end its own session only.
func (s *Service) LogOutByRefreshToken(ctx context.Context, refreshToken string, scope Scope) error {
	err := s.logOutByRefreshToken(ctx, refreshToken, scope)
	s.Metrics.Logout(resultOf(err))
	return err
}

func (s *Service) logOutByRefreshToken(ctx context.Context, refreshToken string, scope Scope) error {
	presented, err := s.Keys().ParseRefresh(refreshToken)
	if err != nil {
		return &Error{Code: RefreshInvalid}
	}
	h, err := s.holder(ctx, presented, refreshToken)
	if err != nil {
		return err
	}
	switch decision := h.decide(); {
	case decision == rejectEnded:
		return s.logOutEnded(ctx, h.user.ID, scope, h.ended)
	case decision == rejectToken || scope != ScopeLocal:
		if err := s.enforce(ctx, h); err != nil {
			return err
		}
	}
	return s.endByScope(As(ctx, newPrincipal(h.user, h.session.ID)), h.user.ID, h.session.ID, scope)
}

// logOutEnded answers a logout from a session that has ended. Such a session has no power over others, so the
// logout succeeds only when nothing is left to end, for instance when it is sent twice.
func (s *Service) logOutEnded(
	ctx context.Context, userID int64, scope Scope, reason models.EndedReason,
) error {
	if scope == ScopeLocal {
		return nil
	}
	some, err := s.Store.AnyLiveSession(ctx, userID, s.Now())
	if err != nil || !some {
		return err
	}
	return sessionEnded(reason)
}

func (s *Service) endByScope(ctx context.Context, userID int64, sessionID string, scope Scope) (err error) {
	switch scope {
	case ScopeOthers:
		_, err = s.endSessions(ctx, userID, sessionID, models.EndedByLogout)
	case ScopeAll:
		_, err = s.endSessions(ctx, userID, "", models.EndedByLogout)
	default:
		_, err = s.endSession(ctx, userID, sessionID, models.EndedByLogout)
	}
	return err
}
