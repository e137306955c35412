package models

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// User is somebody who may log in.
type User struct {
	ID                int64  // from 1, never given to another user; below 2^53, so that JSON numbers hold it
	Username          string // normalised by security.NormalizeUsername
	PasswordHash      string // PHC string; "" for a user without a password, who cannot log in
	Roles             []string
	CreatedAt         time.Time
	PasswordChangedAt time.Time
	DisabledAt        time.Time // zero while the user may log in
}

// Disabled reports whether the user may neither log in nor use sessions.
func (u User) Disabled() bool { return !u.DisabledAt.IsZero() }

// HasPassword reports whether there is a password to log in with. An invited user has none yet.
func (u User) HasPassword() bool { return u.PasswordHash != "" }

// Version names the state of the user. After each change it is another one.
func (u User) Version() string {
	state := fmt.Sprintf("%d %q %q %d %d %d", u.ID, u.Username, u.Roles,
		millis(u.CreatedAt), millis(u.PasswordChangedAt), millis(u.DisabledAt))
	sum := sha256.Sum256([]byte(state))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

const userColumns = `id, username, password_hash, roles, created_at, password_changed_at, disabled_at`

// CreateUser stores u under a new id and returns it with that id; ErrUsernameTaken when the name is in use.
func (s *Store) CreateUser(ctx context.Context, u User) (made User, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		made, err = s.insertUser(ctx, tx, u)
		return err
	})
	return made, err
}

// insertUser is CreateUser in a transaction that changes more.
func (s *Store) insertUser(ctx context.Context, tx *sql.Tx, u User) (_ User, err error) {
	const query = `INSERT INTO users (id, username, password_hash, roles, created_at, password_changed_at)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (username) DO NOTHING`
	u.CreatedAt, u.PasswordChangedAt = asStored(u.CreatedAt), asStored(u.PasswordChangedAt)
	u.ID, err = s.insertIn(ctx, tx, "users", query, u.Username, u.PasswordHash,
		strings.Join(u.Roles, " "), millis(u.CreatedAt), millis(u.PasswordChangedAt))
	if errors.Is(err, ErrNotFound) { // the name was in conflict
		return User{}, fmt.Errorf("create user: %w", ErrUsernameTaken)
	}
	if err != nil {
		return User{}, err
	}
	return u, s.record(ctx, tx, u.CreatedAt, Event{Kind: EventUserCreated, SubjectID: u.ID})
}

// UserByName returns the user with this normalised name, or ErrNotFound.
func (s *Store) UserByName(ctx context.Context, username string) (User, error) {
	const query = `SELECT ` + userColumns + ` FROM users WHERE username = $1`
	return readOne(ctx, s, "read user", scanUser, query, username)
}

// UserByID returns the user with this id, or ErrNotFound.
func (s *Store) UserByID(ctx context.Context, id int64) (User, error) {
	return readOne(ctx, s, "read user", scanUser, `SELECT `+userColumns+` FROM users WHERE id = $1`, id)
}

// Users yields every user in the order of the names; an error ends the sequence.
func (s *Store) Users(ctx context.Context) iter.Seq2[User, error] {
	const query = `SELECT ` + userColumns + ` FROM users ORDER BY username`
	return stream(ctx, s.connection, "list users", scanUser, query)
}

// Empty reports whether there is no user yet.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	some, err := readOne(ctx, s, "look for users", scanValue[bool], `SELECT EXISTS (SELECT 1 FROM users)`)
	return !some, err
}

// SetPassword replaces the password hash of the user and ends the user's sessions but the one with the id
// except ("" spares none). Open password resets are void. It returns the ids of the sessions it ended;
// ErrNotFound when there is no such user.
func (s *Store) SetPassword(
	ctx context.Context, userID int64, hash, except string, at time.Time,
) (ended []string, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		ended, err = s.setPassword(ctx, tx, userID, hash, except, at)
		return err
	})
	return ended, err
}

// RecoverUser is SetPassword by somebody else, after which nobody who was there before is left: it ends all
// sessions of the user, and deletes all personal access tokens.
func (s *Store) RecoverUser(
	ctx context.Context, userID int64, hash string, at time.Time,
) (ended []string, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if ended, err = s.setPassword(ctx, tx, userID, hash, "", at); err != nil {
			return err
		}
		_, err = s.deleteTokens(ctx, tx, userID, at)
		return err
	})
	return ended, err
}

func (s *Store) setPassword(
	ctx context.Context, tx *sql.Tx, userID int64, hash, except string, at time.Time,
) ([]string, error) {
	const query = `UPDATE users SET password_hash = $1, password_changed_at = $2 WHERE id = $3`
	if err := s.execOne(ctx, tx, "set password", query, hash, millis(at), userID); err != nil {
		return nil, err
	}
	return s.passwordChanged(ctx, tx, Event{Kind: EventPasswordChanged, SubjectID: userID}, except, at)
}

// RehashPassword replaces the hash with a stronger one of the same password. It changes nothing when the hash
// is no longer old: a password that was set meanwhile stays.
func (s *Store) RehashPassword(ctx context.Context, userID int64, old, hash string) error {
	const query = `UPDATE users SET password_hash = $1 WHERE id = $2 AND password_hash = $3`
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	began := time.Now()
	_, err := s.write.ExecContext(ctx, query, hash, userID, old)
	return s.finish(ctx, "rehash password", began, err)
}

func scanUser(row scanner) (u User, err error) {
	err = row.Scan(&u.ID, &u.Username, &u.PasswordHash, rolesColumn{&u.Roles}, timeColumn{&u.CreatedAt},
		timeColumn{&u.PasswordChangedAt}, timeColumn{&u.DisabledAt})
	return u, err
}

// rolesColumn reads roles, which blanks separate: no role name contains one.
type rolesColumn struct{ to *[]string }

// Scan is called by database/sql.
func (c rolesColumn) Scan(value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("roles came as %T", value)
	}
	*c.to = strings.Fields(text)
	return nil
}
