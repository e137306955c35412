package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"sherpa/models"
	"sherpa/security"
)

type tokenCommands struct {
	Explain tokenExplainCommand `cmd:"" help:"Say of each check whether an access token passes it. Fails unless it passes all."`
}

type tokenExplainCommand struct {
	Token string `arg:"" optional:"" help:"The token; read from standard input when it is left out, which keeps it out of the shell's history."`
	JSON  bool   `name:"json" help:"Print JSON instead of a table."`
}

var errTokenRefused = errors.New("the token is refused")

// Run explains the token with the keys and the database here; it needs no network and changes nothing.
func (c tokenExplainCommand) Run(ctx context.Context, config *Config, std Streams) (err error) {
	token := c.Token
	if token == "" {
		if token, err = bufio.NewReader(io.LimitReader(std.In, 64<<10)).ReadString('\n'); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read token: %w", err)
		}
	}
	keys, err := config.keyRing()
	if err != nil {
		return err
	}
	store, err := existingStore(ctx, config)
	if err != nil {
		return err
	}
	if store != nil {
		defer func() { err = errors.Join(err, store.Close()) }()
	}
	checks := security.Explain(ctx, keys, config.security(), store, time.Now(), strings.TrimSpace(token))
	return errors.Join(c.print(std.Out, checks), verdict(checks))
}

// existingStore opens the database, or returns nil when there is none: to look is not to make.
func existingStore(ctx context.Context, config *Config) (*models.Store, error) {
	store, err := models.OpenExisting(ctx, config.DatabaseURL)
	if errors.Is(err, models.ErrNoDatabase) {
		return nil, nil //nolint:nilnil // nil is what Explain takes for "no database"
	}
	return store, err
}

func verdict(checks []security.Check) error {
	for _, check := range checks {
		if !check.OK {
			return errTokenRefused
		}
	}
	return nil
}

func (c tokenExplainCommand) print(out io.Writer, checks []security.Check) error {
	if c.JSON {
		return writeJSON(out, checks)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, check := range checks {
		verdict := "ok"
		if !check.OK {
			verdict = "FAILS"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", verdict, check.Name, check.Detail) //nolint:errcheck // Flush returns the error
	}
	return table.Flush()
}
