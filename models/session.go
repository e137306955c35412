package models

import (
	"context"
	"database/sql"
	"iter"
	"strings"
	"time"
)

// Session is what a login starts. An access token names it, and is worthless once it has ended.
type Session struct {
	ID           string // 128 bits of randomness or more
	UserID       int64
	CreatedAt    time.Time
	LastUsedAt   time.Time // of the login or the latest refresh
	IdleEndsAt   time.Time // when it ends unless it is refreshed before
	EndsAt       time.Time // when it ends however often it is refreshed
	Address      string    // IP address of the login
	UserAgent    string
	RefreshCount int64  // how often it was refreshed
	RefreshHash  string // SHA-256 of the refresh token that is valid now
	EndedAt      time.Time
	EndedReason  EndedReason // "" while the session lives
}

// Ended returns why the session has ended at this time, or "" while it lives.
func (s Session) Ended(at time.Time) EndedReason {
	switch {
	case s.EndedReason != "":
		return s.EndedReason
	case !at.Before(s.EndsAt):
		return EndedByAge
	case !at.Before(s.IdleEndsAt):
		return EndedByIdle
	}
	return ""
}

const sessionColumns = `sessions.id, sessions.user_id, sessions.created_at, sessions.last_used_at,
	sessions.idle_ends_at, sessions.ends_at, sessions.address, sessions.user_agent,
	sessions.refresh_count, sessions.refresh_hash, sessions.ended_at, sessions.ended_reason`

// isLive is the SQL condition for a session that has not ended at a time; the time is SQL too: a parameter or
// a column.
func isLive(at string) string {
	return `sessions.ended_at IS NULL AND sessions.idle_ends_at > ` + at + ` AND sessions.ends_at > ` + at
}

// CreateSession stores a new session of the user, or returns ErrNotFound when the user was deleted, disabled,
// or given another password or other roles since it was read. The roles matter, because a change of them
// tells only of sessions that there are: a token with the old ones would pass for as long as it lives.
func (s *Store) CreateSession(ctx context.Context, user User, n Session) error {
	const query = `INSERT INTO sessions
			(id, user_id, created_at, last_used_at, idle_ends_at, ends_at, address, user_agent,
			refresh_count, refresh_hash)
		SELECT CAST($1 AS TEXT), id, CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT),
			CAST($5 AS BIGINT), CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS BIGINT), CAST($9 AS TEXT)
		FROM users WHERE id = $10 AND disabled_at IS NULL AND password_changed_at = $11 AND roles = $12`
	return s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		err := s.execOne(ctx, tx, "create session", query+s.engine.lockRows, n.ID, millis(n.CreatedAt),
			millis(n.LastUsedAt), millis(n.IdleEndsAt), millis(n.EndsAt), n.Address, n.UserAgent,
			n.RefreshCount, n.RefreshHash, user.ID, millis(user.PasswordChangedAt),
			strings.Join(user.Roles, " "))
		if err != nil {
			return err
		}
		return s.record(ctx, tx, n.CreatedAt, Event{Kind: EventLogin, SubjectID: user.ID, SessionID: n.ID})
	})
}

const sessionWithUserQuery = `SELECT ` + sessionColumns + `, u.username, u.roles, u.disabled_at
	FROM sessions JOIN users u ON u.id = sessions.user_id WHERE sessions.id = $1`

// SessionWithUser returns the session and its user as they are now, or ErrNotFound.
func (s *Store) SessionWithUser(ctx context.Context, id string) (session Session, user User, err error) {
	began := time.Now()
	err = s.reading(ctx, func(ctx context.Context) error {
		query, err := s.reads.get(ctx, sessionWithUserQuery) //nolint:sqlclosecheck // stays open
		if err != nil {
			return err
		}
		session, err = scanSession(query.QueryRowContext(ctx, id),
			&user.Username, rolesColumn{&user.Roles}, timeColumn{&user.DisabledAt})
		return err
	})
	user.ID = session.UserID
	return session, user, s.finish(ctx, "read session", began, err)
}

// Sessions returns the user's sessions, the newest first, at most limit.
func (s *Store) Sessions(ctx context.Context, userID int64, limit int) ([]Session, error) {
	const query = `SELECT ` + sessionColumns + ` FROM sessions WHERE user_id = $1
		ORDER BY created_at DESC, id LIMIT $2`
	return readAll(ctx, s, "list sessions", scanOneSession, query, userID, limit)
}

// LiveSessions yields the sessions that have not ended at this time with the names of their users, the newest
// first; userID 0 stands for all users. An error ends the sequence.
func (s *Store) LiveSessions(ctx context.Context, userID int64, at time.Time) iter.Seq2[NamedSession, error] {
	query := `SELECT ` + sessionColumns + `, u.username FROM sessions JOIN users u ON u.id = user_id
		WHERE (CAST($1 AS BIGINT) = 0 OR user_id = $1) AND ` + isLive(`$2`) + `
		ORDER BY sessions.created_at DESC, sessions.id`
	return stream(ctx, s.connection, "list sessions", scanNamedSession, query, userID, millis(at))
}

// AnyLiveSession reports whether the user has a session that has not ended at this time.
func (s *Store) AnyLiveSession(ctx context.Context, userID int64, at time.Time) (bool, error) {
	query := `SELECT EXISTS (SELECT 1 FROM sessions WHERE user_id = $1 AND ` + isLive(`$2`) + `)`
	return readOne(ctx, s, "look for sessions", scanValue[bool], query, userID, millis(at))
}

// NamedSession is a session with the name of its user.
type NamedSession struct {
	Session
	Username string
}

func scanNamedSession(row scanner) (named NamedSession, err error) {
	named.Session, err = scanSession(row, &named.Username)
	return named, err
}

func scanOneSession(row scanner) (Session, error) { return scanSession(row) }

// scanSession reads sessionColumns, and the columns of the query after them.
func scanSession(row scanner, more ...any) (s Session, err error) {
	var reason sql.NullString
	columns := []any{&s.ID, &s.UserID, timeColumn{&s.CreatedAt}, timeColumn{&s.LastUsedAt},
		timeColumn{&s.IdleEndsAt}, timeColumn{&s.EndsAt}, &s.Address, &s.UserAgent,
		&s.RefreshCount, &s.RefreshHash, timeColumn{&s.EndedAt}, &reason}
	err = row.Scan(append(columns, more...)...)
	s.EndedReason = EndedReason(reason.String)
	return s, err
}

// EndSession ends one session of the user. It reports whether it was this call that ended it.
func (s *Store) EndSession(
	ctx context.Context, userID int64, id string, reason EndedReason, at time.Time,
) (bool, error) {
	ended, err := s.endSessions(ctx, userID, reason, at, `id = $4`, id)
	return len(ended) == 1, err
}

// EndSessions ends all sessions of the user but the one with the id except ("" spares none), and returns the
// ids of those that it ended.
func (s *Store) EndSessions(
	ctx context.Context, userID int64, except string, reason EndedReason, at time.Time,
) ([]string, error) {
	return s.endSessions(ctx, userID, reason, at, `id <> $4`, except)
}

func (s *Store) endSessions(
	ctx context.Context, userID int64, reason EndedReason, at time.Time, which, id string,
) ([]string, error) {
	var ended []string
	err := s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		ended, err = s.endIn(ctx, tx, userID, reason, at, which, id)
		return err
	})
	return ended, err
}
