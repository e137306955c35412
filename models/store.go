package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

const (
	sqliteScheme  = "sqlite:"
	sqliteReaders = 4
	// writeWait bounds a change, the wait for other writers included: a caller gets an answer while it still waits.
	writeWait = 4 * time.Second
)

// Store is the database. It is safe for concurrent use; close it when done.
type Store struct {
	write *sql.DB // one connection: SQLite has one writer, and waiting in Go is fair where its lock is not
	read  *sql.DB
	path  string

	sessionWithUser *sql.Stmt // prepared, because parsing SQL takes longer than running these
	rotateSession   *sql.Stmt
}

// Open opens the database at url ("sqlite:PATH"), creates it when it does not exist (folder 0700, file 0600),
// and brings its schema up to date. It refuses, and leaves untouched, a file that is not a Sherpa database and
// one whose schema is newer than this program.
func Open(ctx context.Context, url string) (*Store, error) {
	path, err := SQLitePath(url)
	if err != nil {
		return nil, err
	}
	if err := createFile(path); err != nil {
		return nil, fmt.Errorf("create database: %w", err)
	}
	if err := inspect(ctx, path); err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	s, err := openSQLite(path)
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), s.Close())
	}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", path, err), s.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context) (err error) {
	if s.sessionWithUser, err = s.read.PrepareContext(ctx, sessionWithUserQuery); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if s.rotateSession, err = s.write.PrepareContext(ctx, rotateSessionQuery); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	return nil
}

// SQLitePath returns the absolute file path in "sqlite:PATH".
func SQLitePath(url string) (string, error) {
	path, ok := strings.CutPrefix(url, sqliteScheme)
	if !ok || path == "" {
		return "", fmt.Errorf("the database URL must be %sPATH", sqliteScheme)
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("database path: %w", err)
	}
	return abs, nil
}

// Path returns the absolute path of the database file.
func (s *Store) Path() string { return s.path }

// createFile makes sure that the file exists with a mode that keeps other accounts of the machine out:
// SQLite gives its journal files the mode of the database file.
func createFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // G304: the operator names the file
	if err != nil {
		return err
	}
	return f.Close()
}

func openSQLite(path string) (*Store, error) {
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
	return &Store{write: write, read: read, path: path}, nil
}

// settings of every connection of the pools. synchronous(FULL): an acknowledged change survives a power cut.
// temp_store(MEMORY): works on a read-only root file system.
const settings = "_txlock=immediate" +
	"&_pragma=busy_timeout(3000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" +
	"&_pragma=cache_size(-8000)&_pragma=mmap_size(268435456)&_pragma=temp_store(MEMORY)"

// sqliteDSN carries the settings, because a pragma holds for one connection and the pool opens several. The path
// is escaped, so that a "?" or "%" in a folder's name cannot add one.
func sqliteDSN(path, query string) string {
	file := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: query}
	return file.String()
}

// Close closes every connection.
func (s *Store) Close() error {
	return errors.Join(s.read.Close(), s.write.Close())
}

// Ready reports whether the database answers a query on the schema; the error wraps ErrUnavailable.
func (s *Store) Ready(ctx context.Context) error {
	_, err := s.Empty(ctx)
	return err
}

// Transact runs fn in one transaction: committed when fn returns nil, rolled back otherwise.
func (s *Store) Transact(ctx context.Context, fn func(*sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fail("begin", err)
	}
	if err := fn(tx); err != nil {
		_ = tx.Rollback() // the cause is err; a connection that cannot roll back is discarded by the pool
		return err
	}
	return fail("commit", tx.Commit())
}

// execOne runs a statement that changes one row, or returns ErrNotFound when it changed none.
func execOne(ctx context.Context, db execer, operation, query string, args ...any) error {
	result, err := db.ExecContext(ctx, query, args...)
	if err != nil {
		return fail(operation, err)
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return fail(operation, err)
	}
	if changed == 0 {
		return fmt.Errorf("%s: %w", operation, ErrNotFound)
	}
	return nil
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// fail names the operation and tells "no such row" from "the database did not do it". Every error of a driver
// counts as the latter: the statements are fixed, so what remains is the state of the database.
func fail(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", operation, ErrNotFound)
	default:
		return fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
	}
}

// millis is how a time is kept: whole milliseconds since 1970 UTC, the same on every engine.
func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func fromNullMillis(ms sql.NullInt64) time.Time {
	if !ms.Valid {
		return time.Time{}
	}
	return fromMillis(ms.Int64)
}
