package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sherpa/models"
)

type dbCommands struct {
	Status  dbStatusCommand  `cmd:"" help:"Show the engine, the version of the schema, and sizes."`
	Migrate dbMigrateCommand `cmd:"" help:"Bring the schema of the database up to date."`
	Backup  dbBackupCommand  `cmd:"" help:"Copy a SQLite database to a new file while servers use it."`
	Copy    dbCopyCommand    `cmd:"" help:"Copy everything into an empty database. Stop servers first."`
}

type dbStatusCommand struct {
	JSON bool `name:"json" help:"Print JSON instead of a table."`
}

// Run prints the status and changes nothing.
func (c dbStatusCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withDatabase(ctx, config, func(database *models.Database) error {
		status, err := database.Status(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(std.Out, status)
		}
		return printStatus(std.Out, status)
	})
}

// withDatabase opens the database for a command that leaves its schema unchanged.
func withDatabase(ctx context.Context, config *Config, do func(*models.Database) error) (err error) {
	database, err := models.OpenDatabase(ctx, config.DatabaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, database.Close()) }()
	return do(database)
}

func printStatus(out io.Writer, status models.Status) error {
	schema := fmt.Sprint(status.Schema)
	if len(status.Pending) > 0 {
		schema += fmt.Sprintf(" (it lacks %v: `sherpa db migrate` applies them)", status.Pending)
	}
	if len(status.Unknown) > 0 {
		schema += fmt.Sprintf(" (a newer program added %v, and this one works without them)", status.Unknown)
	}
	table := newTable(out)
	fmt.Fprintf(table, "engine\t%s %s\ndatabase\t%s\nschema\t%s\nsize\t%s\n", //nolint:errcheck // Flush returns the error
		status.Engine, status.Version, status.Database, schema, bytesText(status.Bytes))
	printRows(table, status.Tables)
	return table.Flush()
}

func printRows(table io.Writer, all []models.TableRows) {
	for _, t := range all {
		fmt.Fprintf(table, "%s\t%d\n", t.Table, t.Rows) //nolint:errcheck // Flush returns the error
	}
}

// bytesText formats a size for people.
func bytesText(n int64) string {
	const mib = 1 << 20
	if n < mib {
		return fmt.Sprintf("%d KiB", (n+1023)/1024)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/mib)
}

type dbBackupCommand struct {
	File string `arg:"" help:"The file to write. It must not exist."`
}

// Run writes the file and says how large it is.
func (c dbBackupCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withDatabase(ctx, config, func(database *models.Database) error {
		size, err := database.Backup(ctx, c.File)
		switch {
		case errors.Is(err, models.ErrNoBackup):
			return errors.New("db backup is for SQLite; for PostgreSQL use its own pg_dump")
		case err != nil:
			return fmt.Errorf("back up: %w", err)
		}
		_, err = fmt.Fprintf(std.Out, "wrote %s (%s)\n", c.File, bytesText(size))
		return err
	})
}

type dbCopyCommand struct {
	From string `help:"URL to copy from; SHERPA_DATABASE_URL by default." placeholder:"URL"`
	To   string `help:"URL to copy to; SHERPA_DATABASE_URL by default." placeholder:"URL"`
}

// Run copies everything and prints how many rows.
func (c dbCopyCommand) Run(ctx context.Context, config *Config, std Streams) error {
	if c.From == "" && c.To == "" {
		return errors.New("use --from URL or --to URL; the other database is SHERPA_DATABASE_URL")
	}
	from, err := copyURL("--from", c.From, config)
	if err != nil {
		return err
	}
	to, err := copyURL("--to", c.To, config)
	if err != nil {
		return err
	}
	copied, err := models.Copy(ctx, from, to)
	if err != nil {
		return fmt.Errorf("nothing was copied: %w", err)
	}
	table := newTable(std.Out)
	printRows(table, copied)
	return table.Flush()
}

// copyURL returns the URL of a flag, or that of the settings when the flag is not set.
func copyURL(flag, url string, config *Config) (string, error) {
	if url == "" {
		url = config.DatabaseURL
	}
	if err := models.CheckURL(url); err != nil {
		return "", fmt.Errorf("%s: %w", flag, err)
	}
	return url, nil
}
