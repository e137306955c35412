package security

import (
	"context"
	"fmt"
	"iter"
	"regexp"

	"sherpa/models"
	"sherpa/security/password"
)

// CreateUser stores a new user whose name, password and roles follow the rules. The error is
// models.ErrUsernameTaken, or says which rule is broken.
func (s *Service) CreateUser(
	ctx context.Context, username, given string, roles []string,
) (models.User, error) {
	name, err := NormalizeUsername(username)
	if err != nil {
		return models.User{}, err
	}
	if err := checkRoles(roles); err != nil {
		return models.User{}, err
	}
	if err := s.Policy.Check(name, given); err != nil {
		return models.User{}, err
	}
	return s.storeUser(ctx, name, given, roles)
}

// storeUser trusts its arguments: CreateUser has checked them, or they are our own.
func (s *Service) storeUser(ctx context.Context, name, given string, roles []string) (models.User, error) {
	hash, err := s.Hasher.Hash(ctx, given)
	if err != nil {
		return models.User{}, hashError(err)
	}
	now := s.Now()
	return s.Store.CreateUser(ctx, models.User{
		Username: name, PasswordHash: hash, Roles: roles, CreatedAt: now, PasswordChangedAt: now,
	})
}

// Users yields all users in the order of their names. An error ends the sequence.
func (s *Service) Users(ctx context.Context) iter.Seq2[models.User, error] { return s.Store.Users(ctx) }

// SetPassword gives a user a new password on behalf of an operator, and ends all sessions of the user. The
// error is models.ErrNotFound or *password.RejectedError.
func (s *Service) SetPassword(ctx context.Context, userID int64, next string) error {
	user, err := s.Store.UserByID(ctx, userID)
	if err != nil {
		return err
	}
	return s.setPassword(ctx, user, next, "")
}

// ChangePassword sets the principal's own password, and ends the principal's other sessions. It asks for the
// current password, and its failures count as failed logins: a stolen token must not become a stolen account.
// The error is *Error with code wrong_password, throttled or overloaded, or *password.RejectedError.
func (s *Service) ChangePassword(
	ctx context.Context, p Principal, client Client, current, next string,
) error {
	ctx = As(WithClient(ctx, client), p)
	kind := models.EventPasswordChangeFailed
	user, err := s.authenticateThrottled(ctx, kind, Credentials{p.Username, current}, client)
	if HasCode(err, InvalidCredentials) {
		return &Error{Code: WrongPassword, Err: err}
	}
	if err != nil {
		return err
	}
	if current == next {
		return &password.RejectedError{Reason: "the new password is the current one"}
	}
	return s.setPassword(ctx, user, next, p.SessionID)
}

// setPassword ends all sessions of the user except one ("" for no exception).
func (s *Service) setPassword(ctx context.Context, user models.User, next, except string) error {
	if err := s.Policy.Check(user.Username, next); err != nil {
		return err
	}
	hash, err := s.Hasher.Hash(ctx, next)
	if err != nil {
		return hashError(err)
	}
	ended, err := s.Store.SetPassword(ctx, user.ID, hash, except, s.Now())
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	s.forget(models.EndedByPasswordChange, ended)
	return nil
}

// SetRoles replaces the roles of a user. They count from the next request on, in sessions that live as well.
// The error is models.ErrNotFound, or says which role is wrong.
func (s *Service) SetRoles(ctx context.Context, userID int64, roles []string) error {
	if err := checkRoles(roles); err != nil {
		return err
	}
	live, err := s.Store.SetRoles(ctx, userID, roles, s.Now())
	s.cache.evict(live...)
	return err
}

// DisableUser stops a user from logging in, and ends the sessions of the user. The error is
// models.ErrNotFound.
func (s *Service) DisableUser(ctx context.Context, userID int64) error {
	ended, err := s.Store.DisableUser(ctx, userID, s.Now())
	s.forget(models.EndedByDisable, ended)
	return err
}

// EnableUser lets a disabled user log in again. The error is models.ErrNotFound.
func (s *Service) EnableUser(ctx context.Context, userID int64) error {
	return s.Store.EnableUser(ctx, userID, s.Now())
}

// DeleteUser deletes a user and the sessions of the user. The error is models.ErrNotFound.
func (s *Service) DeleteUser(ctx context.Context, userID int64) error {
	ended, err := s.Store.DeleteUser(ctx, userID, s.Now())
	s.cache.evict(ended...)
	return err
}

const maxRoles = 16

func checkRoles(roles []string) error {
	if len(roles) > maxRoles {
		return fmt.Errorf("a user has at most %d roles", maxRoles)
	}
	for _, role := range roles {
		if !IsRole(role) {
			return fmt.Errorf("role %q: use a lower-case letter, then up to 31 letters, digits, - or _", role)
		}
	}
	return nil
}

var roleName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// IsRole reports whether a user can have a role of this name.
func IsRole(name string) bool { return roleName.MatchString(name) }
