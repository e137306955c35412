package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

const (
	// writeWait bounds a change, the wait for other writers included: a caller gets an answer while it still waits.
	writeWait = 4 * time.Second
	// readWait bounds the reads that requests and the feed wait for.
	readWait = 3 * time.Second
	// closeWait bounds the end.
	closeWait = 3 * time.Second
	// maxAttempts bounds how often a statement is tried whose connection was cut, or whose transaction was undone.
	maxAttempts = 3
)

// Store is the database. It is safe for concurrent use; close it when done.
type Store struct {
	engine engine
	name   string
	write  *sql.DB // apart from read, so that a read never waits for writers, the one of the feed least of all
	read   *sql.DB

	sessionWithUser *sql.Stmt // prepared, because parsing SQL takes longer than running these
	rotateSession   *sql.Stmt
	rotations       *rotations // nil in a store that nobody changes
}

// engine is what differs between the databases. All other SQL has one text for both.
type engine struct {
	name         string // for people
	dialect      goose.Dialect
	versionTable string
	migrate      func(context.Context, *Store) error // brings the schema up to date

	snapshot sql.IsolationLevel // at which a transaction reads one state of the database

	clock     string // SQL: milliseconds since 1970 UTC, by the clock that all replicas share
	keepRows  string // SQL behind a SELECT: nobody changes these rows until the transaction ends
	unlimited string // SQL: lets the transaction take as long as it needs
	writable  string // SQL: whether changes can be made
	version   string // SQL: the version of the engine
	size      string // SQL: bytes on the disk
	backup    string // SQL: writes a copy to the file $1; empty where the engine has a tool of its own

	rotate func(context.Context, *Store, []Rotation) ([]*Rotated, error) // carries out several with one commit; nil for those that it has not

	cut        func(error) bool // the connection was lost
	undone     func(error) bool // the transaction was undone as a whole, because another one was in the way
	impossible func(error) bool // a parameter is text that no column can hold, so no row has it
}

const (
	sqliteScheme    = "sqlite:"
	postgresScheme  = "postgres://"
	postgresScheme2 = "postgresql://"
)

// ErrNoDatabase says that there is no database of Sherpa's at a URL.
var ErrNoDatabase = errors.New("there is no database")

// CheckURL reports what is wrong with a database URL: "sqlite:PATH" or "postgres://USER@HOST:PORT/NAME". The error
// never shows the URL, because that may hold a password.
func CheckURL(url string) error {
	if IsPostgres(url) {
		_, err := parsePostgres(url)
		return err
	}
	_, err := SQLitePath(url)
	return err
}

// IsPostgres reports whether the URL names a PostgreSQL database.
func IsPostgres(url string) bool {
	return strings.HasPrefix(url, postgresScheme) || strings.HasPrefix(url, postgresScheme2)
}

// Open opens the database at url and brings its schema up to date; at "sqlite:PATH" it creates the database when it
// does not exist (folder 0700, file 0600). It refuses, and leaves untouched, what is not a Sherpa database and
// one whose schema is newer than this program.
func Open(ctx context.Context, url string) (*Store, error) {
	return open(ctx, url, true)
}

// OpenExisting is Open for a database that must exist; else it returns ErrNoDatabase and makes nothing.
func OpenExisting(ctx context.Context, url string) (*Store, error) {
	return open(ctx, url, false)
}

