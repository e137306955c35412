package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"sherpa/models"
)

// The values of the setting Migrate.
const (
	migrateAuto = "auto"
	migrateWait = "wait"
	migrateOff  = "off"
)

// openStore opens the database for a command that may create it, unless that is left to `sherpa db migrate`.
func (c *Config) openStore(ctx context.Context) (*models.Store, error) {
	if c.Migrate == migrateAuto {
		return models.Open(ctx, c.DatabaseURL)
	}
	return models.OpenMigrated(ctx, c.DatabaseURL)
}

// openExisting opens the database for a command that creates none: a mistyped path must have no effect.
func (c *Config) openExisting(ctx context.Context) (*models.Store, error) {
	if c.Migrate == migrateAuto {
		return models.OpenExisting(ctx, c.DatabaseURL)
	}
	return models.OpenMigrated(ctx, c.DatabaseURL)
}

// waitForStore opens the database for a server. It retries while the database is down, because a replica that
// starts during an outage must be there at its end, and reports whether there was one. It also waits for
// migrations where somebody else applies them.
func waitForStore(
	ctx context.Context, config *Config, logger *slog.Logger,
) (store *models.Store, outage bool, err error) {
	said := ""
	for {
		store, err = config.openStore(ctx)
		reason := config.worthWaiting(err)
		if reason == "" || ctx.Err() != nil {
			return store, outage, err
		}
		outage = outage || errors.Is(err, models.ErrUnavailable)
		if said != reason {
			logger.WarnContext(ctx, reason, "error", err)
			said = reason
		}
		select {
		case <-ctx.Done():
			return nil, outage, err
		case <-time.After(time.Second):
		}
	}
}

// worthWaiting says what a server waits for after an error, or nothing.
func (c *Config) worthWaiting(err error) string {
	old := errors.Is(err, models.ErrPending) || errors.Is(err, models.ErrNoDatabase)
	switch {
	case errors.Is(err, models.ErrUnavailable):
		return "waiting for the database"
	case old && c.Migrate == migrateWait:
		return "waiting for the schema of the database: run `sherpa db migrate`"
	}
	return ""
}

// explainDatabase adds to an error of the database the command that helps.
func (c *Config) explainDatabase(err error) error {
	switch {
	case errors.Is(err, models.ErrPending):
		return fmt.Errorf("%w; apply them with `sherpa db migrate`", err)
	case errors.Is(err, models.ErrNoDatabase) && c.Migrate != migrateAuto:
		return fmt.Errorf("%w; check SHERPA_DATABASE_URL, or create it with `sherpa db migrate`", err)
	case errors.Is(err, models.ErrNoDatabase):
		return fmt.Errorf("%w; check SHERPA_DATABASE_URL, or create it with `sherpa serve`", err)
	}
	return err
}

type dbMigrateCommand struct {
	DryRun bool `help:"Print the statements that would run, and change nothing."`
}

// Run applies what the schema lacks, and says what that was.
func (c dbMigrateCommand) Run(ctx context.Context, config *Config, std Streams) error {
	if c.DryRun {
		return withDatabase(ctx, config, func(database *models.Database) error {
			return printPending(ctx, std.Out, database)
		})
	}
	applied, err := models.Migrate(ctx, config.DatabaseURL)
	for _, name := range applied {
		if _, err := fmt.Fprintln(std.Out, "applied", name); err != nil {
			return err
		}
	}
	if err == nil && len(applied) == 0 {
		_, err = fmt.Fprintln(std.Out, "the schema is up to date")
	}
	return err
}

// printPending prints a script of SQL, also when there is nothing to do: then it is a comment.
func printPending(ctx context.Context, out io.Writer, database *models.Database) error {
	script, err := database.PendingSQL(ctx)
	if err != nil {
		return err
	}
	if script == "" {
		script = "-- the schema is up to date\n"
	}
	_, err = io.WriteString(out, script)
	return err
}
