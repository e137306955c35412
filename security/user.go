package security

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"

	"sherpa/models"
	"sherpa/security/password"
)

// CreateUser stores a new user whose name, password and roles follow the rules. The error is
// models.ErrUsernameTaken, *RejectedError or *password.RejectedError.
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

// User returns the user with this id, or models.ErrNotFound.
func (s *Service) User(ctx context.Context, userID int64) (models.User, error) {
	return s.Store.UserByID(ctx, userID)
}

// UserPage returns a page of the users whom the filter wants. The prefix may be in any spelling. The error is
// *RejectedError when no user can have the role.
func (s *Service) UserPage(
	ctx context.Context, filter models.UserFilter, page models.Page[string],
) ([]models.User, error) {
	if filter.Role != "" && !IsRole(filter.Role) {
		return nil, checkRoles([]string{filter.Role})
	}
	if name, err := NormalizeUsername(filter.Prefix); err == nil { // else nobody has it, or a part of a name
		filter.Prefix = name
	}
	users, err := s.Store.UserPage(ctx, filter, page)
	if errors.Is(err, models.ErrNotFound) { // the text of the request is one that no name can have
		return nil, nil
	}
	return users, err
}

// SetPassword gives a user a new password on behalf of an operator. It ends all sessions of the user and
// deletes all personal access tokens, as a redeemed reset does: this is how an account is recovered after a
// theft. The error is models.ErrNotFound or *password.RejectedError.
func (s *Service) SetPassword(ctx context.Context, userID int64, next string) error {
	user, err := s.Store.UserByID(ctx, userID)
	if err != nil {
		return err
	}
	hash, err := s.hashNew(ctx, user, next)
	if err != nil {
		return err
	}
	ended, err := s.Store.RecoverUser(ctx, user.ID, hash, s.Now())
	return s.passwordSet(ended, err)
}

// ChangePassword sets the principal's own password, and ends the principal's other sessions. Personal access
// tokens stay. It asks for the current password, and its failures count as failed logins: a stolen token must
// not become a stolen account.
// The error is *Error with code wrong_password, throttled or overloaded, or *password.RejectedError.
func (s *Service) ChangePassword(
	ctx context.Context, p Principal, client Client, current, next string,
) error {
	user, err := s.confirmPassword(ctx, models.EventPasswordChangeFailed, p, client, current)
	if err != nil {
		return err
	}
	if current == next {
		return &password.RejectedError{Reason: "the new password is the current one"}
	}
	hash, err := s.hashNew(ctx, user, next)
	if err != nil {
		return err
	}
	ctx = As(WithClient(ctx, client), p)
	ended, err := s.Store.SetPassword(ctx, user.ID, hash, p.SessionID, s.Now())
	return s.passwordSet(ended, err)
}

// confirmPassword returns the principal's user if this is the current password. Failures count as failed
// logins, and are recorded as this kind of event. The error is *Error with code wrong_password, throttled or
// overloaded.
func (s *Service) confirmPassword(
	ctx context.Context, kind models.EventKind, p Principal, client Client, current string,
) (models.User, error) {
	ctx = As(WithClient(ctx, client), p)
	user, err := s.authenticateThrottled(ctx, kind, Credentials{p.Username, current}, client)
	if HasCode(err, InvalidCredentials) {
		return models.User{}, &Error{Code: WrongPassword, Err: err}
	}
	return user, err
}

// hashNew returns the hash of a new password that follows the rules.
func (s *Service) hashNew(ctx context.Context, user models.User, next string) (string, error) {
	if err := s.Policy.Check(user.Username, next); err != nil {
		return "", err
	}
	hash, err := s.Hasher.Hash(ctx, next)
	return hash, hashError(err)
}

// passwordSet ends what the store has done for a new password.
func (s *Service) passwordSet(ended []string, err error) error {
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	s.Metrics.SessionsEnded(string(models.EndedByPasswordChange), len(ended))
	return nil
}

