package security

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"sherpa/models"
)

// The tutorial's user, for following along on one's own machine.
const (
	DemoUsername = "sherpa"
	DemoPassword = "everest"
)

// AdminUsername and AdminRole are those of the administrator that an empty database gets.
const (
	AdminUsername = "admin"
	AdminRole     = "admin"
)

// ErrDemoUser says that the demo user, whose password everybody knows, could log in where strangers can reach it.
var ErrDemoUser = errors.New("the demo user exists, and its password is known to everybody")

// Accounts creates and changes users.
type Accounts struct {
	Store  *models.Store
	Hasher *Hasher
	Policy PasswordPolicy
	Now    func() time.Time
}

// Create stores a new user whose name and password follow the rules.
func (a *Accounts) Create(ctx context.Context, username, password string, roles []string) (models.User, error) {
	name, err := NormalizeUsername(username)
	if err != nil {
		return models.User{}, err
	}
	if err := checkRoles(roles); err != nil {
		return models.User{}, err
	}
	if err := a.Policy.Check(name, password); err != nil {
		return models.User{}, err
	}
	return a.store(ctx, name, password, roles)
}

// store trusts its arguments: Create has checked them, or they are our own.
func (a *Accounts) store(ctx context.Context, name, password string, roles []string) (models.User, error) {
	hash, err := a.Hasher.hashNormal(ctx, password)
	if err != nil {
		return models.User{}, err
	}
	now := a.Now()
	return a.Store.CreateUser(ctx, models.User{
		Username: name, PasswordHash: hash, Roles: roles, CreatedAt: now, PasswordChangedAt: now,
	})
}

// SetPassword gives the user a new password that follows the rules, and ends the user's sessions.
func (a *Accounts) SetPassword(ctx context.Context, user models.User, password string) error {
	if err := a.Policy.Check(user.Username, password); err != nil {
		return err
	}
	hash, err := a.Hasher.hashNormal(ctx, password)
	if err != nil {
		return err
	}
	_, err = a.Store.SetPassword(ctx, user.ID, hash, "", a.Now())
	return err
}

// Find returns the user with this name in any of its spellings, or models.ErrNotFound.
func (a *Accounts) Find(ctx context.Context, username string) (models.User, error) {
	name, err := NormalizeUsername(username)
	if err != nil {
		return models.User{}, err
	}
	return a.Store.UserByName(ctx, name)
}

// FirstUser is the user that FirstRun created, with the password that is not kept anywhere.
type FirstUser struct {
	Username string
	Password string
}

// FirstRun gives an empty database its first user: the demo user in demo mode, else an administrator with a
// generated password. It reports whether it created one. Outside demo mode it returns ErrDemoUser when the demo
// user could log in.
func (a *Accounts) FirstRun(ctx context.Context, demo bool) (first FirstUser, created bool, err error) {
	empty, err := a.Store.Empty(ctx)
	switch {
	case err != nil:
		return FirstUser{}, false, err
	case empty && demo:
		return a.first(ctx, FirstUser{DemoUsername, DemoPassword}, nil)
	case empty:
		return a.first(ctx, FirstUser{AdminUsername, newID()}, []string{AdminRole})
	case demo:
		return FirstUser{}, false, nil
	}
	return FirstUser{}, false, a.refuseDemoUser(ctx)
}

// first may lose against another process that starts on the same empty database; then that one tells the password.
func (a *Accounts) first(ctx context.Context, user FirstUser, roles []string) (FirstUser, bool, error) {
	_, err := a.store(ctx, user.Username, user.Password, roles)
	if errors.Is(err, models.ErrUsernameTaken) {
		return FirstUser{}, false, nil
	}
	if err != nil {
		return FirstUser{}, false, fmt.Errorf("create first user: %w", err)
	}
	return user, true, nil
}

// refuseDemoUser looks at the password rather than the name: sherpa is a good name once the password is its own.
func (a *Accounts) refuseDemoUser(ctx context.Context) error {
	user, err := a.Store.UserByName(ctx, DemoUsername)
	if errors.Is(err, models.ErrNotFound) || err == nil && user.Disabled() {
		return nil
	}
	if err != nil {
		return err
	}
	demo, _, err := a.Hasher.Verify(ctx, user.PasswordHash, DemoPassword)
	if err == nil && demo {
		return ErrDemoUser
	}
	return err
}

var roleName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

const maxRoles = 16

func checkRoles(roles []string) error {
	if len(roles) > maxRoles {
		return fmt.Errorf("a user has at most %d roles", maxRoles)
	}
	for _, role := range roles {
		if !roleName.MatchString(role) {
			return fmt.Errorf("role %q: a role is a lower-case letter and up to 31 letters, digits, - or _", role)
		}
	}
	return nil
}
