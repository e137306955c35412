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

const versionTable = "goose_db_version"

// migrate brings the schema up to date. Every migration is one transaction, so a stop in the middle leaves
// the old schema.
func (s *Store) migrate(ctx context.Context) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.write, dir)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	return retryMigration(ctx, func() error { return migrateOnce(ctx, provider) })
}

func migrateOnce(ctx context.Context, provider *goose.Provider) error {
	if err := refuseNewer(ctx, provider); err != nil {
		return err
	}
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
		if err == nil || errors.Is(err, errNewer) || attempt == attempts {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(time.Duration(attempt) * 20 * time.Millisecond):
		}
	}
}

// inspect looks at the file without writing to it, to protect the database of another program that a mistyped
// path names: opening it for use would already change its journal mode.
func inspect(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", sqliteDSN(path, "mode=ro&_pragma=busy_timeout(5000)"))
	if err != nil {
		return err
	}
	const query = `SELECT count(*), count(CASE WHEN name = $1 THEN 1 END) FROM sqlite_master`
	var objects, ours int
	err = db.QueryRowContext(ctx, query, versionTable).Scan(&objects, &ours)
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("not a readable SQLite database: %w", err)
	}
	if objects > 0 && ours == 0 {
		return fmt.Errorf("the file belongs to another program: it has tables, but none named %s", versionTable)
	}
	return nil
}

var errNewer = errors.New("a newer sherpa made it, run that one")

func refuseNewer(ctx context.Context, provider *goose.Provider) error {
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if current > target {
		return fmt.Errorf("%w: its schema is version %d and this program knows %d", errNewer, current, target)
	}
	return nil
}
