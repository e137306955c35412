package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"sherpa/models"
	"sherpa/security"
)

type tokenCommands struct {
	Explain tokenExplainCommand `cmd:"" help:"Show which checks a token passes. Fails unless all pass."`
}

type tokenExplainCommand struct {
	Token string `arg:"" optional:"" help:"The token. Default: standard input."`
	JSON  bool   `name:"json" help:"Print JSON instead of a table."`
}

var errTokenRejected = errors.New("the token is refused")

// Run explains the token with the keys and the database of this machine. It needs no network and changes
// nothing.
func (c tokenExplainCommand) Run(ctx context.Context, config *Config, std Streams) error {
	text, err := c.read(std.In)
	if err != nil {
		return err
	}
	keys, err := config.keyRing()
	if err != nil && !security.IsPersonal(text) {
		return err
	}
	with := security.Explanation{Keys: keys, Settings: config.security(), Now: time.Now()}
	store, err := config.openExisting(ctx)
	switch {
	case err == nil:
		with.Store = store
		defer store.Close() //nolint:errcheck // it has changed nothing
	case !errors.Is(err, models.ErrNoDatabase):
		return err
	}
	checks := security.Explain(ctx, with, text)
	return errors.Join(c.print(std.Out, checks), verdict(checks))
}

func (c tokenExplainCommand) read(in io.Reader) (string, error) {
	if c.Token != "" {
		return c.Token, nil
	}
	return readLine(in, "token")
}

func verdict(checks []security.Check) error {
	for _, check := range checks {
		if !check.OK {
			return errTokenRejected
		}
	}
	return nil
}

func (c tokenExplainCommand) print(out io.Writer, checks []security.Check) error {
	if c.JSON {
		return writeJSON(out, checks)
	}
	table := newTable(out)
	for _, check := range checks {
		verdict := "ok"
		if !check.OK {
			verdict = "FAILS"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", verdict, check.Name, check.Detail) //nolint:errcheck // Flush returns the error
	}
	return table.Flush()
}
