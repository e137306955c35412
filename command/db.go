package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"sherpa/models"
)

type dbCommands struct {
	Status dbStatusCommand `cmd:"" help:"Show the engine, the version of the schema, and the sizes."`
	Backup dbBackupCommand `cmd:"" help:"Write a consistent copy of a SQLite database to a new file, also while servers use it."`
	Copy   dbCopyCommand   `cmd:"" help:"Copy all users and sessions into an empty database, of the other engine too. Stop the servers first: what they change meanwhile is left behind."`
}

type dbStatusCommand struct {
	JSON bool `name:"json" help:"Print JSON instead of a table."`
}

// Run prints the status and changes nothing.
func (c dbStatusCommand) Run(ctx context.Context, config *Config, std Streams) error {
	return withUnchanged(ctx, config, func(store *models.Store) error {
		status, err := store.Status(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(std.Out, status)
		}
		return printStatus(std.Out, status)
	})
}

// withUnchanged opens the database for a command that leaves its schema as it is.
func withUnchanged(ctx context.Context, config *Config, fn func(*models.Store) error) (err error) {
	store, err := models.OpenUnchanged(ctx, config.DatabaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return fn(store)
}

func printStatus(out io.Writer, status models.Status) error {
	schema := fmt.Sprint(status.Schema)
	if status.Schema < status.Known {
		schema += fmt.Sprintf(" (the next start brings it to %d)", status.Known)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
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

// bytesText is a size for people.
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
	return withUnchanged(ctx, config, func(store *models.Store) error {
		size, err := store.Backup(ctx, c.File)
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

// Run copies, and prints what it has copied.
func (c dbCopyCommand) Run(ctx context.Context, config *Config, std Streams) error {
	if c.From == "" && c.To == "" {
		return errors.New("say from where or to where, with --from URL or --to URL; the other is SHERPA_DATABASE_URL")
	}
	for flag, url := range map[string]*string{"--from": &c.From, "--to": &c.To} {
		if *url == "" {
			*url = config.DatabaseURL
		}
		if err := models.CheckURL(*url); err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
	}
	bar := progressBar{out: std.Err, shown: isTerminal(std.Err)}
	copied, err := models.Copy(ctx, c.From, c.To, bar.show)
	bar.clear()
	if err != nil {
		return fmt.Errorf("nothing was copied: %w", err)
	}
	table := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
	printRows(table, copied)
	return table.Flush()
}

// progressBar is one line of a terminal.
type progressBar struct {
	out   io.Writer
	shown bool
}

const barWidth = 30

func (b progressBar) show(table string, done, total int64) {
	if !b.shown || total == 0 {
		return
	}
	full := int(barWidth * done / total)
	fmt.Fprintf(b.out, "\r\x1b[K%-15s [%s%s] %3d %%  %d of %d", //nolint:errcheck // the copy goes on without its bar
		table, strings.Repeat("#", full), strings.Repeat(".", barWidth-full), 100*done/total, done, total)
}

func (b progressBar) clear() {
	if b.shown {
		fmt.Fprint(b.out, "\r\x1b[K") //nolint:errcheck // as above
	}
}
