package models

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// RotateSession carries out the rotation. It returns ErrNotFound when another one was first, the session has
// ended, or its user is disabled. Of several at the same time one succeeds. If the batch did not apply it, it
// is tried alone, and again when the connection breaks. If an earlier try did commit, the last one returns
// ErrNotFound, as if another request had won.
func (s *Store) RotateSession(ctx context.Context, r Rotation) (rotated Rotated, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	if rotated := s.rotations.do(ctx, r); rotated != nil {
		return *rotated, nil
	}
	began := time.Now()
	err = s.repeating(ctx, func(ctx context.Context) error {
		query, err := s.writes.get(ctx, rotateSessionQuery()) //nolint:sqlclosecheck // stays open
		if err != nil {
			return err
		}
		rotated, err = scanRotated(query.QueryRowContext(ctx, r.args()...))
		return err
	})
	return rotated, s.finish(ctx, "rotate session", began, err)
}

// rotateBatch carries out several rotations with one commit. The result is nil for those that it did not
// carry out.
func (s *Store) rotateBatch(ctx context.Context, all []Rotation) ([]*Rotated, error) {
	if s.engine.arrays {
		return s.rotateInStatement(ctx, all)
	}
	return s.rotateInTransaction(ctx, all)
}

// rotateInTransaction carries out the rotations one by one, with one commit.
func (s *Store) rotateInTransaction(ctx context.Context, all []Rotation) ([]*Rotated, error) {
	done := make([]*Rotated, len(all))
	query, err := s.writes.get(ctx, rotateSessionQuery())
	if err != nil {
		return nil, err
	}
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rotate := tx.StmtContext(ctx, query)
		defer rotate.Close() //nolint:errcheck // nothing is lost: the commit says what was done
		began := time.Now()
		return s.finish(ctx, rotateOperation, began, rotateEach(ctx, rotate, all, done))
	})
	return done, err
}

// rotateOperation is one batch of rotations.
const rotateOperation = "rotate sessions"

func rotateEach(ctx context.Context, rotate *sql.Stmt, all []Rotation, done []*Rotated) error {
	for i, r := range all {
		switch rotated, err := scanRotated(rotate.QueryRowContext(ctx, r.args()...)); {
		case err == nil:
			done[i] = &rotated
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
	}
	return nil
}

// rotateInStatement carries out the rotations in one statement.
func (s *Store) rotateInStatement(ctx context.Context, all []Rotation) ([]*Rotated, error) {
	done := make([]*Rotated, len(all))
	scan := func(row scanner) (place int, err error) {
		rotated, err := scanRotated(row, &place)
		if err == nil {
			done[place-1] = &rotated
		}
		return place, err
	}
	_, err := list(ctx, s.connection, s.write, rotateOperation, scan, rotateSessionsQuery(), columns(all)...)
	return done, err
}

func rotateSessionQuery() string {
	return `UPDATE sessions SET refresh_hash = $1, refresh_count = refresh_count + 1, last_used_at = $2,
			idle_ends_at = $3
		WHERE id = $4 AND refresh_count = $5 AND refresh_hash = $6 AND ` + isLive(`$2`) + `
			AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id AND u.disabled_at IS NULL)
		RETURNING user_id, ends_at, (SELECT u.username FROM users u WHERE u.id = user_id),
			(SELECT u.roles FROM users u WHERE u.id = user_id)`
}

// scanRotated reads what rotateSessionQuery returns, and the columns before it.
func scanRotated(row scanner, before ...any) (r Rotated, err error) {
	columns := []any{&r.UserID, timeColumn{&r.EndsAt}, &r.Username, rolesColumn{&r.Roles}}
	err = row.Scan(append(before, columns...)...)
	return r, err
}

// rotateSessionsQuery skips sessions that another transaction is changing, so that the rest does not wait for
// them. BETWEEN makes the planner expect few rows, whatever the arrays hold. Otherwise it plans again for
// each number of rotations, which takes longer than the change, and reads whole tables while they have no
// statistics.
func rotateSessionsQuery() string {
	return `WITH asked AS (
			SELECT * FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS BIGINT[]), CAST($3 AS TEXT[]),
				CAST($4 AS TEXT[]), CAST($5 AS BIGINT[]), CAST($6 AS BIGINT[]))
				WITH ORDINALITY AS asked (session_id, from_count, from_hash, hash, at, idle_ends_at, place)
			WHERE place BETWEEN 1 AND $7
		), free AS (
			SELECT asked.* FROM asked JOIN sessions s ON s.id = asked.session_id
				FOR NO KEY UPDATE OF s SKIP LOCKED
		)
		UPDATE sessions SET refresh_hash = free.hash, refresh_count = refresh_count + 1,
			last_used_at = free.at, idle_ends_at = free.idle_ends_at
		FROM free, users u
		WHERE sessions.id = free.session_id AND refresh_count = free.from_count
			AND refresh_hash = free.from_hash
			AND ` + isLive(`free.at`) + ` AND u.id = user_id AND u.disabled_at IS NULL
		RETURNING free.place, user_id, ends_at, u.username, u.roles`
}
