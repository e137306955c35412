package models

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// embeddedMigrations are those of this program: Sherpa's, numbered from 1, and those of a fork, numbered by
// date.
func embeddedMigrations() fs.FS {
	files, _ := fs.Sub(migrationFiles, "migrations") // fails for an invalid name alone
	return files
}

// provider applies migrations out of order: one of Sherpa's may arrive after those that a fork numbered by
// date.
func (c *connection) provider(db *sql.DB, more ...goose.ProviderOption) (*goose.Provider, error) {
	store, err := c.promisingStore()
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	options := append(more, goose.WithStore(store), goose.WithAllowOutofOrder(true))
	provider, err := goose.NewProvider(goose.DialectCustom, db, c.migrations, options...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

// Migrate opens the database at url as Open does, brings its schema up to date, and returns the names of the
// migrations that it applied.
func Migrate(ctx context.Context, url string) (applied []string, err error) {
	c, err := connect(ctx, url, true, embeddedMigrations())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if applied, err = c.engine.migrate(ctx, c); err != nil {
		return applied, fmt.Errorf("database %s: %w", c.name, err)
	}
	return applied, nil
}

// up brings the schema up to date. Every migration is one transaction, so a stop in the middle leaves the old
// schema.
func up(ctx context.Context, provider *goose.Provider) (applied []string, err error) {
	results, err := provider.Up(ctx)
	var partial *goose.PartialError
	if errors.As(err, &partial) {
		results = partial.Applied
	}
	for _, result := range results {
		applied = append(applied, path.Base(result.Source.Path))
	}
	if err != nil {
		return applied, fmt.Errorf("migrate: %w", err)
	}
	return applied, nil
}

// retry is how often a migration is tried, and after which errors.
type retry struct {
	attempts int
	pause    time.Duration // after the first one; the second pause is twice as long, and so on
	after    func(error) bool
}

func (r retry) migrate(
	ctx context.Context, migrate func() ([]string, error),
) (applied []string, err error) {
	for attempt := 1; ; attempt++ {
		more, err := migrate()
		applied = append(applied, more...)
		if err == nil || attempt == r.attempts || !r.after(err) {
			return applied, err
		}
		select {
		case <-ctx.Done():
			return applied, errors.Join(err, ctx.Err())
		case <-time.After(time.Duration(attempt) * r.pause):
		}
	}
}

// migrationFile is one migration of this program.
type migrationFile struct {
	version int64
	name    string
	text    string
}

// readMigrations returns the migrations in order.
func readMigrations(migrations fs.FS) (files []migrationFile, err error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		text, err := fs.ReadFile(migrations, name)
		if err != nil {
			return nil, err
		}
		files = append(files, migrationFile{version, name, string(text)})
	}
	slices.SortFunc(files, func(a, b migrationFile) int { return cmp.Compare(a.version, b.version) })
	return files, nil
}

// knownMigrations returns the versions of the migrations that this program has, in order.
func knownMigrations(migrations fs.FS) (known []int64, err error) {
	files, err := readMigrations(migrations)
	for _, file := range files {
		known = append(known, file.version)
	}
	return known, err
}

// appliedMigrations returns the versions that the database has, in order. It fails also when there is no
// schema yet.
func appliedMigrations(ctx context.Context, db queryer, table string) ([]int64, error) {
	query := `SELECT DISTINCT version_id FROM ` + table + ` WHERE version_id > 0 ORDER BY version_id`
	return collect(each(ctx, db, scanValue[int64], query))
}

// missing returns what all has and some lacks.
func missing(all, some []int64) []int64 {
	return slices.DeleteFunc(slices.Clone(all), func(v int64) bool { return slices.Contains(some, v) })
}

// compare returns the migrations that the database lacks, and those that this program lacks. It compares
// sets, not the highest versions: a fork's date is higher than every number of ours.
func (c *connection) compare(ctx context.Context, db queryer) (pending, unknown []int64, err error) {
	known, err := knownMigrations(c.migrations)
	if err != nil {
		return nil, nil, err
	}
	applied, err := appliedMigrations(ctx, db, c.engine.versionTable)
	return missing(known, applied), missing(applied, known), err
}

// upToDate reports whether the database has exactly the migrations of this program.
func (c *connection) upToDate(ctx context.Context) bool {
	pending, unknown, err := c.compare(ctx, c.read)
	return err == nil && len(pending) == 0 && len(unknown) == 0
}

// complete reports whether the database lacks no migration.
func (c *connection) complete(ctx context.Context) bool {
	pending, _, err := c.compare(ctx, c.read)
	return err == nil && len(pending) == 0
}

// ErrPending says that a database lacks migrations of this program.
var ErrPending = errors.New("its schema is older than this program")

func (c *connection) refusePending(ctx context.Context) error {
	pending, _, err := c.compare(ctx, c.read)
	if err != nil {
		return c.wrap("read its migrations", err)
	}
	if len(pending) > 0 {
		return fmt.Errorf("%w: it lacks the migrations %v", ErrPending, pending)
	}
	return nil
}
