package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// TableRows says how many rows a table has.
type TableRows struct {
	Table string `json:"table"`
	Rows  int64  `json:"rows"`
}

// copyBatch is how many rows one statement inserts: SQLite takes 32766 parameters in one, PostgreSQL 65535.
const copyBatch = 500

// Copy copies everything from the database at one URL into the one at another, and returns what it copied. It
// creates the target if it does not exist; the target must be empty. It reads one state of the source, writes
// in one transaction, and checks the counts at the end. After an error the target is as empty as before.
func Copy(ctx context.Context, from, to string) ([]TableRows, error) {
	return copyAll(ctx, from, to, func(table) {})
}

// copyAll calls before with each table that it begins.
func copyAll(ctx context.Context, from, to string, before func(table)) (copied []TableRows, err error) {
	source, err := OpenDatabase(ctx, from)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if !source.upToDate(ctx) {
		return nil, fmt.Errorf("%s has the schema of another version of sherpa; "+
			"copy with the newest version that has used it, after `sherpa db migrate`", source.name)
	}
	target, err := Open(ctx, to)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	read, err := source.snapshot(ctx)
	if err != nil {
		return nil, source.wrap("read "+source.name, err)
	}
	defer read.Rollback() //nolint:errcheck // it has changed nothing
	return copyInto(ctx, target.connection, read, before)
}

// copyInto has no time limit and no retry, unlike Transact: it takes as long as there are rows.
func copyInto(
	ctx context.Context, target *connection, source *sql.Tx, before func(table),
) (copied []TableRows, err error) {
	tx, err := target.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, target.wrap("begin", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := target.removeTimeLimits(ctx, tx); err != nil {
		return nil, target.wrap("begin", err)
	}
	if err := refuseRows(ctx, tx, target.name); err != nil {
		return nil, err
	}
	for _, t := range tables() {
		before(t)
		rows, err := copyTable(ctx, t, source, tx)
		if err != nil {
			return nil, fmt.Errorf("copy %s: %w", t.name, err)
		}
		copied = append(copied, TableRows{t.name, rows})
	}
	return copied, target.wrap("commit", tx.Commit())
}

func refuseRows(ctx context.Context, tx *sql.Tx, name string) error {
	for _, t := range tables() {
		var some bool
		query := `SELECT EXISTS (SELECT 1 FROM ` + t.name + `)`
		if err := tx.QueryRowContext(ctx, query).Scan(&some); err != nil {
			return fmt.Errorf("look into %s: %w", name, err)
		}
		if some {
			return fmt.Errorf("%s is not empty, it has rows in %s", name, t.name)
		}
	}
	return nil
}

func countRows(ctx context.Context, db queryer, t table) (n int64, err error) {
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM `+t.name).Scan(&n)
	return n, err
}

func copyTable(ctx context.Context, t table, source, target *sql.Tx) (int64, error) {
	total, err := countRows(ctx, source, t)
	if err != nil {
		return 0, err
	}
	var batch []any
	flush := func() error {
		rows := len(batch) / t.width()
		if rows == 0 {
			return nil
		}
		_, err := target.ExecContext(ctx, t.insert(rows), batch...)
		batch = batch[:0]
		return err
	}
	for row, err := range each(ctx, source, t.scan, `SELECT `+t.columns+` FROM `+t.name) {
		if err != nil {
			return 0, err
		}
		if batch = append(batch, row...); len(batch) == copyBatch*t.width() {
			if err := flush(); err != nil {
				return 0, err
			}
		}
	}
	if err := flush(); err != nil {
		return 0, err
	}
	return total, checkCount(ctx, t, target, total)
}

func checkCount(ctx context.Context, t table, target *sql.Tx, want int64) error {
	got, err := countRows(ctx, target, t)
	if err == nil && got != want {
		return fmt.Errorf("%d rows arrived, but there are %d", got, want)
	}
	return err
}

// scan reads the columns as the driver returns them: numbers and texts, which both engines take.
func (t table) scan(row scanner) ([]any, error) {
	values, places := make([]any, t.width()), make([]any, t.width())
	for i := range values {
		places[i] = &values[i]
	}
	err := row.Scan(places...)
	return values, err
}

// insert returns the statement for this many rows.
func (t table) insert(rows int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `INSERT INTO %s (%s) VALUES `, t.name, t.columns)
	for i := range rows * t.width() {
		before := ", "
		switch {
		case i == 0:
			before = "("
		case i%t.width() == 0:
			before = "), ("
		}
		fmt.Fprintf(&b, "%s$%d", before, i+1)
	}
	return b.String() + ")"
}
