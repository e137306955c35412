package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// PersonalToken is what a program of a user sends in place of an access token.
type PersonalToken struct {
	ID         string // public, and part of the text
	UserID     int64
	Name       string   // what its owner calls it
	Hash       string   // SHA-256 of the text
	Roles      []string // that it may use while its owner has them
	Allows     []string // what it may do beyond what its roles say
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt time.Time // zero before the first use; up to a minute old
}

// ErrTooManyTokens says that a user has as many personal access tokens as a user may have.
var ErrTooManyTokens = errors.New("too many personal access tokens")

const personalColumns = `personal_tokens.id, personal_tokens.user_id, personal_tokens.name,
	personal_tokens.hash, personal_tokens.roles, personal_tokens.allows, personal_tokens.created_at,
	personal_tokens.expires_at, personal_tokens.last_used_at`

// CreatePersonalToken stores a new token. Its maker is the session or the personal access token with which
// its owner asks, or "" for an operator. The error is ErrNotFound when its maker has ended, or its owner was
// deleted or disabled; ErrTooManyTokens when its owner has limit of them, expired ones included.
func (s *Store) CreatePersonalToken(ctx context.Context, t PersonalToken, maker string, limit int) error {
	const insert = `INSERT INTO personal_tokens
			(id, user_id, name, hash, roles, allows, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`
	return s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		if err := s.lockOwner(ctx, tx, t.UserID); err != nil {
			return err
		}
		if err := s.checkMaker(ctx, tx, t.UserID, maker); err != nil {
			return err
		}
		if err := s.checkPersonalLimit(ctx, tx, t.UserID, limit); err != nil {
			return err
		}
		err := s.execOne(ctx, tx, "create personal token", insert, t.ID, t.UserID, t.Name, t.Hash,
			strings.Join(t.Roles, " "), strings.Join(t.Allows, " "), millis(t.CreatedAt), millis(t.ExpiresAt))
		if err != nil {
			return err
		}
		e := Event{Kind: EventTokenCreated, Reason: t.describe(), SubjectID: t.UserID}
		return s.record(ctx, tx, t.CreatedAt, e)
	})
}

// lockOwner returns ErrNotFound unless the user may log in. Of two new tokens at the same time, the second
// one sees the first one.
func (s *Store) lockOwner(ctx context.Context, tx *sql.Tx, userID int64) error {
	query := `SELECT id FROM users WHERE id = $1 AND disabled_at IS NULL` + s.engine.lockAlone
	began := time.Now()
	_, err := scanValue[int64](tx.QueryRowContext(ctx, query, userID))
	return s.finish(ctx, "lock user", began, err)
}

// checkMaker returns ErrNotFound when the maker of a token has ended. Call it after lockOwner: a reset of the
// password, which ends all makers, is then over or has not begun. So no new token slips past it.
func (s *Store) checkMaker(ctx context.Context, tx *sql.Tx, userID int64, maker string) error {
	const query = `SELECT id FROM sessions WHERE id = $1 AND user_id = $2 AND ended_at IS NULL
		UNION ALL SELECT id FROM personal_tokens WHERE id = $1 AND user_id = $2`
	if maker == "" {
		return nil
	}
	began := time.Now()
	_, err := scanValue[string](tx.QueryRowContext(ctx, query, maker, userID))
	return s.finish(ctx, "check maker", began, err)
}

func (s *Store) checkPersonalLimit(ctx context.Context, tx *sql.Tx, userID int64, limit int) error {
	const query = `SELECT count(*) FROM personal_tokens WHERE user_id = $1`
	began := time.Now()
	n, err := scanValue[int](tx.QueryRowContext(ctx, query, userID))
	if err := s.finish(ctx, "count personal tokens", began, err); err != nil {
		return err
	}
	if n >= limit {
		return fmt.Errorf("create personal token: %w", ErrTooManyTokens)
	}
	return nil
}

// describe is what the event says of a new token: its power, too.
func (t PersonalToken) describe() string {
	text := t.ID + " " + t.Name
	if len(t.Roles) > 0 {
		text += ", roles " + strings.Join(t.Roles, " ")
	}
	if len(t.Allows) > 0 {
		text += ", allows " + strings.Join(t.Allows, " ")
	}
	return text
}

// PersonalTokens returns the tokens of the user, the newest first.
func (s *Store) PersonalTokens(ctx context.Context, userID int64) ([]PersonalToken, error) {
	const query = `SELECT ` + personalColumns + ` FROM personal_tokens WHERE user_id = $1
		ORDER BY created_at DESC, id`
	return readAll(ctx, s, "list personal tokens", scanOnePersonal, query, userID)
}

const personalWithUserQuery = `SELECT ` + personalColumns + `, u.username, u.roles, u.disabled_at
	FROM personal_tokens JOIN users u ON u.id = personal_tokens.user_id WHERE personal_tokens.id = $1`

