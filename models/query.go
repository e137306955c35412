package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"time"
)

const (
	// writeWait bounds a change, with its wait for other writers: a caller gets an answer while it still
	// waits.
	writeWait = 4 * time.Second
	// readWait bounds the reads that requests and the feed wait for.
	readWait = 3 * time.Second
	// maxAttempts bounds the tries of a statement whose connection broke or whose transaction was rolled
	// back.
	maxAttempts = 3
)

// Transact runs fn in one transaction: it commits when fn returns nil, and rolls back otherwise. It runs fn
// again where that is safe: after a serialization failure, or when the connection broke before the commit was
// sent. A commit without an answer is an error, because nobody knows whether it took place. The context of fn
// ends after writeWait, so that a transaction on a server that hangs gives its connection back.
func (c *connection) Transact(ctx context.Context, fn func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	for attempt := 1; ; attempt++ {
		sent, err := c.transactOnce(ctx, fn)
		again := c.engine.serializationFailure(err) || !sent && c.engine.connectionLost(err)
		if !again || attempt == maxAttempts || ctx.Err() != nil {
			return blame(ctx, err)
		}
	}
}

// transactOnce also reports whether it has sent the commit.
func (c *connection) transactOnce(
	ctx context.Context, fn func(context.Context, *sql.Tx) error,
) (sent bool, err error) {
	began := time.Now()
	tx, err := c.write.BeginTx(ctx, nil)
	if err := c.finish(ctx, "begin", began, err); err != nil {
		return false, err
	}
	if err := fn(ctx, tx); err != nil {
		_ = tx.Rollback() // the cause is err; a connection that cannot roll back is discarded by the pool
		return false, err
	}
	began = time.Now()
	return true, c.finish(ctx, "commit", began, tx.Commit())
}

// blame adds why the context ended to an error that came with it. A driver may say no more than that the
// connection is bad, and database/sql that the transaction is over: the database is well all the same.
func blame(ctx context.Context, err error) error {
	if errors.Is(err, ErrUnavailable) && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", err, ctx.Err())
	}
	return err
}

// reading runs a read within readWait, and again when its connection broke: a read changes nothing.
func (c *connection) reading(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, readWait)
	defer cancel()
	return c.repeating(ctx, read)
}

// repeating runs what may be done twice, again when its connection broke, at most maxAttempts times.
func (c *connection) repeating(ctx context.Context, do func(context.Context) error) error {
	for attempt := 1; ; attempt++ {
		err := do(ctx)
		if !c.engine.connectionLost(err) || attempt == maxAttempts || ctx.Err() != nil {
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
func list[T any](
	ctx context.Context, c *connection, db queryer, operation string, scan func(scanner) (T, error),
	query string, args ...any,
) (all []T, err error) {
	began := time.Now()
	all, err = collect(each(ctx, db, scan, query, args...))
	return all, c.finish(ctx, operation, began, err)
}

func collect[T any](rows iter.Seq2[T, error]) (all []T, err error) {
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, nil
}

// stream yields what scan makes of each row, from one state of the database and without a time limit. An
// error ends the sequence.
func stream[T any](
	ctx context.Context, c *connection, operation string, scan func(scanner) (T, error), query string,
	args ...any,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		tx, err := c.snapshot(ctx)
		if err != nil {
			yield(none, c.wrap(operation, err))
			return
		}
		defer tx.Rollback() //nolint:errcheck // it has changed nothing
		for row, err := range each(ctx, tx, scan, query, args...) {
			if !yield(row, c.wrap(operation, err)) || err != nil {
				return
			}
		}
	}
}

// snapshot begins a transaction that reads one state of the database, without a time limit.
func (c *connection) snapshot(ctx context.Context) (*sql.Tx, error) {
	tx, err := c.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: c.engine.snapshot})
	if err != nil {
		return nil, err
	}
	if err := c.removeTimeLimits(ctx, tx); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return tx, nil
}

// removeTimeLimits lets a transaction take as long as it needs.
func (c *connection) removeTimeLimits(ctx context.Context, tx *sql.Tx) error {
	if c.engine.unlimited == "" {
		return nil
	}
	_, err := tx.ExecContext(ctx, c.engine.unlimited)
	return err
}

