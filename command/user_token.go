package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"sherpa/models"
	"sherpa/security"
)

type userTokenCommands struct {
	Add    userTokenAddCommand    `cmd:"" help:"Make a token for a user, and print it. Nothing shows it again."`
	List   userTokenListCommand   `cmd:"" help:"List the tokens of a user, without their secrets."`
	Delete userTokenDeleteCommand `cmd:"" help:"Delete a token of a user. It is refused within a second."`
}

type userTokenAddCommand struct {
	Username string           `arg:"" help:"User whose token to make."`
	Name     string           `help:"What the token is for." required:"" placeholder:"TEXT"`
	Days     int              `help:"How many days it lives, 365 at most. Default: 90." default:"90" placeholder:"N"`
	Role     []string         `help:"Role of the user that it has; may be repeated. Without it, none." placeholder:"ROLE"`
	Allow    []security.Allow `help:"Let it reach the account, or the administration; may be repeated." placeholder:"account|admin"`
	JSON     bool             `name:"json" help:"Print JSON instead of the token alone."`
}

// Run makes the token and prints it.
func (c userTokenAddCommand) Run(ctx context.Context, config *Config, std Streams) error {
	if c.Days < 1 {
		return &StatusError{StatusUsage, fmt.Errorf("--days: %d is less than 1", c.Days)}
	}
	return withUser(ctx, config, c.Username, func(service *security.Service, user models.User) error {
		owner := security.Principal{UserID: user.ID, Username: user.Username, Roles: user.Roles}
		t, text, err := service.CreateToken(ctx, owner, c.wanted())
		var broken *security.TokenRuleError
		switch {
		case errors.As(err, &broken):
			return &StatusError{StatusUsage, fmt.Errorf("--%s: %s", tokenFlag(broken.Member), broken.Reason)}
		case errors.Is(err, models.ErrNotFound):
			return fmt.Errorf("add token: the user %s is disabled", user.Username)
		case err != nil:
			return fmt.Errorf("add token: %w", err)
		case c.JSON:
			view := viewToken(t)
			view.Token = text
			return writeJSON(std.Out, view)
		}
		_, err = fmt.Fprintln(std.Out, text)
		return err
	})
}

// tokenFlag is the flag for a member of security.NewToken.
func tokenFlag(member string) string {
	switch member {
	case "expires_in_days":
		return "days"
	case "roles":
		return "role"
	}
	return member
}

func (c userTokenAddCommand) wanted() security.NewToken {
	// More than a year is refused, and must not overflow.
	life := time.Duration(min(c.Days, 1000)) * 24 * time.Hour
	return security.NewToken{Name: c.Name, Life: life, Roles: c.Role, Allows: c.Allow}
}

type userTokenListCommand struct {
	Username string `arg:"" help:"User whose tokens to list."`
	JSON     bool   `name:"json" help:"Print JSON instead of a table."`
}

// Run prints the tokens, the newest first.
func (c userTokenListCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withUser(ctx, config, c.Username, func(service *security.Service, user models.User) error {
		all, err := service.Tokens(ctx, user.ID)
		if err != nil {
			return err
		}
		tokens := func(yield func(models.PersonalToken, error) bool) {
			for _, t := range all {
				if !yield(t, nil) {
					return
				}
			}
		}
		if c.JSON {
			return printJSON(std.Out, tokens, viewToken)
		}
		const head = "ID\tNAME\tROLES\tALLOWED\tCREATED\tEXPIRES\tLAST USED"
		return printTable(std.Out, tokens, head, tokenLine)
	})
}

type userTokenDeleteCommand struct {
	Username string `arg:"" help:"User whose token to delete."`
	ID       string `arg:"" help:"Token to delete: its id, not its text."`
}

// Run deletes the token.
func (c userTokenDeleteCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withUser(ctx, config, c.Username, func(service *security.Service, user models.User) error {
		err := service.DeleteToken(ctx, user.ID, c.ID)
		if errors.Is(err, models.ErrNotFound) { // without the id: somebody may give the whole token
			return fmt.Errorf("the user %s has no token with this id; `sherpa user token list %s` shows all",
				user.Username, user.Username)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.Out, "deleted token %s of %s\n", c.ID, user.Username)
		return err
	})
}

// tokenView is a personal access token as the command line shows it, without the hash.
type tokenView struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Token      string     `json:"token,omitempty"` // once, when it is made
	Roles      []string   `json:"roles"`
	Allows     []string   `json:"allow"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
}

func viewToken(t models.PersonalToken) tokenView {
	view := tokenView{
		ID: t.ID, Name: t.Name, Roles: t.Roles, Allows: t.Allows,
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt,
	}
	if !t.LastUsedAt.IsZero() {
		view.LastUsedAt = &t.LastUsedAt
	}
	return view
}

func tokenLine(t models.PersonalToken) string {
	used := "never"
	if !t.LastUsedAt.IsZero() {
		used = t.LastUsedAt.Format(time.RFC3339)
	}
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", t.ID, cell(t.Name), strings.Join(t.Roles, ","),
		strings.Join(t.Allows, ","), t.CreatedAt.Format(time.RFC3339), t.ExpiresAt.Format(time.RFC3339), used)
}