func open(ctx context.Context, url string, create bool) (*Store, error) {
	s, err := connect(ctx, url, create)
	if err != nil {
		return nil, err
	}
	err = s.engine.migrate(ctx, s)
	if err == nil {
		err = s.prepare(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", s.name, err), s.Close())
	}
	return s, nil
}

// connect opens the database without changing it, apart from creating an empty file when create is set.
func connect(ctx context.Context, url string, create bool) (*Store, error) {
	if IsPostgres(url) {
		return connectPostgres(ctx, url, create)
	}
	return connectSQLite(ctx, url, create)
}

func (s *Store) prepare(ctx context.Context) (err error) {
	if s.sessionWithUser, err = s.read.PrepareContext(ctx, sessionWithUserQuery); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	if s.rotateSession, err = s.write.PrepareContext(ctx, rotateSessionQuery()); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	s.rotations = newRotations(func(ctx context.Context, all []Rotation) ([]*Rotated, error) { return s.engine.rotate(ctx, s, all) })
	return nil
}

// Name says where the database is: the absolute path of the file, or the URL without its password.
func (s *Store) Name() string { return s.name }

// Close closes every connection. It does not wait for the farewells of a server that hangs: all that was acknowledged is
// there, and what is left open ends with the process.
func (s *Store) Close() error {
	if s.rotations != nil {
		s.rotations.close()
	}
	closed := make(chan error, 1)
	go func() { closed <- errors.Join(s.read.Close(), s.write.Close()) }()
	select {
	case err := <-closed:
		return err
	case <-time.After(closeWait):
		return nil
	}
}

// Ready reports whether the database answers a query on the schema and takes changes; the error wraps ErrUnavailable.
func (s *Store) Ready(ctx context.Context) error {
	if _, err := s.Empty(ctx); err != nil {
		return err
	}
	var writable bool
	err := s.reading(ctx, func(ctx context.Context) error {
		return s.read.QueryRowContext(ctx, s.engine.writable).Scan(&writable)
	})
	if err == nil && !writable {
		err = errors.New("it is read-only")
	}
	return s.fail("look whether it takes changes", err)
}

// Transact runs fn in one transaction: committed when fn returns nil, rolled back otherwise. It runs fn again where
// that is safe: when the database undid the transaction because of another one, or the connection was cut before the
// commit was sent. Whether a commit that got no answer took place nobody knows; that is an error. The context that fn
// gets ends after writeWait, so that a transaction on a server that hangs gives its connection back.
func (s *Store) Transact(ctx context.Context, fn func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	for attempt := 1; ; attempt++ {
		asked, err := s.transactOnce(ctx, fn)
		again := s.engine.undone(err) || !asked && s.engine.cut(err)
		if !again || attempt == maxAttempts || ctx.Err() != nil {
			return err
		}
	}
}

// transactOnce reports also whether it has asked for the commit.
func (s *Store) transactOnce(ctx context.Context, fn func(context.Context, *sql.Tx) error) (asked bool, err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return false, s.fail("begin", err)
	}
	if err := fn(ctx, tx); err != nil {
		_ = tx.Rollback() // the cause is err; a connection that cannot roll back is discarded by the pool
		return false, err
	}
	return true, s.fail("commit", tx.Commit())
}

// reading runs a read within readWait, and again when its connection was cut: a read changes nothing.
func (s *Store) reading(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	return s.repeating(ctx, read)
}

// repeating runs what may be done twice until its connection is not cut, a few times at most.
func (s *Store) repeating(ctx context.Context, do func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := do(ctx)
		if !s.engine.cut(err) || attempt == maxAttempts || ctx.Err() != nil {
			return err
		}
	}
}

// scanner is *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// queryer is *sql.DB or *sql.Tx.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// list returns what scan makes of each row.
func list[T any](ctx context.Context, s *Store, db queryer, operation string, scan func(scanner) (T, error), query string, args ...any) (all []T, err error) {
	for row, err := range each(ctx, db, scan, query, args...) {
		if err != nil {
			return nil, s.fail(operation, err)
		}
		all = append(all, row)
	}
	return all, nil
}

// stream yields what scan makes of each row, for as long as that takes, from one state of the database. An error ends
// the sequence.
func stream[T any](ctx context.Context, s *Store, operation string, scan func(scanner) (T, error), query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		tx, err := s.snapshot(ctx)
		if err != nil {
			yield(none, s.fail(operation, err))
			return
		}
		defer tx.Rollback() //nolint:errcheck // it has changed nothing
		for row, err := range each(ctx, tx, scan, query, args...) {
			if !yield(row, s.fail(operation, err)) || err != nil {
				return
			}
		}
	}
}

// snapshot begins a transaction that reads one state of the database and may take long.
func (s *Store) snapshot(ctx context.Context) (*sql.Tx, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.engine.snapshot})
	if err != nil {
		return nil, err
	}
	if err := s.lift(ctx, tx); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// lift takes the time limits from a transaction.
func (s *Store) lift(ctx context.Context, tx *sql.Tx) error {
	if s.engine.unlimited == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, s.engine.unlimited)
	return err
}

func each[T any](ctx context.Context, db queryer, scan func(scanner) (T, error), query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		rows, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			yield(none, err)
			return
		}
		defer rows.Close() //nolint:errcheck // nothing is lost when a finished read fails to close
		for rows.Next() {
			row, err := scan(rows)
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, err)
		}
	}
}

// execOne runs a statement that changes one row, or returns ErrNotFound when it changed none.
func (s *Store) execOne(ctx context.Context, db queryer, operation, query string, args ...any) error {
	n, err := changed(db.ExecContext(ctx, query, args...))
	if err == nil && n == 0 {
		err = sql.ErrNoRows
	}
	return s.fail(operation, err)
}

// changed is how many rows a statement has changed.
func changed(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// fail names the operation and tells "no such row" from "the database did not do it". Every error of a driver
// counts as the latter: the statements are fixed, so what remains is the state of the database.
func (s *Store) fail(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows), s.engine.impossible(err):
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