// PersonalTokenWithUser returns the token and its owner as they are now, or ErrNotFound.
func (s *Store) PersonalTokenWithUser(
	ctx context.Context, id string,
) (t PersonalToken, user User, err error) {
	began := time.Now()
	err = s.reading(ctx, func(ctx context.Context) error {
		query, err := s.reads.get(ctx, personalWithUserQuery) //nolint:sqlclosecheck // stays open
		if err != nil {
			return err
		}
		t, err = scanPersonal(query.QueryRowContext(ctx, id),
			&user.Username, rolesColumn{&user.Roles}, timeColumn{&user.DisabledAt})
		return err
	})
	user.ID = t.UserID
	return t, user, s.finish(ctx, "read personal token", began, err)
}

// DeletePersonalToken deletes a token of the user; ErrNotFound when the user has none with this id.
func (s *Store) DeletePersonalToken(ctx context.Context, userID int64, id string, at time.Time) error {
	const query = `DELETE FROM personal_tokens WHERE id = $1 AND user_id = $2 RETURNING name`
	return s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		began := time.Now()
		name, err := scanValue[string](tx.QueryRowContext(ctx, query, id, userID))
		if err := s.finish(ctx, "delete personal token", began, err); err != nil {
			return err
		}
		if err := s.revoke(ctx, tx, []string{id}); err != nil {
			return err
		}
		deleted := PersonalToken{ID: id, Name: name}
		e := Event{Kind: EventTokenDeleted, Reason: deleted.describe(), SubjectID: userID}
		return s.record(ctx, tx, at, e)
	})
}

// DeletePersonalTokens deletes all tokens of the user. It returns how many; ErrNotFound when there is no such
// user.
func (s *Store) DeletePersonalTokens(ctx context.Context, userID int64, at time.Time) (n int, err error) {
	query := `SELECT id FROM users WHERE id = $1` + s.engine.lockAlone
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		began := time.Now()
		_, err := scanValue[int64](tx.QueryRowContext(ctx, query, userID))
		if err := s.finish(ctx, "lock user", began, err); err != nil {
			return err
		}
		n, err = s.deleteTokens(ctx, tx, userID, at)
		return err
	})
	return n, err
}

// deleteTokens needs the lock on the user's row, or a new token could come meanwhile. It locks the tokens in
// the order of RecordUses, so that the two do not wait for each other.
func (s *Store) deleteTokens(ctx context.Context, tx *sql.Tx, userID int64, at time.Time) (int, error) {
	query := `DELETE FROM personal_tokens WHERE id IN
		(SELECT id FROM personal_tokens WHERE user_id = $1 ORDER BY id` + s.engine.lockAlone + `)
		RETURNING id, name`
	scan := func(row scanner) (t PersonalToken, err error) { return t, row.Scan(&t.ID, &t.Name) }
	deleted, err := list(ctx, s.connection, tx, "delete personal tokens", scan, query, userID)
	if err != nil {
		return 0, err
	}
	var ids []string
	for _, t := range deleted {
		ids = append(ids, t.ID)
		e := Event{Kind: EventTokenDeleted, Reason: t.describe(), SubjectID: userID}
		if err := s.record(ctx, tx, at, e); err != nil {
			return 0, err
		}
	}
	return len(ids), s.revoke(ctx, tx, ids)
}

const (
	// usesBatch is how many uses share a transaction, so that others can write in between.
	usesBatch = 500
	// UseInterval is how often a use of the same token is written at most.
	UseInterval = time.Minute
)

// RecordUses writes when tokens were last used, by their ids. A use within a minute after the one that was
// written last is not written: another replica was faster.
func (s *Store) RecordUses(ctx context.Context, uses map[string]time.Time) error {
	// In the same order everywhere, so that no two replicas wait for each other.
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(uses)), usesBatch) {
		err := s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
			return s.recordUses(ctx, tx, ids, uses)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) recordUses(ctx context.Context, tx *sql.Tx, ids []string, uses map[string]time.Time) error {
	const query = `UPDATE personal_tokens SET last_used_at = $1
		WHERE id = $2 AND (last_used_at IS NULL OR last_used_at <= $3)`
	began := time.Now()
	for _, id := range ids {
		at := uses[id]
		_, err := tx.ExecContext(ctx, query, millis(at), id, millis(at.Add(-UseInterval)))
		if err != nil {
			return s.finish(ctx, "record uses", began, err)
		}
	}
	return s.finish(ctx, "record uses", began, nil)
}

func scanOnePersonal(row scanner) (PersonalToken, error) { return scanPersonal(row) }

// scanPersonal reads personalColumns, and the columns of the query after them.
func scanPersonal(row scanner, more ...any) (t PersonalToken, err error) {
	columns := []any{&t.ID, &t.UserID, &t.Name, &t.Hash, rolesColumn{&t.Roles}, rolesColumn{&t.Allows},
		timeColumn{&t.CreatedAt}, timeColumn{&t.ExpiresAt}, timeColumn{&t.LastUsedAt}}
	return t, row.Scan(append(columns, more...)...)
}
