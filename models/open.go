package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Open opens the database at url and brings its schema up to date. At "sqlite:PATH" it creates the database
// if it does not exist (folder 0700, file 0600). It refuses, and leaves untouched, what is not a Sherpa
// database, and one whose schema this program does not work with. The error wraps ErrUnavailable when the
// server may come back later.
func Open(ctx context.Context, url string) (*Store, error) {
	return open(ctx, url, true, embeddedMigrations())
}

// OpenExisting is Open for a database that must exist; otherwise it returns ErrNoDatabase and creates
// nothing.
func OpenExisting(ctx context.Context, url string) (*Store, error) {
	return open(ctx, url, false, embeddedMigrations())
}

// OpenMigrated is OpenExisting for a database whose schema stays as it is. When that lacks migrations, the
// error wraps ErrPending.
func OpenMigrated(ctx context.Context, url string) (*Store, error) {
	return openMigrated(ctx, url, embeddedMigrations())
}

func open(ctx context.Context, url string, create bool, migrations fs.FS) (*Store, error) {
	c, err := connect(ctx, url, create, migrations)
	if err != nil {
		return nil, err
	}
	_, err = c.engine.migrate(ctx, c)
	return c.store(err)
}

func openMigrated(ctx context.Context, url string, migrations fs.FS) (*Store, error) {
	c, err := connect(ctx, url, false, migrations)
	if err != nil {
		return nil, err
	}
	return c.store(c.refusePending(ctx))
}

// store returns the store of the connection, or closes it after an error.
func (c *connection) store(err error) (*Store, error) {
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", c.name, err), c.Close())
	}
	s := &Store{connection: c}
	s.reads.db, s.writes.db = c.read, c.write
	s.rotations = newBatcher(s.rotateBatch)
	return s, nil
}

// OpenDatabase opens an existing database, or returns ErrNoDatabase.
func OpenDatabase(ctx context.Context, url string) (*Database, error) {
	c, err := connect(ctx, url, false, embeddedMigrations())
	if err != nil {
		return nil, err
	}
	return &Database{c}, nil
}

// connect opens the database without changing it, except that create makes an empty file if there is none. It
// refuses what is not a Sherpa database, and one whose schema this program does not work with.
func connect(ctx context.Context, url string, create bool, migrations fs.FS) (*connection, error) {
	if IsPostgres(url) {
		return connectPostgres(ctx, url, create, migrations)
	}
	return connectSQLite(ctx, url, create, migrations)
}

// ErrNoDatabase says that there is no database of Sherpa's at a URL.
var ErrNoDatabase = errors.New("there is no database")

// CheckURL reports what is wrong with a database URL: "sqlite:PATH" or "postgres://USER@HOST:PORT/NAME". The
// error never shows the URL, because that may hold a password.
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
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}
