package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// settings are those of package models, which keeps them to itself.
const settings = "_txlock=immediate" +
	"&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" +
	"&_pragma=cache_size(-8000)&_pragma=mmap_size(268435456)&_pragma=temp_store(MEMORY)"

// update does nothing but what a refresh must write: the row of a session, found by its id.
func (p plan) update(ctx context.Context) (err error) {
	dsn := url.URL{Scheme: "file", OmitHost: true, Path: p.database, RawQuery: settings}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	ids, err := sessionIDs(ctx, db, p.workers)
	if err != nil {
		return err
	}
	p.workers = 1 // there is one connection
	next := 0
	return p.measure(ctx, func(ctx context.Context, _ int) error {
		next++
		return updateOne(ctx, db, ids[next%len(ids)])
	})
}

func sessionIDs(ctx context.Context, db *sql.DB, n int) ([]string, error) {
	rows, err := db.QueryContext(ctx, `SELECT id FROM sessions LIMIT $1`, n)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil || len(ids) == n {
		return ids, err
	}
	return nil, fmt.Errorf("there are %d sessions and not %d", len(ids), n)
}

func updateOne(ctx context.Context, db *sql.DB, id string) error {
	const query = `UPDATE sessions SET refresh_hash = $1, refresh_count = refresh_count + 1, last_used_at = $2,
		idle_ends_at = $3 WHERE id = $4`
	now := time.Now()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, query, fmt.Sprintf("%043d", now.UnixNano()), now.UnixMilli(), now.Add(7*24*time.Hour).UnixMilli(), id)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
