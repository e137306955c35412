package models

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"slices"

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
	options := append(more, goose.WithTableName(c.engine.versionTable), goose.WithAllowOutofOrder(true))
	provider, err := goose.NewProvider(c.engine.dialect, db, c.migrations, options...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

// up brings the schema up to date. Every migration is one transaction, so a stop in the middle leaves the old
// schema.
func up(ctx context.Context, provider *goose.Provider) error {
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// knownMigrations returns the versions of the migrations that this program has, in order.
func knownMigrations(migrations fs.FS) (known []int64, err error) {
	names, err := fs.Glob(migrations, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", name, err)
		}
		known = append(known, version)
	}
	slices.Sort(known)
	return known, nil
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

// upToDate compares sets, not the highest versions: a fork's date is higher than every number of ours.
func (c *connection) upToDate(ctx context.Context) bool {
	known, err := knownMigrations(c.migrations)
	if err != nil {
		return false
	}
	applied, err := appliedMigrations(ctx, c.read, c.engine.versionTable)
	return err == nil && slices.Equal(known, applied)
}

// refuseUnknown protects the schema of a newer sherpa, or of a fork, from a program that does not know it.
func refuseUnknown(ctx context.Context, db *sql.DB, table string, migrations fs.FS) error {
	known, err := knownMigrations(migrations)
	if err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, db, table)
	if err != nil {
		return nil //nolint:nilerr // another process is creating the schema now, and the migration waits for it
	}
	if unknown := missing(applied, known); len(unknown) > 0 {
		return fmt.Errorf("a newer sherpa made it, or a fork with migrations of its own; run that one: "+
			"this program does not know the migrations %v", unknown)
	}
	return nil
}
