package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"sherpa/models"
	"sherpa/security"
)

// invite creates a user without a password, and prints the token.
func (c userAddCommand) invite(ctx context.Context, service *security.Service, out io.Writer) error {
	user, reset, err := service.InviteUser(ctx, c.Username, c.Role)
	if err != nil {
		return c.explain(err)
	}
	if c.JSON {
		return writeJSON(out, invitedView{viewUser(user), viewReset(reset)})
	}
	if err := c.print(out, user); err != nil {
		return err
	}
	return printReset(out, user, reset)
}

type userResetCommand struct {
	userOutput
	Username string `arg:"" help:"User who sets a new password."`
}

// Run issues a password reset and prints its token.
func (c userResetCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withUser(ctx, config, c.Username, func(service *security.Service, user models.User) error {
		reset, err := service.IssueReset(ctx, user.ID)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(std.Out, viewReset(reset))
		}
		return printReset(std.Out, user, reset)
	})
}

type resetView struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

type invitedView struct {
	userView

	Invitation resetView `json:"invitation"`
}

func viewReset(r security.Reset) resetView { return resetView{r.Token, r.ExpiresAt} }

func printReset(out io.Writer, user models.User, reset security.Reset) error {
	_, err := fmt.Fprintf(out, "With this token %s sets a new password, once, until %s. It is shown once:\n"+
		"  %s\n"+
		"To use it: POST /auth/password-reset with {\"token\": \"…\", \"password\": \"…\"}\n",
		user.Username, reset.ExpiresAt.Format(time.RFC3339), reset.Token)
	return err
}
