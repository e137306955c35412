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
	Schema   int64       `json:"schema"`       // the version that it has, 0 for none
	Known    int64       `json:"schema_known"` // the version that this program brings
	Bytes    int64       `json:"bytes"`        // on the disk, indexes included
	Tables   []TableRows `json:"tables"`
}

// OpenUnchanged opens a database that must exist, and leaves its schema as it is. Only Status and Backup may be called.
func OpenUnchanged(ctx context.Context, url string) (*Store, error) {
	return connect(ctx, url, false)
}

// Status counts the rows, which may take seconds where there are millions.
func (s *Store) Status(ctx context.Context) (Status, error) {
	status := Status{Engine: s.engine.name, Database: s.name}
	tx, err := s.snapshot(ctx)
	if err != nil {
		return Status{}, s.fail("status", err)
	}
	defer tx.Rollback() //nolint:errcheck // it has changed nothing
	return status, s.fail("status", s.measure(ctx, tx, &status))
}

func (s *Store) measure(ctx context.Context, tx *sql.Tx, status *Status) (err error) {
	if status.Known, err = newestMigration(); err != nil {
		return err
	}
	if status.Schema, err = schemaVersion(ctx, tx, s.engine.versionTable); err != nil {
		return err
	}
	err = errors.Join(
		tx.QueryRowContext(ctx, s.engine.version).Scan(&status.Version),
		tx.QueryRowContext(ctx, s.engine.size).Scan(&status.Bytes))
	if err != nil || status.Schema < status.Known {
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
