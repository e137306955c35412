package models

import (
	"context"
	"database/sql"
	"time"
)

// EndedReason says why a session ended. The values are part of the wire contract.
type EndedReason string

// Why a session ended.
const (
	EndedByPasswordChange EndedReason = "password_change"
	EndedByDisable        EndedReason = "user_disabled"
)

// Session is what a login starts. An access token names it, and is worth nothing once it has ended.
type Session struct {
	ID          string // 128 bits of randomness or more
	UserID      int64
	CreatedAt   time.Time
	EndedAt     time.Time // zero while the session lives
	EndedReason EndedReason
}

// Ended reports whether the session has ended.
func (s Session) Ended() bool { return !s.EndedAt.IsZero() }

// CreateSession stores a new session; ErrNotFound when the user was deleted or disabled in the meantime.
func (s *Store) CreateSession(ctx context.Context, session Session) error {
	const query = `INSERT INTO sessions (id, user_id, created_at)
		SELECT CAST($1 AS TEXT), id, CAST($2 AS BIGINT) FROM users WHERE id = $3 AND disabled_at IS NULL`
	return execOne(ctx, s.write, "create session", query, session.ID, millis(session.CreatedAt), session.UserID)
}

// SessionWithUser returns the session and its user as they are now, or ErrNotFound.
func (s *Store) SessionWithUser(ctx context.Context, id string) (Session, User, error) {
	const query = `SELECT s.id, s.user_id, s.created_at, s.ended_at, s.ended_reason, u.username, u.roles, u.disabled_at
		FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1`
	var (
		session         Session
		user            User
		created         int64
		ended, disabled sql.NullInt64
		reason          sql.NullString
		roles           string
	)
	err := s.read.QueryRowContext(ctx, query, id).Scan(&session.ID, &session.UserID, &created, &ended, &reason,
		&user.Username, &roles, &disabled)
	if err != nil {
		return Session{}, User{}, fail("read session", err)
	}
	session.CreatedAt, session.EndedAt = fromMillis(created), fromNullMillis(ended)
	session.EndedReason = EndedReason(reason.String)
	user.ID, user.Roles, user.DisabledAt = session.UserID, splitRoles(roles), fromNullMillis(disabled)
	return session, user, nil
}

func endSessions(ctx context.Context, tx *sql.Tx, userID int64, reason EndedReason, at time.Time) error {
	const query = `UPDATE sessions SET ended_at = $1, ended_reason = $2 WHERE user_id = $3 AND ended_at IS NULL`
	_, err := tx.ExecContext(ctx, query, millis(at), string(reason), userID)
	return fail("end sessions", err)
}
