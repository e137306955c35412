package security

import (
	"context"
	"errors"
	"fmt"

	"sherpa/models"
)

// Authenticate returns the user who has this username and password: the tutorial's authenticate(username,
// password). For an unknown, a disabled and a wrong-password user alike, the error is *Error with code
// invalid_credentials, after one password hash.
func (s *Service) Authenticate(ctx context.Context, username, password string) (models.User, error) {
	user, err := s.candidate(ctx, username)
	if errors.Is(err, models.ErrNotFound) {
		return models.User{}, errors.Join(s.Hasher.VerifyNobody(ctx, password), refuseCredentials("unknown user"))
	}
	if err != nil {
		return models.User{}, err
	}
	normal, err := normalizePassword(password)
	if err != nil {
		return models.User{}, errors.Join(s.Hasher.VerifyNobody(ctx, password), refuseCredentials("impossible password"))
	}
	ok, weak, err := s.Hasher.Verify(ctx, user.PasswordHash, normal)
	switch {
	case err != nil:
		return models.User{}, fmt.Errorf("check password: %w", err)
	case !ok:
		return models.User{}, refuseCredentials("wrong password")
	case user.Disabled():
		return models.User{}, refuseCredentials("disabled user")
	}
	if weak {
		s.strengthen(ctx, user, normal)
	}
	return user, nil
}

// candidate looks the user up; a username that nobody can have is one that nobody has.
func (s *Service) candidate(ctx context.Context, username string) (models.User, error) {
	name, err := NormalizeUsername(username)
	if err != nil {
		return models.User{}, fmt.Errorf("%w: %w", models.ErrNotFound, err)
	}
	return s.Store.UserByName(ctx, name)
}

// refuseCredentials gives every caller the same answer; only the log learns the reason.
func refuseCredentials(reason string) error {
	return &Error{
		Code: InvalidCredentials, Err: errors.New(reason),
		Detail: "The username or the password is wrong, or the user may not log in.",
	}
}

// strengthen replaces a hash made with weaker parameters. The login succeeds without it, so a failure is only
// logged; the next login tries again.
func (s *Service) strengthen(ctx context.Context, user models.User, password string) {
	hash, err := s.Hasher.Hash(ctx, password)
	if err == nil {
		err = s.Store.RehashPassword(ctx, user.ID, user.PasswordHash, hash)
	}
	if err != nil {
		s.Logger.WarnContext(ctx, "rehash password", "user_id", user.ID, "error", err)
	}
}

// Identity returns the principal that verified claims name: the tutorial's identity(payload). The principal is shared
// and must not be changed. The error is *Error: token_invalid, token_expired or session_ended; or it wraps
// models.ErrUnavailable, and then nobody may pass.
func (s *Service) Identity(ctx context.Context, claims *Claims) (*Principal, error) {
	now := s.Now()
	if err := claims.checkTimes(now); err != nil {
		return nil, err
	}
	live, err := s.session(ctx, claims.SessionID, now)
	if err != nil {
		return nil, err
	}
	if live.principal.UserID != claims.Identity {
		return nil, tokenFault("its session belongs to another user")
	}
	return &live.principal, nil
}
