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
	return retryMigration(ctx, func() error { return s.migrateOnce(ctx, provider) })
}

func (s *Store) migrateOnce(ctx context.Context, provider *goose.Provider) error {
	if err := s.mark(ctx); err != nil {
		return fmt.Errorf("mark database: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// mark makes the file ours. It writes only once, not at every start.
func (s *Store) mark(ctx context.Context) error {
	var id int64
	err := s.write.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id)
	if err != nil || id == applicationID {
		return err
	}
	_, err = s.write.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID))
	return err
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

// applicationID marks a database file as ours ("SHRP"; SQLite file format, section 1.3.9).
const applicationID = 0x53485250

// inspect looks at the file without writing to it, to protect the database of another program, which a mistyped path
// names, and that of a newer Sherpa: opening it for use would already change its journal mode.
func inspect(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", sqliteDSN(path, "mode=ro&_pragma=busy_timeout(3000)"))
	if err != nil {
		return err
	}
	err = inspectOpen(ctx, db)
	return errors.Join(err, db.Close())
}

func inspectOpen(ctx context.Context, db *sql.DB) error {
	var objects, id int64
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master`).Scan(&objects)
	if err == nil {
		err = db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id)
	}
	switch {
	case err != nil:
		return fmt.Errorf("not a readable SQLite database: %w", err)
	case objects == 0:
		return nil
	case id != applicationID:
		return errors.New("the file belongs to another program")
	}
	return refuseNewer(ctx, db)
}

func refuseNewer(ctx context.Context, db *sql.DB) error {
	known, err := newestMigration()
	if err != nil {
		return err
	}
	var version sql.NullInt64
	err = db.QueryRowContext(ctx, `SELECT max(version_id) FROM `+versionTable).Scan(&version)
	if err != nil {
		return nil //nolint:nilerr // another process is making the database at this moment; the migration waits for it
	}
	if version.Int64 > known {
		return fmt.Errorf("a newer sherpa made it, run that one: its schema is version %d and this program knows %d", version.Int64, known)
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
