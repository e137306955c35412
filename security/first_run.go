package security

import (
	"context"
	"errors"
	"fmt"

	"sherpa/models"
)

// AdminUsername is the name of the administrator whom an empty database gets.
const AdminUsername = "admin"

// AdminRole is the role of administrators. At least one of them, once there is one, may log in.
const AdminRole = models.AdminRole

// ErrDemoUser says that the demo user, whose password everybody knows, could log in where strangers can reach
// it.
var ErrDemoUser = errors.New("the demo user exists, and everybody knows its password")

// FirstUser is the user that FirstRun created. Nothing else keeps the password.
type FirstUser struct {
	Username string
	Password string
}

// FirstRun gives an empty database its first user: the demo user in demo mode, else an administrator with a
// generated password. It reports whether it created one. Outside demo mode it returns ErrDemoUser when the
// demo user could log in.
func (s *Service) FirstRun(ctx context.Context, demo bool) (first FirstUser, created bool, err error) {
	empty, err := s.Store.Empty(ctx)
	switch {
	case err != nil:
		return FirstUser{}, false, err
	case empty && demo:
		return s.createFirst(ctx, FirstUser{DemoUsername, DemoPassword}, nil)
	case empty:
		return s.createFirst(ctx, FirstUser{AdminUsername, newID()}, []string{AdminRole})
	case demo:
		return FirstUser{}, false, nil
	}
	return FirstUser{}, false, s.checkDemoUser(ctx)
}

// createFirst creates nothing when another process on the same empty database was faster. That one shows the
// password.
func (s *Service) createFirst(ctx context.Context, user FirstUser, roles []string) (FirstUser, bool, error) {
	_, err := s.storeUser(ctx, user.Username, user.Password, roles)
	if errors.Is(err, models.ErrUsernameTaken) {
		return FirstUser{}, false, nil
	}
	if err != nil {
		return FirstUser{}, false, fmt.Errorf("create first user: %w", err)
	}
	return user, true, nil
}

// checkDemoUser checks the password rather than the name: sherpa is a good name with a password of its own.
func (s *Service) checkDemoUser(ctx context.Context) error {
	user, err := s.Store.UserByName(ctx, DemoUsername)
	if errors.Is(err, models.ErrNotFound) || err == nil && user.Disabled() {
		return nil
	}
	if err != nil {
		return err
	}
	demo, _, err := s.Hasher.Verify(ctx, user.PasswordHash, DemoPassword)
	if err == nil && demo {
		return ErrDemoUser
	}
	return err
}
