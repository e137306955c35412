package models

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrate brings the schema up to date. Every migration is one transaction, so a stop in the middle leaves
// the old schema.
func (s *Store) migrate(ctx context.Context, url string) error {
	if IsPostgres(url) {
		return s.migratePostgres(ctx, url)
	}
	provider, err := s.provider(s.write)
	if err != nil {
		return err
	}
	return retryMigration(ctx, func() error {
		if err := s.mark(ctx); err != nil {
			return fmt.Errorf("mark database: %w", err)
		}
		return up(ctx, provider)
	})
}

// migratePostgres has connections of its own, because a migration may take longer than a request, and a lock. Where
// nothing is to be done it takes neither, so that replicas need not start one after the other.
func (s *Store) migratePostgres(ctx context.Context, url string) (err error) {
	if s.upToDate(ctx) {
		return nil
	}
	p, err := parsePostgres(url)
	if err != nil {
		return err
	}
	db, lock, err := p.migrationPool()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := s.provider(db, lock)
	if err != nil {
		return err
	}
	return up(ctx, provider)
}

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

func up(ctx context.Context, provider *goose.Provider) error {
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// retryMigration tries again when a process that started at the same time was in the way: goose chooses what to apply
// before it has the lock, and SQLite does not wait for another connection that turns on the journal.
func retryMigration(ctx context.Context, migrate func() error) error {
	const attempts = 12
	for attempt := 1; ; attempt++ {
		err := migrate()
		if err == nil || attempt == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(time.Duration(attempt) * 20 * time.Millisecond):
		}
	}
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
