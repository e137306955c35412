package models

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// PasswordReset lets whoever has its token set a new password for the user, once.
type PasswordReset struct {
	ID        string
	UserID    int64
	Hash      string // SHA-256 of the token
	ExpiresAt time.Time
}

// ReasonReset is the reason of EventPasswordChanged when a reset was redeemed.
const ReasonReset = "reset"

// CreatePasswordReset stores a reset for its user, or returns ErrNotFound when there is no such user.
func (s *Store) CreatePasswordReset(ctx context.Context, r PasswordReset, at time.Time) error {
	return s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		return s.insertReset(ctx, tx, r, at)
	})
}

// InviteUser stores u and a reset for u in one transaction, and returns u with its new id; ErrUsernameTaken
// when the name is in use. The reset needs no UserID.
func (s *Store) InviteUser(ctx context.Context, u User, r PasswordReset) (made User, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if made, err = s.insertUser(ctx, tx, u); err != nil {
			return err
		}
		r.UserID = made.ID
		return s.insertReset(ctx, tx, r, u.CreatedAt)
	})
	return made, err
}

// insertReset takes the id from the users, so that a user who is gone gives ErrNotFound on both engines.
func (s *Store) insertReset(ctx context.Context, tx *sql.Tx, r PasswordReset, at time.Time) error {
	const query = `INSERT INTO password_resets (id, user_id, hash, expires_at)
		SELECT CAST($1 AS TEXT), id, CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM users WHERE id = $4`
	err := s.execOne(ctx, tx, "create password reset", query+s.engine.lockRows,
		r.ID, r.Hash, millis(r.ExpiresAt), r.UserID)
	if err != nil {
		return err
	}
	return s.record(ctx, tx, at, Event{Kind: EventPasswordResetIssued, SubjectID: r.UserID})
}

// PasswordResetUser returns the user who may redeem a reset at this time, or ErrNotFound: for an id that
// nobody has, a reset with another hash, one that was redeemed or has expired.
func (s *Store) PasswordResetUser(ctx context.Context, id, hash string, at time.Time) (User, error) {
	const query = `SELECT ` + userColumns + ` FROM users WHERE id =
		(SELECT user_id FROM password_resets WHERE id = $1 AND hash = $2 AND expires_at > $3)`
	return readOne(ctx, s, "read password reset", scanUser, query, id, hash, millis(at))
}

// Redemption is the use of a password reset.
type Redemption struct {
	PasswordReset              // its ID, UserID and Hash
	PasswordHash  string       // of the new password
	Attempt       LoginAttempt // the counters of the user's logins, and when it happens
}

// RedeemPasswordReset gives the user the new password, and ends the user's sessions and personal access
// tokens, as RecoverUser does. It also resets the count of failed logins. It returns the ids of the sessions
// that it ended; ErrNotFound when the reset cannot be redeemed, or the user is disabled: then nothing
// changes, and no other call has the same success.
func (s *Store) RedeemPasswordReset(ctx context.Context, r Redemption) (ended []string, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if ended, err = s.redeem(ctx, tx, r); err != nil {
			return err
		}
		return s.resetFailures(ctx, tx, r.Attempt)
	})
	return ended, err
}

// redeem changes the user's row first, as every change of a user does: two resets of one user at the same
// time would wait for each other for ever.
func (s *Store) redeem(ctx context.Context, tx *sql.Tx, r Redemption) ([]string, error) {
	const set = `UPDATE users SET password_hash = $1, password_changed_at = $2
		WHERE id = $3 AND disabled_at IS NULL`
	const use = `DELETE FROM password_resets
		WHERE id = $1 AND user_id = $2 AND hash = $3 AND expires_at > $4`
	at := r.Attempt.At
	if err := s.execOne(ctx, tx, "set password", set, r.PasswordHash, millis(at), r.UserID); err != nil {
		return nil, err
	}
	if err := s.execOne(ctx, tx, "use password reset", use, r.ID, r.UserID, r.Hash, millis(at)); err != nil {
		return nil, err
	}
	ended, err := s.passwordChanged(ctx, tx, Event{Kind: EventPasswordChanged, Reason: ReasonReset,
		SubjectID: r.UserID}, "", at)
	if err != nil {
		return nil, err
	}
	_, err = s.deleteTokens(ctx, tx, r.UserID, at)
	return ended, err
}

// passwordChanged does what follows a new password, in the transaction that sets it: the user's sessions end
// but the one with the id except, and open resets are void, because one of them may be in wrong hands.
func (s *Store) passwordChanged(
	ctx context.Context, tx *sql.Tx, e Event, except string, at time.Time,
) ([]string, error) {
	ended, err := s.endIn(ctx, tx, e.SubjectID, EndedByPasswordChange, at, `id <> $4`, except)
	if err != nil {
		return nil, err
	}
	if err := s.deleteResets(ctx, tx, e.SubjectID); err != nil {
		return nil, err
	}
	return ended, s.record(ctx, tx, at, e)
}

// deleteResets makes all resets of the user void.
func (s *Store) deleteResets(ctx context.Context, tx *sql.Tx, userID int64) error {
	const query = `DELETE FROM password_resets WHERE user_id = $1`
	err := s.execOne(ctx, tx, "delete password resets", query, userID)
	if errors.Is(err, ErrNotFound) { // there were none
		return nil
	}
	return err
}
