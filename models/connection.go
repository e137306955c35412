package models

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"strings"
	"time"
)

// closeWait bounds how long Close waits for a server that hangs.
const closeWait = 3 * time.Second

const (
	sqliteScheme    = "sqlite:"
	postgresScheme  = "postgres://"
	postgresScheme2 = "postgresql://"
)

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
	return strings.HasPrefix(url, postgresScheme) || strings.HasPrefix(url, postgresScheme2)
}

// connection is an open database of either engine, whatever its schema.
type connection struct {
	engine     engine
	name       string
	write      *sql.DB // a separate pool: reads, above all polls, never queue behind writes
	read       *sql.DB
	migrations fs.FS
}

// connect opens the database without changing it, except that create makes an empty file if there is none. It
// refuses what is not a Sherpa database, and one whose schema this program does not know.
func connect(ctx context.Context, url string, create bool, migrations fs.FS) (*connection, error) {
	if IsPostgres(url) {
		return connectPostgres(ctx, url, create, migrations)
	}
	return connectSQLite(ctx, url, create, migrations)
}

// Name returns where the database is: the absolute path of the file, or the URL without its password.
func (c *connection) Name() string { return c.name }

// Close closes every connection. It waits at most closeWait for a server that hangs: committed data is safe,
// and the operating system closes the rest.
func (c *connection) Close() error {
	closed := make(chan error, 1)
	go func() { closed <- errors.Join(c.read.Close(), c.write.Close()) }()
	select {
	case err := <-closed:
		return err
	case <-time.After(closeWait):
		return nil
	}
}

// Database is a database whose schema stays as it is: for status, backup and copy. Close it when done.
type Database struct{ *connection }

// OpenDatabase opens an existing database, or returns ErrNoDatabase.
func OpenDatabase(ctx context.Context, url string) (*Database, error) {
	c, err := connect(ctx, url, false, embeddedMigrations())
	if err != nil {
		return nil, err
	}
	return &Database{c}, nil
}