// UserChange is what ChangeUser changes. A nil field leaves things as they are.
type UserChange struct {
	Versions []string // those of the states that may be changed; nil for every state
	Roles    []string // all of them; empty for none
	Disabled *bool
}

// ChangeUser changes a user, and returns the user afterwards. Roles count from the next request on, in
// sessions that live as well; those of a disabled user end. The error is *RejectedError, models.ErrNotFound,
// models.ErrChanged or models.ErrLastAdmin.
func (s *Service) ChangeUser(ctx context.Context, userID int64, change UserChange) (models.User, error) {
	c := models.UserChange{Versions: change.Versions, Disabled: change.Disabled}
	if change.Roles != nil {
		c.Roles = func([]string) ([]string, error) { return change.Roles, checkRoles(change.Roles) }
	}
	return s.changeUser(ctx, userID, c)
}

// AddRole gives a user a role, and returns the user afterwards. The errors are those of ChangeUser.
func (s *Service) AddRole(ctx context.Context, userID int64, role string) (models.User, error) {
	return s.changeUser(ctx, userID, models.UserChange{Roles: func(roles []string) ([]string, error) {
		if !slices.Contains(roles, role) {
			roles = append(roles, role)
		}
		return roles, checkRoles(roles)
	}})
}

// RemoveRole takes a role from a user, and returns the user afterwards. The errors are those of ChangeUser.
func (s *Service) RemoveRole(ctx context.Context, userID int64, role string) (models.User, error) {
	return s.changeUser(ctx, userID, models.UserChange{Roles: func(roles []string) ([]string, error) {
		return slices.DeleteFunc(roles, func(r string) bool { return r == role }), nil
	}})
}

func (s *Service) changeUser(
	ctx context.Context, userID int64, change models.UserChange,
) (models.User, error) {
	changed, err := s.Store.ChangeUser(ctx, userID, change, s.Now())
	if err != nil {
		return models.User{}, fmt.Errorf("change user: %w", err)
	}
	s.Metrics.SessionsEnded(string(models.EndedByDisable), len(changed.Ended))
	return changed.User, nil
}

// DisableUser stops a user from logging in, and ends the sessions of the user. The error is
// models.ErrNotFound or models.ErrLastAdmin.
func (s *Service) DisableUser(ctx context.Context, userID int64) error {
	_, err := s.changeUser(ctx, userID, models.UserChange{Disabled: new(true)})
	return err
}

// EnableUser lets a disabled user log in again. The error is models.ErrNotFound.
func (s *Service) EnableUser(ctx context.Context, userID int64) error {
	_, err := s.changeUser(ctx, userID, models.UserChange{Disabled: new(false)})
	return err
}

// DeleteUser deletes a user and the sessions of the user. With versions, the user must have one of them. The
// error is models.ErrNotFound, models.ErrChanged or models.ErrLastAdmin.
func (s *Service) DeleteUser(ctx context.Context, userID int64, versions ...string) error {
	ended, err := s.Store.DeleteUser(ctx, userID, s.Now(), versions...)
	if err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	s.Metrics.SessionsEnded(string(models.EndedByDisable), len(ended))
	return nil
}

const maxRoles = 16

// checkRoles returns *RejectedError when no user can have these roles.
func checkRoles(roles []string) error {
	if len(roles) > maxRoles {
		return &RejectedError{PartRoles, fmt.Sprintf("a user has at most %d roles", maxRoles)}
	}
	for i, role := range roles {
		if !IsRole(role) {
			return &RejectedError{PartRoles, fmt.Sprintf(
				"role %q: use a lower-case letter, then up to 31 letters, digits, - or _", role)}
		}
		if slices.Contains(roles[:i], role) {
			return &RejectedError{PartRoles, fmt.Sprintf("role %q appears more than once", role)}
		}
	}
	return nil
}

var roleName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// IsRole reports whether a user can have a role of this name.
func IsRole(name string) bool { return roleName.MatchString(name) }