func each[T any](
	ctx context.Context, db queryer, scan func(scanner) (T, error), query string, args ...any,
) iter.Seq2[T, error] {
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

// readAll returns what scan makes of each row, within readWait.
func readAll[T any](
	ctx context.Context, s *Store, operation string, scan func(scanner) (T, error), query string, args ...any,
) (all []T, err error) {
	err = s.reading(ctx, func(ctx context.Context) error {
		all, err = list(ctx, s.connection, s.read, operation, scan, query, args...)
		return err
	})
	return all, err
}

// readOne returns what scan makes of the one row, within readWait, or ErrNotFound.
func readOne[T any](
	ctx context.Context, s *Store, operation string, scan func(scanner) (T, error), query string, args ...any,
) (one T, err error) {
	began := time.Now()
	err = s.reading(ctx, func(ctx context.Context) error {
		one, err = scan(s.read.QueryRowContext(ctx, query, args...))
		return err
	})
	return one, s.finish(ctx, operation, began, err)
}

// changeOne changes one row within writeWait, or returns ErrNotFound when it changed none.
//
//nolint:unused // for the tables of a fork: see docs/stored-resource.md
func (s *Store) changeOne(ctx context.Context, operation, query string, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	return s.execOne(ctx, s.write, operation, query, args...)
}

// insertOne inserts a row under the next id of the table, which is $1 of the query, and returns the id. It
// returns ErrNotFound when the query inserts none.
//
//nolint:unused // as changeOne
func (s *Store) insertOne(ctx context.Context, table, query string, args ...any) (id int64, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		id, err = s.insertIn(ctx, tx, table, query, args...)
		return err
	})
	return id, err
}

// insertIn is insertOne in a transaction that changes more.
func (s *Store) insertIn(ctx context.Context, tx *sql.Tx, table, query string, args ...any) (int64, error) {
	id, err := s.nextID(ctx, tx, table)
	if err != nil {
		return 0, err
	}
	return id, s.execOne(ctx, tx, "insert into "+table, query, append([]any{id}, args...)...)
}

// nextID returns the next id of a counter. It counts in a table, because the id of a deleted row must not
// come back: it could be in somebody else's token.
func (s *Store) nextID(ctx context.Context, tx *sql.Tx, counter string) (id int64, err error) {
	const query = `INSERT INTO counters (name, value) VALUES ($1, 1)
		ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value`
	began := time.Now()
	err = tx.QueryRowContext(ctx, query, counter).Scan(&id)
	return id, s.finish(ctx, "next id", began, err)
}

// execOne runs a statement that changes one row, or returns ErrNotFound when it changed none.
func (c *connection) execOne(ctx context.Context, db queryer, operation, query string, args ...any) error {
	began := time.Now()
	n, err := changed(db.ExecContext(ctx, query, args...))
	if err == nil && n == 0 {
		err = sql.ErrNoRows
	}
	return c.finish(ctx, operation, began, err)
}

// changed returns how many rows a statement changed.
func changed(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// finish is wrap for an operation that began at a time; the observer learns of it. A client who hung up is no
// failure of the database.
func (c *connection) finish(ctx context.Context, operation string, began time.Time, err error) error {
	err = c.wrap(operation, err)
	if c.observer != nil {
		failed := errors.Is(err, ErrUnavailable) && !errors.Is(err, context.Canceled)
		c.observer(ctx, operation, time.Since(began), failed)
	}
	return err
}

// wrap names the operation, and tells "no such row" from "the database did not do it". Every error of a
// driver is the latter: the statements are fixed, so only the state of the database can be wrong.
func (c *connection) wrap(operation string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows), c.engine.invalidText(err):
		return fmt.Errorf("%s: %w", operation, ErrNotFound)
	default:
		return fmt.Errorf("%s: %w: %w", operation, ErrUnavailable, err)
	}
}

// millis is how the database stores a time: whole milliseconds since 1970 UTC, the same on every engine.
func millis(t time.Time) int64 { return t.UnixMilli() }

// asStored returns a time as the database gives it back.
func asStored(t time.Time) time.Time { return fromMillis(millis(t)) }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// timeColumn reads what millis wrote; NULL is the zero time.
type timeColumn struct{ to *time.Time }

// Scan is called by database/sql.
func (c timeColumn) Scan(value any) error {
	switch ms := value.(type) {
	case nil:
		*c.to = time.Time{}
	case int64:
		*c.to = fromMillis(ms)
	default:
		return fmt.Errorf("a time came as %T", value)
	}
	return nil
}

// scanValue reads a row of one column.
func scanValue[T any](row scanner) (value T, err error) {
	err = row.Scan(&value)
	return value, err
}
