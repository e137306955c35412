package models

import (
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"
)

// AdminRole is the role of administrators. The store knows it, because one who may log in must be left.
const AdminRole = "admin"

// UserChange says what ChangeUser changes. Its zero value changes nothing.
type UserChange struct {
	// Versions are those of the states that may be changed; nil stands for every state.
	Versions []string
	// Roles returns the roles after the change; nil leaves them as they are.
	Roles func(before []string) (after []string, err error)
	// Disabled says whether the user may neither log in nor use sessions; nil leaves that as it is.
	Disabled *bool
}

// ChangedUser is a user after a change.
type ChangedUser struct {
	User
	Ended []string // ids of the sessions that the change ended
}

// ChangeUser changes the user in one transaction, which records what has become different. The error is
// ErrNotFound, ErrChanged when the user has none of the versions, ErrLastAdmin, or that of change.Roles.
func (s *Store) ChangeUser(
	ctx context.Context, userID int64, change UserChange, at time.Time,
) (changed ChangedUser, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		changed, err = s.changeIn(ctx, tx, userID, change, at)
		return err
	})
	return changed, err
}

func (s *Store) changeIn(
	ctx context.Context, tx *sql.Tx, userID int64, change UserChange, at time.Time,
) (changed ChangedUser, err error) {
	before, others, err := s.lockUser(ctx, tx, userID, change.Versions)
	if err != nil {
		return changed, err
	}
	after, err := change.apply(before, at)
	if err != nil {
		return changed, err
	}
	if err := keepAdmin(before, after, others); err != nil {
		return changed, err
	}
	return s.storeChange(ctx, tx, before, after, at)
}

// apply returns the user after the change.
func (c UserChange) apply(user User, at time.Time) (_ User, err error) {
	if c.Roles != nil {
		if user.Roles, err = c.Roles(slices.Clone(user.Roles)); err != nil {
			return User{}, err
		}
	}
	switch {
	case c.Disabled == nil, *c.Disabled == user.Disabled():
	case *c.Disabled:
		user.DisabledAt = asStored(at)
	default:
		user.DisabledAt = time.Time{}
	}
	return user, nil
}

// storeChange changes the user's row before the sessions: a login at the same time finds the user disabled,
// or has its session ended.
func (s *Store) storeChange(
	ctx context.Context, tx *sql.Tx, before, after User, at time.Time,
) (changed ChangedUser, err error) {
	const query = `UPDATE users SET roles = $1, disabled_at = $2 WHERE id = $3`
	changed.User = after
	disabledAt := sql.NullInt64{Int64: millis(after.DisabledAt), Valid: after.Disabled()}
	err = s.execOne(ctx, tx, "change user", query, strings.Join(after.Roles, " "), disabledAt, after.ID)
	if err != nil {
		return changed, err
	}
	if !slices.Equal(before.Roles, after.Roles) {
		if err := s.rolesChanged(ctx, tx, after, at); err != nil {
			return changed, err
		}
	}
	if before.Disabled() != after.Disabled() {
		changed.Ended, err = s.disabledChanged(ctx, tx, after, at)
	}
	return changed, err
}

// rolesChanged tells replicas to read the user's sessions and tokens again, which live on.
func (s *Store) rolesChanged(ctx context.Context, tx *sql.Tx, user User, at time.Time) error {
	if err := s.revokeUser(ctx, tx, user.ID); err != nil {
		return err
	}
	roles := strings.Join(user.Roles, " ")
	return s.record(ctx, tx, at, Event{Kind: EventRolesChanged, Reason: roles, SubjectID: user.ID})
}

// disabledChanged ends the sessions of a user who was disabled, and returns their ids.
func (s *Store) disabledChanged(
	ctx context.Context, tx *sql.Tx, user User, at time.Time,
) (ended []string, err error) {
	if !user.Disabled() {
		return nil, s.record(ctx, tx, at, Event{Kind: EventUserEnabled, SubjectID: user.ID})
	}
	if ended, err = s.endUser(ctx, tx, user.ID, at); err != nil {
		return nil, err
	}
	if err := s.deleteResets(ctx, tx, user.ID); err != nil { // or they could be redeemed after an enable
		return nil, err
	}
	return ended, s.record(ctx, tx, at, Event{Kind: EventUserDisabled, SubjectID: user.ID})
}

