package models

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

func (s *Store) provider(db *sql.DB, more ...goose.ProviderOption) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	provider, err := goose.NewProvider(s.engine.dialect, db, dir, append(more, goose.WithTableName(s.engine.versionTable))...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return provider, nil
}

// up brings the schema up to date. Every migration is one transaction, so a stop in the middle leaves the old schema.
func up(ctx context.Context, provider *goose.Provider) error {
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// schemaVersion fails also when there is no schema yet.
func schemaVersion(ctx context.Context, db queryer, table string) (int64, error) {
	var version sql.NullInt64
	err := db.QueryRowContext(ctx, `SELECT max(version_id) FROM `+table).Scan(&version)
	return version.Int64, err
}

func (s *Store) upToDate(ctx context.Context) bool {
	known, err := newestMigration()
	if err != nil {
		return false
	}
	version, err := schemaVersion(ctx, s.read, s.engine.versionTable)
	return err == nil && version == known
}

func refuseNewer(ctx context.Context, db *sql.DB, table string) error {
	known, err := newestMigration()
	if err != nil {
		return err
	}
	version, err := schemaVersion(ctx, db, table)
	if err != nil {
		return nil //nolint:nilerr // another process is making the database at this moment; the migration waits for it
	}
	if version > known {
		return fmt.Errorf("a newer sherpa made it, run that one: its schema is version %d and this program knows %d", version, known)
	}
	return nil
}

func newestMigration() (newest int64, err error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("migration %s: %w", name, err)
		}
		newest = max(newest, version)
	}
	return newest, nil
}
