package models

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
)

// engine is what differs between the databases. All other SQL has one text for both.
type engine struct {
	name         string // for people
	dialect      goose.Dialect
	versionTable string
	migrate      func(context.Context, *connection) error // brings the schema up to date

	snapshot sql.IsolationLevel // at which a transaction reads one state of the database
	arrays   bool               // a statement takes arrays, so one statement can change many rows

	clock     string // SQL: milliseconds since 1970 UTC, by the clock that all replicas share
	lockRows  string // SQL after a SELECT: nobody changes these rows until the transaction ends
	unlimited string // SQL: removes the time limits of the transaction
	writable  string // SQL: whether the database takes changes
	version   string // SQL: the version of the engine
	size      string // SQL: bytes on the disk
	backup    string // SQL: writes a copy to the file $1; empty where the engine has a tool of its own

	connectionLost       func(error) bool
	serializationFailure func(error) bool // another transaction made the database roll back this one
	invalidText          func(error) bool // a parameter is text that no column can hold, so no row has it
}
