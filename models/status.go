package models

import (
	"context"
	"database/sql"
	"errors"
)

// Status says what kind of database it is, and how large.
type Status struct {
	Engine   string      `json:"engine"`
	Version  string      `json:"version"` // of the engine
	Database string      `json:"database"`
	Schema   int64       `json:"schema"`       // the highest migration that it has, 0 for none
	Known    int64       `json:"schema_known"` // the highest migration that this program has
	Pending  []int64     `json:"pending"`      // the migrations that it lacks
	Unknown  []int64     `json:"unknown"`      // the migrations that it has and this program lacks
	Bytes    int64       `json:"bytes"`        // on the disk, indexes included
	Tables   []TableRows `json:"tables"`
}

// Status counts the rows, which may take seconds where there are millions.
func (d *Database) Status(ctx context.Context) (Status, error) {
	status := Status{Engine: d.engine.name, Database: d.name}
	tx, err := d.snapshot(ctx)
	if err != nil {
		return Status{}, d.wrap("status", err)
	}
	defer tx.Rollback() //nolint:errcheck // it has changed nothing
	return status, d.wrap("status", d.measure(ctx, tx, &status))
}

func (d *Database) measure(ctx context.Context, tx *sql.Tx, status *Status) (err error) {
	known, err := knownMigrations(d.migrations)
	if err != nil {
		return err
	}
	applied, err := appliedMigrations(ctx, tx, d.engine.versionTable)
	if err != nil {
		return err
	}
	status.Known, status.Schema = highest(known), highest(applied)
	status.Pending, status.Unknown = missing(known, applied), missing(applied, known)
	err = errors.Join(
		tx.QueryRowContext(ctx, d.engine.version).Scan(&status.Version),
		tx.QueryRowContext(ctx, d.engine.size).Scan(&status.Bytes))
	if err != nil || len(status.Pending) > 0 {
		return err // an older schema may lack tables
	}
	for _, t := range tables() {
		n, err := countRows(ctx, tx, t)
		if err != nil {
			return err
		}
		status.Tables = append(status.Tables, TableRows{t.name, n})
	}
	return nil
}

// highest returns the last of sorted versions, 0 for none.
func highest(sorted []int64) int64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)-1]
}
