package models

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"iter"
	"time"
)

// EndedReason says why a session ended. The values are part of the wire contract.
type EndedReason string

// Why a session ended.
const (
	EndedByLogout         EndedReason = "logout"
	EndedByUser           EndedReason = "ended_by_user"
	EndedByOperator       EndedReason = "ended_by_operator"
	EndedByPasswordChange EndedReason = "password_change"
	EndedByDisable        EndedReason = "user_disabled"
	EndedByReuse          EndedReason = "refresh_reuse"
	EndedByIdle           EndedReason = "idle"
	EndedByAge            EndedReason = "expired"
)

// EndedReasons returns all of them.
func EndedReasons() []EndedReason {
	return []EndedReason{
		EndedByLogout, EndedByUser, EndedByOperator, EndedByPasswordChange, EndedByDisable, EndedByReuse,
		EndedByIdle, EndedByAge,
	}
}

// endIn ends the live sessions of the user that meet one more condition, whose parameter is $4. It
// writes the feed and the event in the same transaction. Both get the sessions that the statement ended,
// because a session may begin meanwhile.
func (s *Store) endIn(
	ctx context.Context, tx *sql.Tx, userID int64, reason EndedReason, at time.Time, which, arg string,
) ([]string, error) {
	query := `UPDATE sessions SET ended_at = $1, ended_reason = $2
		WHERE user_id = $3 AND ` + which + ` AND ended_at IS NULL RETURNING id`
	ended, err := list(ctx, s.connection, tx, "end sessions", scanValue[string], query,
		millis(at), string(reason), userID, arg)
	if err != nil || len(ended) == 0 {
		return nil, err
	}
	if err := s.revoke(ctx, tx, ended); err != nil {
		return nil, err
	}
	return ended, s.record(ctx, tx, at, endEvent(userID, reason, ended))
}

// endEvent is one event however many sessions ended. It names the session if it was one.
func endEvent(userID int64, reason EndedReason, ended []string) Event {
	e := Event{SubjectID: userID, Times: int64(len(ended))}
	if len(ended) == 1 {
		e.SessionID = ended[0]
	}
	switch reason {
	case EndedByLogout:
		e.Kind = EventLogout
	case EndedByReuse:
		e.Kind = EventRefreshReuse
	default:
		e.Kind, e.Reason = EventSessionEnded, string(reason)
	}
	return e
}

// revokeUser writes to the revocation feed what replicas may know of the user: live sessions and personal
// access tokens.
func (s *Store) revokeUser(ctx context.Context, tx *sql.Tx, userID int64) error {
	const query = `SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL
		UNION ALL SELECT id FROM personal_tokens WHERE user_id = $1`
	ids, err := list(ctx, s.connection, tx, "list what to revoke", scanValue[string], query, userID)
	if err != nil {
		return err
	}
	return s.revoke(ctx, tx, ids)
}

// revoke writes sessions and personal access tokens to the revocation feed: those that ended, and those whose
// user was changed. It stamps them with the clock of the database: the clocks of replicas may differ by more
// than a poll looks back. An entry that was read is no news again, so each change writes one of its own, a
// millisecond later than one that is there already. It is one statement: a user with thousands of sessions
// must be stopped within writeWait, too.
func (s *Store) revoke(ctx context.Context, tx *sql.Tx, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	noteRevoked(ctx, ids)
	array, err := json.Marshal(ids)
	if err != nil {
		return fmt.Errorf("revoke session: %w", err)
	}
	// The conflict is with a transaction at the same moment, whose entry nobody could see before it ended.
	//nolint:gosec // G202: the clock and the function are constants
	query := `INSERT INTO revocations (revoked_at, session_id)
		SELECT COALESCE(MAX(r.revoked_at) + 1, ` + s.engine.clock + `), value
		FROM ` + s.engine.jsonTexts + ` LEFT JOIN revocations r
			ON r.session_id = value AND r.revoked_at >= ` + s.engine.clock + `
		GROUP BY value
		ON CONFLICT (revoked_at, session_id) DO UPDATE SET revoked_at = revocations.revoked_at + 1`
	began := time.Now()
	_, err = tx.ExecContext(ctx, query, string(array))
	return s.finish(ctx, "revoke session", began, err)
}

// Revocation is an entry of the feed: a session that has ended, or whose user was changed.
type Revocation struct {
	At        time.Time // by the clock of the database
	SessionID string    // EverySession stands for all that there were
	Ended     bool
	Roles     []string // those of its user, while it lives
}

// Revocations are what one poll of the feed has found, in no order.
type Revocations struct {
	At      time.Time // of the poll, by the clock of the database
	Entries []Revocation
}

// revocationColumns tell what each session is now, not what it was when its entry was written: the latest is
// what matters to the reader.
const (
	revocationColumns = `r.revoked_at, r.session_id,
		s.id IS NULL OR s.ended_at IS NOT NULL OR u.disabled_at IS NOT NULL, COALESCE(u.roles, '')`
	revocationTables = ` LEFT JOIN sessions s ON s.id = r.session_id LEFT JOIN users u ON u.id = s.user_id`
)

// Revocations reads what is in the feed about the latest past, by the clock of the database.
func (s *Store) Revocations(ctx context.Context, past time.Duration) (found Revocations, err error) {
	query := `SELECT ` + s.engine.clock + `, ` + revocationColumns + `
		FROM (SELECT 1) one LEFT JOIN revocations r ON r.revoked_at >= ` + s.engine.clock + ` - $1` +
		revocationTables
	scan := func(row scanner) (entry Revocation, err error) {
		var at time.Time
		entry, err = scanRevocation(row, timeColumn{&at})
		if found.At.IsZero() {
			found.At = at // of the first row: SQLite tells the time again for each
		}
		return entry, err
	}
	all, err := readAll(ctx, s, "read revocations", scan, query, past.Milliseconds())
	if len(all) > 0 && all[0].SessionID != "" { // with no entry there is one row, which tells the time
		found.Entries = all
	}
	return found, err
}

// RevocationsSince yields what is in the feed from this time on, by the clock of the database, in its order.
// An error ends the sequence.
func (s *Store) RevocationsSince(ctx context.Context, since time.Time) iter.Seq2[Revocation, error] {
	const query = `SELECT ` + revocationColumns + ` FROM revocations r` + revocationTables + `
		WHERE r.revoked_at >= $1 ORDER BY r.revoked_at, r.session_id`
	scan := func(row scanner) (Revocation, error) { return scanRevocation(row) }
	return stream(ctx, s.connection, "read all revocations", scan, query, millis(since))
}

// scanRevocation reads revocationColumns, and the columns before them.
func scanRevocation(row scanner, before ...any) (r Revocation, err error) {
	var id sql.NullString
	columns := []any{timeColumn{&r.At}, &id, &r.Ended, rolesColumn{&r.Roles}}
	err = row.Scan(append(before, columns...)...)
	r.SessionID = id.String
	if r.Ended {
		r.Roles = nil
	}
	return r, err
}
