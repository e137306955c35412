package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sherpa/models"
	"sherpa/security"
)

type sessionCommands struct {
	List sessionListCommand `cmd:"" help:"List the live sessions, the newest first."`
	End  sessionEndCommand  `cmd:"" help:"End one session, those of a user, or all, within a second."`
}

type sessionListCommand struct {
	Username string `arg:"" optional:"" help:"User whose sessions to list. Default: all users."`
	JSON     bool   `name:"json" help:"Print JSON instead of a table."`
}

// Run prints the sessions.
func (c sessionListCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withService(ctx, config, func(service *security.Service) error {
		var userID int64
		if c.Username != "" {
			user, err := findUser(ctx, service, c.Username)
			if err != nil {
				return err
			}
			userID = user.ID
		}
		sessions := service.LiveSessions(ctx, userID)
		if c.JSON {
			return printJSON(std.Out, sessions, viewSession)
		}
		const head = "ID\tUSERNAME\tADDRESS\tCREATED\tLAST USED\tUSER AGENT"
		return printTable(std.Out, sessions, head, sessionLine)
	})
}

type sessionEndCommand struct {
	ID   string `arg:"" optional:"" help:"Session to end."`
	User string `help:"User whose sessions to end." placeholder:"NAME"`
	All  bool   `help:"End every session of every user."`
}

// Run ends the sessions and prints how many.
func (c sessionEndCommand) Run(ctx context.Context, config *Config, std Streams) error {
	if err := c.check(); err != nil {
		return err
	}
	return withService(ctx, config, func(service *security.Service) error {
		ended, err := c.end(ctx, service)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.Out, "ended %d sessions\n", ended)
		return err
	})
}

// check wants exactly one of the three: a mistake here must not log everybody out.
func (c sessionEndCommand) check() error {
	named := slices.DeleteFunc([]bool{c.ID != "", c.User != "", c.All}, func(yes bool) bool { return !yes })
	if len(named) != 1 {
		return errors.New("name one session, or a user with --user NAME, or everybody with --all")
	}
	return nil
}

func (c sessionEndCommand) end(ctx context.Context, service *security.Service) (int, error) {
	if c.All {
		return service.EndAllSessions(ctx)
	}
	if c.User != "" {
		user, err := findUser(ctx, service, c.User)
		if err != nil {
			return 0, err
		}
		return service.EndUserSessions(ctx, user.ID)
	}
	ended, err := service.EndSession(ctx, c.ID)
	switch {
	case errors.Is(err, models.ErrNotFound):
		return 0, fmt.Errorf("there is no session %q", c.ID)
	case ended:
		return 1, err
	}
	return 0, err
}

// sessionView is a session as the command line shows it.
type sessionView struct {
	ID         string    `json:"id"`
	Username   string    `json:"username"`
	Address    string    `json:"address"`
	UserAgent  string    `json:"user_agent"`
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at"`
	EndsAt     time.Time `json:"ends_at"`
}

func viewSession(s models.NamedSession) sessionView {
	return sessionView{
		ID: s.ID, Username: s.Username, Address: s.Address, UserAgent: s.UserAgent,
		CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, EndsAt: s.EndsAt,
	}
}

func sessionLine(s models.NamedSession) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%q", s.ID, s.Username, s.Address,
		s.CreatedAt.Format(time.RFC3339), s.LastUsedAt.Format(time.RFC3339), s.UserAgent)
}
