package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/url"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// measure lets the workers repeat their work for the duration. It prints how often they did it in a second,
// how often in all, and this program's processor time for each, in microseconds.
func (p plan) measure(ctx context.Context, work func() error) error {
	begin := time.Now()
	var total atomic.Int64
	err := p.each(func() (bool, error) {
		defer total.Add(1)
		return time.Since(begin) < p.duration && ctx.Err() == nil, work()
	})
	took := time.Since(begin)
	cpu, cpuErr := processorTime()
	if err := errors.Join(err, cpuErr); err != nil {
		return err
	}
	n := float64(total.Load())
	_, err = fmt.Printf("%.1f %.0f %.1f\n", n/took.Seconds(), n, cpu.Seconds()*1e6/n)
	return err
}

// hash measures argon2id as Sherpa computes it: 19 MiB, 2 passes, 1 lane, 32 bytes.
func (p plan) hash(ctx context.Context) error {
	p.workers = runtime.GOMAXPROCS(0)
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	return p.measure(ctx, func() error {
		argon2.IDKey([]byte(p.password), salt, 2, 19456, 1, 32)
		return nil
	})
}

// login begins with any of the users, so that a run uses other users than the run before.
func (p plan) login(ctx context.Context) error {
	var next atomic.Int64
	next.Store(mathrand.Int64N(int64(p.users)))
	return p.measure(ctx, func() error {
		_, err := p.logIn(ctx, int(next.Add(1))%p.users)
		return err
	})
}

// settings are those of package models, which exports no connection.
const settings = "_txlock=immediate&_pragma=busy_timeout(5000)" +
	"&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)" +
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
	var ids []string
	for n := range p.workers {
		var id string
		row := db.QueryRowContext(ctx, `SELECT id FROM sessions LIMIT 1 OFFSET $1`, n)
		if err := row.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, id)
	}
	p.workers = 1 // there is one connection
	next := 0
	return p.measure(ctx, func() error {
		next++
		return updateOne(ctx, db, ids[next%len(ids)])
	})
}

func updateOne(ctx context.Context, db *sql.DB, id string) error {
	const query = `UPDATE sessions SET refresh_hash = $1, refresh_count = refresh_count + 1,
		last_used_at = $2, idle_ends_at = $3 WHERE id = $4`
	now := time.Now()
	hash, idleEnds := fmt.Sprintf("%043d", now.UnixNano()), now.Add(7*24*time.Hour).UnixMilli()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if _, err = tx.ExecContext(ctx, query, hash, now.UnixMilli(), idleEnds, id); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
