package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

const sqliteReaders = 4

func sqliteEngine() engine {
	return engine{
		name: "SQLite", system: "sqlite", dialect: goose.DialectSQLite3, versionTable: goose.DefaultTablename,
		clock:          `CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)`,
		jsonTexts:      `json_each($1)`,
		writable:       `SELECT true`, // who cannot write finds out when it does
		version:        `SELECT sqlite_version()`,
		size:           `SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`,
		backup:         `VACUUM INTO $1`,
		migrate:        migrateSQLite,
		connectionLost: never, serializationFailure: never, invalidText: never,
	}
}

func never(error) bool { return false }

// SQLitePath returns the absolute file path in "sqlite:PATH".
func SQLitePath(url string) (string, error) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	if !ok || path == "" {
		return "", errors.New("it must be sqlite:PATH or postgres://USER@HOST:PORT/NAME")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("database path: %w", err)
	}
	return abs, nil
}

func connectSQLite(ctx context.Context, url string, create bool, migrations fs.FS) (*connection, error) {
	path, err := SQLitePath(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && !create {
		return nil, fmt.Errorf("%w at %s", ErrNoDatabase, path)
	}
	if err := createFile(path); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	if err := inspect(ctx, path, create, migrations); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return openSQLite(path, migrations)
}

// createFile makes sure that the file exists with a mode that keeps other accounts of the machine out:
// SQLite gives its journal files the mode of the database file.
func createFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	//nolint:gosec // G304: the operator names the file
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// openSQLite gives writers one connection: SQLite has one writer, and unlike its lock, waiting in Go is fair.
func openSQLite(path string, migrations fs.FS) (*connection, error) {
	write, err := sql.Open("sqlite", sqliteDSN(path, settings))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	read, err := sql.Open("sqlite", sqliteDSN(path, settings))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), write.Close())
	}
	write.SetMaxOpenConns(1)
	read.SetMaxOpenConns(sqliteReaders)
	read.SetMaxIdleConns(sqliteReaders)
	return &connection{
		engine: sqliteEngine(), name: path, write: write, read: read, migrations: migrations,
	}, nil
}

// settings of every connection in the pools. synchronous(FULL): an acknowledged change survives a power cut.
// temp_store(MEMORY): works on a read-only root file system.
const settings = "_txlock=immediate" +
	"&_pragma=busy_timeout(3000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
	"&_pragma=foreign_keys(1)" +
	"&_pragma=cache_size(-8000)&_pragma=mmap_size(268435456)&_pragma=temp_store(MEMORY)"

// sqliteDSN carries the settings, because a pragma holds for one connection and the pool opens several. The
// path is escaped, so that a "?" or "%" in a folder's name cannot add one.
func sqliteDSN(path, query string) string {
	file := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query}
	return file.String()
}

// migrateSQLite tries again after a conflict with a process that started at the same time. goose chooses what
// to apply before it has the lock, and SQLite does not wait for another connection that turns on the journal.
func migrateSQLite(ctx context.Context, c *connection) ([]string, error) {
	provider, err := c.provider(c.write)
	if err != nil {
		return nil, err
	}
	const attempts, pause = 12, 20 * time.Millisecond
	return retry{attempts, pause, always}.migrate(ctx, func() ([]string, error) {
		if err := c.mark(ctx); err != nil {
			return nil, fmt.Errorf("mark database: %w", err)
		}
		return up(ctx, provider)
	})
}

func always(error) bool { return true }

// applicationID marks a database file as ours ("SHRP"; SQLite file format, section 1.3.9).
const applicationID = 0x53485250

// mark makes the file ours. It writes only once, not at every start.
func (c *connection) mark(ctx context.Context) error {
	var id int64
	err := c.write.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id)
	if err != nil || id == applicationID {
		return err
	}
	_, err = c.write.ExecContext(ctx, fmt.Sprintf(`PRAGMA application_id = %d`, applicationID))
	return err
}

// inspect reads the file without writing to it. A mistyped path may name the database of another program, or
// that of a newer Sherpa, and opening it for use would already change its journal mode.
func inspect(ctx context.Context, path string, create bool, migrations fs.FS) error {
	db, err := sql.Open("sqlite", sqliteDSN(path, "mode=ro&_pragma=busy_timeout(3000)"))
	if err != nil {
		return err
	}
	err = inspectOpen(ctx, db, create, migrations)
	return errors.Join(err, db.Close())
}

func inspectOpen(ctx context.Context, db *sql.DB, create bool, migrations fs.FS) error {
	var objects, id int64
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master`).Scan(&objects)
	if err == nil {
		err = db.QueryRowContext(ctx, `PRAGMA application_id`).Scan(&id)
	}
	switch {
	case err != nil:
		return fmt.Errorf("not a readable SQLite database: %w", err)
	case objects == 0 && !create:
		return fmt.Errorf("%w in this file", ErrNoDatabase)
	case objects == 0:
		return nil
	case id != applicationID:
		return errors.New("the file belongs to another program")
	}
	return refuseIncompatible(ctx, db, goose.DefaultTablename, migrations)
}
