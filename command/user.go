package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"sherpa/models"
	"sherpa/security"
)

type userCommands struct {
	Add     userAddCommand     `cmd:"" help:"Create a user, with a password from a prompt or standard input."`
	List    userListCommand    `cmd:"" help:"List the users."`
	Passwd  userPasswdCommand  `cmd:"" help:"Set a user's password, end the user's sessions, delete the user's tokens."`
	Reset   userResetCommand   `cmd:"" help:"Print a token with which a user sets a new password, once."`
	Role    userRoleCommands   `cmd:"" help:"Give and take roles, within a second."`
	Disable userDisableCommand `cmd:"" help:"Stop a user from logging in, and end the user's sessions."`
	Enable  userEnableCommand  `cmd:"" help:"Let a disabled user log in again."`
	Delete  userDeleteCommand  `cmd:"" help:"Delete a user and the user's sessions."`
	Token   userTokenCommands  `cmd:"" help:"Manage a user's personal access tokens."`
}

// userOutput is the flag of all commands that print a user.
type userOutput struct {
	JSON bool `name:"json" help:"Print JSON instead of a table."`
}

type userAddCommand struct {
	userOutput
	Username string   `arg:"" help:"Name to log in with."`
	Role     []string `help:"Role of the user; may be repeated." placeholder:"ROLE"`
	Invite   bool     `help:"Ask for no password; print a token with which the user sets one, once."`
}

// Run creates the user and prints it.
func (c userAddCommand) Run(ctx context.Context, config *Config, std Streams) error {
	store, err := config.openStore(ctx)
	if err != nil {
		return err
	}
	return useService(config, store, func(service *security.Service) error {
		if c.Invite {
			return c.invite(ctx, service, std.Out)
		}
		password, err := readPassword(ctx, std)
		if err != nil {
			return err
		}
		user, err := service.CreateUser(ctx, c.Username, password, c.Role)
		if err != nil {
			return c.explain(err)
		}
		return c.print(std.Out, user)
	})
}

func (c userAddCommand) explain(err error) error {
	if errors.Is(err, models.ErrUsernameTaken) {
		return fmt.Errorf("add user: the username %q is taken", c.Username)
	}
	return fmt.Errorf("add user: %w", err)
}

type userListCommand struct {
	userOutput
}

// Run prints all users in the order of their names.
func (c userListCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withService(ctx, config, func(service *security.Service) error {
		if c.JSON {
			return printJSON(std.Out, service.Users(ctx), viewUser)
		}
		return printUsers(std.Out, service.Users(ctx))
	})
}

type userPasswdCommand struct {
	userOutput
	Username string `arg:"" help:"User whose password to set."`
}

// Run sets the password and prints the user.
func (c userPasswdCommand) Run(ctx context.Context, config *Config, std Streams) error {
	setPassword := func(service *security.Service, ctx context.Context, userID int64) error {
		password, err := readPassword(ctx, std)
		if err != nil {
			return err
		}
		return service.SetPassword(ctx, userID, password)
	}
	return c.change(ctx, config, std, c.Username, setPassword)
}

type userRoleCommands struct {
	Add    userRoleAddCommand    `cmd:"" help:"Give a user a role."`
	Remove userRoleRemoveCommand `cmd:"" help:"Take a role from a user."`
}

// userRole is what both commands take.
type userRole struct {
	userOutput
	Username string `arg:"" help:"User whose roles to change."`
	Role     string `arg:"" help:"The role."`
}

type userRoleAddCommand struct{ userRole }

// Run gives the role and prints the user.
func (c userRoleAddCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return c.change(ctx, config, std, c.Username,
		func(service *security.Service, ctx context.Context, userID int64) error {
			_, err := service.AddRole(ctx, userID, c.Role)
			return err
		})
}

type userRoleRemoveCommand struct{ userRole }

// Run takes the role and prints the user.
func (c userRoleRemoveCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return c.change(ctx, config, std, c.Username,
		func(service *security.Service, ctx context.Context, userID int64) error {
			_, err := service.RemoveRole(ctx, userID, c.Role)
			return err
		})
}

type userDisableCommand struct {
	userOutput
	Username string `arg:"" help:"User to disable."`
}

// Run disables the user and prints it.
func (c userDisableCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return c.change(ctx, config, std, c.Username, (*security.Service).DisableUser)
}

type userEnableCommand struct {
	userOutput
	Username string `arg:"" help:"User to enable."`
}

// Run enables the user and prints it.
func (c userEnableCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return c.change(ctx, config, std, c.Username, (*security.Service).EnableUser)
}

type userDeleteCommand struct {
	userOutput
	Username string `arg:"" help:"User to delete."`
}

// Run deletes the user.
func (c userDeleteCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withUser(ctx, config, c.Username, func(service *security.Service, user models.User) error {
		if err := service.DeleteUser(ctx, user.ID); err != nil {
			return err
		}
		if c.JSON {
			return c.print(std.Out, user)
		}
		_, err := fmt.Fprintf(std.Out, "deleted user %s\n", user.Username)
		return err
	})
}

// change applies do to the named user, and prints the user afterwards.
func (o userOutput) change(
	ctx context.Context, config *Config, std Streams, username string,
	do func(service *security.Service, ctx context.Context, userID int64) error,
) error {
	return withUser(ctx, config, username, func(service *security.Service, user models.User) error {
		if err := do(service, ctx, user.ID); err != nil {
			return err
		}
		user, err := findUser(ctx, service, username)
		if err != nil {
			return err
		}
		return o.print(std.Out, user)
	})
}

// withUser is withService for a command about the named user.
func withUser(
	ctx context.Context, config *Config, username string,
	do func(service *security.Service, user models.User) error,
) error {
	return withService(ctx, config, func(service *security.Service) error {
		user, err := findUser(ctx, service, username)
		if err != nil {
			return err
		}
		return do(service, user)
	})
}

func findUser(ctx context.Context, service *security.Service, username string) (models.User, error) {
	user, err := service.FindUser(ctx, username)
	if errors.Is(err, models.ErrNotFound) {
		return models.User{}, fmt.Errorf("there is no user %q; `sherpa user list` shows all", username)
	}
	return user, err
}

func (o userOutput) print(out io.Writer, user models.User) error {
	if o.JSON {
		return writeJSON(out, viewUser(user))
	}
	return printUsers(out, func(yield func(models.User, error) bool) { yield(user, nil) })
}

// userView is a user as the command line shows it, without the password hash.
type userView struct {
	ID         int64      `json:"id"`
	Username   string     `json:"username"`
	Roles      []string   `json:"roles"`
	CreatedAt  time.Time  `json:"created_at"`
	DisabledAt *time.Time `json:"disabled_at"`
}

func viewUser(u models.User) userView {
	view := userView{ID: u.ID, Username: u.Username, Roles: u.Roles, CreatedAt: u.CreatedAt}
	if u.Disabled() {
		view.DisabledAt = &u.DisabledAt
	}
	return view
}

func printUsers(out io.Writer, users iter.Seq2[models.User, error]) error {
	return printTable(out, users, "ID\tUSERNAME\tROLES\tCREATED\tSTATE", func(u models.User) string {
		state := "enabled"
		switch {
		case u.Disabled():
			state = "disabled " + u.DisabledAt.Format(time.RFC3339)
		case !u.HasPassword():
			state = "invited"
		}
		return fmt.Sprintf("%d\t%s\t%s\t%s\t%s",
			u.ID, u.Username, strings.Join(u.Roles, ","), u.CreatedAt.Format(time.RFC3339), state)
	})
}
