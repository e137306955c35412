package models

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
)

// closeWait bounds how long Close waits for a server that hangs.
const closeWait = 3 * time.Second

// engine is what differs between the databases. All other SQL has one text for both.
type engine struct {
	name         string // for people
	system       string // for OpenTelemetry
	dialect      goose.Dialect
	versionTable string
	// migrate brings the schema up to date, and returns the names of the migrations that it applied.
	migrate func(context.Context, *connection) (applied []string, err error)

	snapshot sql.IsolationLevel // at which a transaction reads one state of the database
	arrays   bool               // a statement takes arrays, so one statement can change many rows

	clock     string // SQL: milliseconds since 1970 UTC, by the clock that all replicas share
	lockRows  string // SQL after a SELECT: nobody changes these rows until the transaction ends
	lockAlone string // SQL after a SELECT: nor does anybody else get this lock on them
	bytewise  string // SQL after a text: compares it byte by byte
	jsonTexts string // SQL after a FROM: the texts of the JSON array $1, in the column value
	lockLimit string // SQL: bounds how long a migration that is run by hand waits for a lock
	unlimited string // SQL: removes the time limits of the transaction
	writable  string // SQL: whether the database takes changes
	version   string // SQL: the version of the engine
	size      string // SQL: bytes on the disk
	backup    string // SQL: writes a copy to the file $1; empty where the engine has a tool of its own

	connectionLost       func(error) bool
	serializationFailure func(error) bool // another transaction made the database roll back this one
	invalidText          func(error) bool // a parameter is text that no column can hold, so no row has it
}

// connection is an open database of either engine, whatever its schema.
type connection struct {
	engine     engine
	name       string
	write      *sql.DB // a separate pool: reads, above all polls, never queue behind writes
	read       *sql.DB
	migrations fs.FS
	observer   Observer // nil for none
}

// Observer is told how long an operation on the database took, with its wait for a connection, and whether
// the database failed to carry it out. Operations are names in the code. The context is the caller's.
type Observer func(ctx context.Context, operation string, took time.Duration, failed bool)

// Observe sets the observer. It must be called before the store is used.
func (c *connection) Observe(observer Observer) { c.observer = observer }

// Pools returns the pools of connections by what they are for.
func (c *connection) Pools() map[string]*sql.DB {
	return map[string]*sql.DB{"read": c.read, "write": c.write}
}

// System returns what OpenTelemetry calls the engine (attribute db.system.name).
func (c *connection) System() string { return c.engine.system }

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
