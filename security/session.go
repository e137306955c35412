package security

import (
	"context"
	"fmt"
	"iter"

	"sherpa/models"
)

// endSession ends one session, here at once and on other replicas through the feed. It reports whether the
// session was still alive.
func (s *Service) endSession(
	ctx context.Context, userID int64, id string, why models.EndedReason,
) (bool, error) {
	ended, err := s.Store.EndSession(ctx, userID, id, why, s.Now())
	if err != nil {
		return false, fmt.Errorf("end session: %w", err)
	}
	s.cache.evict(id) // also when it had ended before: this replica may not know yet
	if ended {
		s.Metrics.SessionsEnded(string(why), 1)
	}
	return ended, nil
}

// endSessions ends the sessions of the user except one ("" for no exception), and returns how many it ended.
func (s *Service) endSessions(
	ctx context.Context, userID int64, except string, why models.EndedReason,
) (int, error) {
	ended, err := s.Store.EndSessions(ctx, userID, except, why, s.Now())
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	s.Metrics.SessionsEnded(string(why), len(ended))
	return len(ended), nil
}

// EndSession ends one session on behalf of an operator. It reports whether the session was still alive; the
// error is models.ErrNotFound when it does not exist.
func (s *Service) EndSession(ctx context.Context, id string) (bool, error) {
	session, _, err := s.Store.SessionWithUser(ctx, id)
	if err != nil {
		return false, err
	}
	return s.endSession(ctx, session.UserID, id, models.EndedByOperator)
}

// EndUserSessions ends all sessions of a user on behalf of an operator, and returns how many. The error is
// models.ErrNotFound when there is no such user.
func (s *Service) EndUserSessions(ctx context.Context, userID int64) (int, error) {
	if _, err := s.Store.UserByID(ctx, userID); err != nil {
		return 0, err
	}
	return s.endSessions(ctx, userID, "", models.EndedByOperator)
}

// EndAllSessions ends the sessions of all users on behalf of an operator, and returns how many.
func (s *Service) EndAllSessions(ctx context.Context) (int, error) {
	ended, err := s.Store.EndAllSessions(ctx, models.EndedByOperator, s.Now())
	s.cache.evictAllSessions() // after an error too: some may have ended
	if err != nil {
		return ended, fmt.Errorf("end all sessions, after %d of them: %w", ended, err)
	}
	return ended, nil
}

// EndOwnSession ends a session of the principal. It returns models.ErrNotFound for everybody else's: the
// principal must not learn that they exist.
func (s *Service) EndOwnSession(ctx context.Context, principal Principal, id string) error {
	session, user, err := s.Store.SessionWithUser(ctx, id)
	if err != nil {
		return err
	}
	if user.ID != principal.UserID {
		return models.ErrNotFound
	}
	_, err = s.endSession(As(ctx, principal), session.UserID, id, models.EndedByUser)
	return err
}

const maxListed = 100

// Sessions returns the principal's sessions, the newest first, at most 100. EndedReason is set where a
// session has ended, by its age too.
func (s *Service) Sessions(ctx context.Context, principal Principal) ([]models.Session, error) {
	return s.sessionsOf(ctx, principal.UserID)
}

// UserSessions returns those of a user, as Sessions does. The error is models.ErrNotFound when there is no
// such user.
func (s *Service) UserSessions(ctx context.Context, userID int64) ([]models.Session, error) {
	if _, err := s.Store.UserByID(ctx, userID); err != nil {
		return nil, err
	}
	return s.sessionsOf(ctx, userID)
}

func (s *Service) sessionsOf(ctx context.Context, userID int64) ([]models.Session, error) {
	all, err := s.Store.Sessions(ctx, userID, maxListed)
	if err != nil {
		return nil, err
	}
	now := s.Now()
	for i := range all {
		all[i].EndedReason = all[i].Ended(now)
	}
	return all, nil
}

// LiveSessions yields the live sessions of a user, or of all users when userID is 0, the newest first. An
// error ends the sequence.
func (s *Service) LiveSessions(ctx context.Context, userID int64) iter.Seq2[models.NamedSession, error] {
	return s.Store.LiveSessions(ctx, userID, s.Now())
}

// DescribeEnd returns why a session ended as the end of a sentence, such as "its user logged out".
func DescribeEnd(reason models.EndedReason) string {
	switch reason {
	case models.EndedByLogout:
		return "its user logged out"
	case models.EndedByUser:
		return "its user ended it from another session"
	case models.EndedByOperator:
		return "an operator ended it"
	case models.EndedByPasswordChange:
		return "the password was changed"
	case models.EndedByDisable:
		return "the user was disabled"
	case models.EndedByReuse:
		return "a refresh token of it was used twice, so somebody may have a copy"
	case models.EndedByIdle:
		return "it was not refreshed in time"
	case models.EndedByAge:
		return "it reached its maximum age"
	default:
		return "it no longer exists"
	}
}