// endUser ends the sessions of the user, and tells replicas to read the personal access tokens again. It
// returns the ids of the sessions.
func (s *Store) endUser(
	ctx context.Context, tx *sql.Tx, userID int64, at time.Time,
) (ended []string, err error) {
	if ended, err = s.endIn(ctx, tx, userID, EndedByDisable, at, `id <> $4`, ""); err != nil {
		return nil, err
	}
	return ended, s.revokeUser(ctx, tx, userID) // only tokens are left
}

// DisableUser stops the user from logging in, and ends the user's sessions. It returns their ids. A second
// call keeps the time of the first. The errors are those of ChangeUser.
func (s *Store) DisableUser(ctx context.Context, userID int64, at time.Time) (ended []string, err error) {
	changed, err := s.ChangeUser(ctx, userID, UserChange{Disabled: new(true)}, at)
	return changed.Ended, err
}

// EnableUser lets the user log in again. Sessions that ended stay ended.
func (s *Store) EnableUser(ctx context.Context, userID int64, at time.Time) error {
	_, err := s.ChangeUser(ctx, userID, UserChange{Disabled: new(false)}, at)
	return err
}

// DeleteUser removes the user and the user's sessions, if the user has one of the versions; none stand for
// every state. It returns the ids of the sessions that it ended. The errors are those of ChangeUser.
func (s *Store) DeleteUser(
	ctx context.Context, userID int64, at time.Time, versions ...string,
) (ended []string, err error) {
	err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		user, others, err := s.lockUser(ctx, tx, userID, versions)
		if err != nil {
			return err
		}
		if err := keepAdmin(user, User{}, others); err != nil {
			return err
		}
		if ended, err = s.endUser(ctx, tx, userID, at); err != nil {
			return err
		}
		// Before the user is gone, because it takes the name from there.
		if err := s.record(ctx, tx, at, Event{Kind: EventUserDeleted, SubjectID: userID}); err != nil {
			return err
		}
		return s.execOne(ctx, tx, "delete user", `DELETE FROM users WHERE id = $1`, userID)
	})
	return ended, err
}

// lockUser returns the user, if the user has one of the versions, and whether there are other administrators.
// Nobody else can change any of them until the transaction ends: of two changes at the same time, the second
// one sees what the first one has left. All changes lock in the same order, so that no two of them wait for
// each other.
func (s *Store) lockUser(
	ctx context.Context, tx *sql.Tx, userID int64, versions []string,
) (user User, others bool, err error) {
	if others, err = s.lockAdmins(ctx, tx, userID); err != nil {
		return User{}, false, err
	}
	began := time.Now()
	query := `SELECT ` + userColumns + ` FROM users WHERE id = $1` + s.engine.lockAlone
	user, err = scanUser(tx.QueryRowContext(ctx, query, userID))
	if err := s.finish(ctx, "lock user", began, err); err != nil {
		return User{}, false, err
	}
	if versions != nil && !slices.Contains(versions, user.Version()) {
		return User{}, false, ErrChanged
	}
	return user, others, nil
}

// lockAdmins locks all administrators if the user is one of them, and reports whether there are others. For
// all other users it reads nobody else: to look for the role, it has to read all users with any.
func (s *Store) lockAdmins(ctx context.Context, tx *sql.Tx, userID int64) (others bool, err error) {
	query := `SELECT id FROM users WHERE ` + isAdmin() + ` AND EXISTS
		(SELECT 1 FROM users WHERE id = $1 AND ` + isAdmin() + `) ORDER BY id` + s.engine.lockAlone
	admins, err := list(ctx, s.connection, tx, "lock administrators", scanValue[int64], query, userID)
	return slices.ContainsFunc(admins, func(id int64) bool { return id != userID }), err
}

// isAdmin is the SQL condition for User.isAdmin.
func isAdmin() string {
	return hasRole(`'`+rolePattern(AdminRole)+`'`) + ` AND ` + isDisabled(false) + ` AND password_hash <> ''`
}

// isAdmin reports whether the user is an administrator who may log in. One who was invited, and has no
// password yet, cannot.
func (u User) isAdmin() bool {
	return slices.Contains(u.Roles, AdminRole) && !u.Disabled() && u.HasPassword()
}

// keepAdmin returns ErrLastAdmin when an administrator would no longer be one, and there are no others. It
// does not ask whether the user was in the list: who became an administrator while the list waited is
// missing from it. Then no others are known, and the change is refused.
func keepAdmin(before, after User, others bool) error {
	if !before.isAdmin() || after.isAdmin() || others {
		return nil
	}
	return ErrLastAdmin
}
