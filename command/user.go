package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"sherpa/models"
	"sherpa/security"
)

type userCommands struct {
	Add     userAddCommand     `cmd:"" help:"Create a user. The password comes from a prompt, or from standard input."`
	List    userListCommand    `cmd:"" help:"List the users."`
	Passwd  userPasswdCommand  `cmd:"" help:"Set a user's password, which ends the user's sessions."`
	Disable userDisableCommand `cmd:"" help:"Bar a user and end the user's sessions."`
	Enable  userEnableCommand  `cmd:"" help:"Let a disabled user log in again."`
	Delete  userDeleteCommand  `cmd:"" help:"Delete a user and the user's sessions."`
}

// userOutput is what all of the commands that print a user have in common.
type userOutput struct {
	JSON bool `name:"json" help:"Print JSON instead of a table."`
}

type userAddCommand struct {
	userOutput
	Username string   `arg:"" help:"Name to log in with."`
	Role     []string `help:"Role of the user; may be repeated." placeholder:"ROLE"`
}

// Run creates the user and prints it.
func (c userAddCommand) Run(ctx context.Context, config *Config, std Streams) error {
	store, err := openStore(ctx, config)
	if err != nil {
		return err
	}
	return useAccounts(config, store, func(accounts *security.Accounts) error {
		password, err := readPassword(ctx, std)
		if err != nil {
			return err
		}
		user, err := accounts.Create(ctx, c.Username, password, c.Role)
		if err != nil {
			return fmt.Errorf("add user: %w", err)
		}
		return c.print(std.Out, user)
	})
}

type userListCommand struct {
	userOutput
}

// Run prints all users in the order of their names.
func (c userListCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withAccounts(ctx, config, func(accounts *security.Accounts) error {
		return c.printAll(std.Out, accounts.Store.Users(ctx))
	})
}

type userPasswdCommand struct {
	userOutput
	Username string `arg:"" help:"Whose password to set."`
}

// Run sets the password and prints the user.
func (c userPasswdCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return c.change(ctx, config, std, c.Username, func(accounts *security.Accounts, user models.User) error {
		password, err := readPassword(ctx, std)
		if err != nil {
			return err
		}
		return accounts.SetPassword(ctx, user, password)
	})
}

type userDisableCommand struct {
	userOutput
	Username string `arg:"" help:"Whom to bar."`
}

// Run disables the user and prints it.
func (c userDisableCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return c.change(ctx, config, std, c.Username, func(accounts *security.Accounts, user models.User) error {
		return accounts.Store.DisableUser(ctx, user.ID, accounts.Now())
	})
}

type userEnableCommand struct {
	userOutput
	Username string `arg:"" help:"Whom to let in again."`
}

// Run enables the user and prints it.
func (c userEnableCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return c.change(ctx, config, std, c.Username, func(accounts *security.Accounts, user models.User) error {
		return accounts.Store.EnableUser(ctx, user.ID)
	})
}

type userDeleteCommand struct {
	userOutput
	Username string `arg:"" help:"Whom to delete."`
}

// Run deletes the user.
func (c userDeleteCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withAccounts(ctx, config, func(accounts *security.Accounts) error {
		user, err := find(ctx, accounts, c.Username)
		if err != nil {
			return err
		}
		if err := accounts.Store.DeleteUser(ctx, user.ID, accounts.Now()); err != nil {
			return err
		}
		if c.JSON {
			return c.print(std.Out, user)
		}
		_, err = fmt.Fprintf(std.Out, "deleted user %s\n", user.Username)
		return err
	})
}

// change applies fn to the named user and prints the user as it is afterwards.
func (o userOutput) change(ctx context.Context, config *Config, std Streams, username string, fn func(*security.Accounts, models.User) error) error {
	return withAccounts(ctx, config, func(accounts *security.Accounts) error {
		user, err := find(ctx, accounts, username)
		if err != nil {
			return err
		}
		if err := fn(accounts, user); err != nil {
			return err
		}
		user, err = accounts.Store.UserByID(ctx, user.ID)
		if err != nil {
			return err
		}
		return o.print(std.Out, user)
	})
}

// withAccounts opens the database for a command. A command that only looks or changes makes none: the path is mistyped.
func withAccounts(ctx context.Context, config *Config, fn func(*security.Accounts) error) error {
	store, err := models.OpenExisting(ctx, config.DatabaseURL)
	if err != nil {
		return err
	}
	return useAccounts(config, store, fn)
}

func useAccounts(config *Config, store *models.Store, fn func(*security.Accounts) error) (err error) {
	defer func() { err = errors.Join(err, store.Close()) }()
	return fn(newAccounts(config, store))
}

func find(ctx context.Context, accounts *security.Accounts, username string) (models.User, error) {
	user, err := accounts.Find(ctx, username)
	if errors.Is(err, models.ErrNotFound) {
		return models.User{}, fmt.Errorf("there is no user %q", username)
	}
	return user, err
}

// readPassword asks twice without echo on a terminal, and else takes the first line of standard input. A password
// is never an argument: every process of the machine can read those.
func readPassword(ctx context.Context, std Streams) (string, error) {
	terminal, ok := std.In.(*os.File)
	if !ok || !isTerminal(terminal) {
		line, err := bufio.NewReader(io.LimitReader(std.In, 64<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	first, err := prompt(ctx, terminal, std.Err, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := prompt(ctx, terminal, std.Err, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}

// prompt reads a line without echo. An interrupt gives the terminal its echo back.
func prompt(ctx context.Context, terminal *os.File, out io.Writer, label string) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	fmt.Fprint(out, label)  //nolint:errcheck // a prompt that cannot be shown can still be answered
	defer fmt.Fprintln(out) //nolint:errcheck // as above
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.Join(errors.New("interrupted; nothing was changed"), term.Restore(fd, before))
	case got := <-read:
		if got.err != nil {
			return "", fmt.Errorf("read password: %w", got.err)
		}
		return string(got.text), nil
	}
}

// userView is a user as the command line shows it; the hash is not part of it.
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

func (o userOutput) print(out io.Writer, user models.User) error {
	if o.JSON {
		return writeJSON(out, viewUser(user))
	}
	return printTable(out, func(yield func(models.User, error) bool) { yield(user, nil) })
}

func (o userOutput) printAll(out io.Writer, users iter.Seq2[models.User, error]) error {
	if o.JSON {
		return printJSON(out, users, viewUser)
	}
	return printTable(out, users)
}

func printTable(out io.Writer, users iter.Seq2[models.User, error]) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tUSERNAME\tROLES\tCREATED\tSTATE") //nolint:errcheck // Flush returns the error
	for u, err := range users {
		if err != nil {
			return err
		}
		state := "enabled"
		if u.Disabled() {
			state = "disabled " + u.DisabledAt.Format(time.RFC3339)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\n", u.ID, u.Username, strings.Join(u.Roles, ","), u.CreatedAt.Format(time.RFC3339), state) //nolint:errcheck // as above
	}
	return table.Flush()
}
