package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"sherpa/models"
	"sherpa/security"
)

type sessionCommands struct {
	List sessionListCommand `cmd:"" help:"List the sessions that live, the newest first."`
	End  sessionEndCommand  `cmd:"" help:"End one session, or all of a user. Takes effect within a second."`
}

type sessionListCommand struct {
	Username string `arg:"" optional:"" help:"Whose sessions; all users' by default."`
	JSON     bool   `name:"json" help:"Print JSON instead of a table."`
}

// Run prints the sessions.
func (c sessionListCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withAccounts(ctx, config, func(accounts *security.Accounts) error {
		var userID int64
		if c.Username != "" {
			user, err := find(ctx, accounts, c.Username)
			if err != nil {
				return err
			}
			userID = user.ID
		}
		sessions := accounts.Store.LiveSessions(ctx, userID, accounts.Now())
		if c.JSON {
			return printJSON(std.Out, sessions, viewSession)
		}
		return printSessions(std.Out, sessions)
	})
}

type sessionEndCommand struct {
	ID   string `arg:"" optional:"" help:"Which session."`
	User string `help:"End all sessions of this user." placeholder:"NAME"`
}

// Run ends the sessions and says how many.
func (c sessionEndCommand) Run(ctx context.Context, config *Config, std Streams) error {
	if (c.ID == "") == (c.User == "") {
		return errors.New("name one session, or a user with --user")
	}
	return withAccounts(ctx, config, func(accounts *security.Accounts) error {
		ended, err := c.end(ctx, accounts)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(std.Out, "ended %d sessions\n", ended)
		return err
	})
}

func (c sessionEndCommand) end(ctx context.Context, accounts *security.Accounts) (int, error) {
	if c.User != "" {
		user, err := find(ctx, accounts, c.User)
		if err != nil {
			return 0, err
		}
		ended, err := accounts.Store.EndSessions(ctx, user.ID, "", models.EndedByOperator, accounts.Now())
		return len(ended), err
	}
	session, _, err := accounts.Store.SessionWithUser(ctx, c.ID)
	if errors.Is(err, models.ErrNotFound) {
		return 0, fmt.Errorf("there is no session %q", c.ID)
	}
	if err != nil {
		return 0, err
	}
	ended, err := accounts.Store.EndSession(ctx, session.UserID, session.ID, models.EndedByOperator, accounts.Now())
	if ended {
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

func printSessions(out io.Writer, sessions iter.Seq2[models.NamedSession, error]) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tUSERNAME\tADDRESS\tCREATED\tLAST USED\tUSER AGENT") //nolint:errcheck // Flush returns the error
	for s, err := range sessions {
		if err != nil {
			return err
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%q\n", s.ID, s.Username, s.Address, s.CreatedAt.Format(time.RFC3339), s.LastUsedAt.Format(time.RFC3339), s.UserAgent) //nolint:errcheck // as above
	}
	return table.Flush()
}

// writeJSON prints one value.
func writeJSON(out io.Writer, value any) error {
	if err := json.MarshalWrite(out, value, jsontext.Multiline(true)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

// printJSON prints an array while it reads, because there may be millions.
func printJSON[Row, View any](out io.Writer, rows iter.Seq2[Row, error], view func(Row) View) error {
	encoder := jsontext.NewEncoder(out, jsontext.Multiline(true))
	if err := encoder.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := json.MarshalEncode(encoder, view(row)); err != nil {
			return err
		}
	}
	return encoder.WriteToken(jsontext.EndArray)
}
