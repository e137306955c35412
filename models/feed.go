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
// access tokens. It returns their ids.
func (s *Store) revokeUser(ctx context.Context, tx *sql.Tx, userID int64) ([]string, error) {
	const query = `SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL
		UNION ALL SELECT id FROM personal_tokens WHERE user_id = $1`
	ids, err := list(ctx, s.connection, tx, "list what to revoke", scanValue[string], query, userID)
	if err != nil {
		return nil, err
	}
	return ids, s.revoke(ctx, tx, ids)
}

// revoke writes sessions and personal access tokens to the revocation feed: those that ended, and those whose
// user was changed. It stamps them with the clock of the database: the clocks of replicas may differ by more
// than a poll looks back.
func (s *Store) revoke(ctx context.Context, tx *sql.Tx, ids []string) error {
	//nolint:gosec // G202: the clock is a constant
	query := `INSERT INTO revocations (revoked_at, session_id) VALUES (` + s.engine.clock + `, $1)
		ON CONFLICT DO NOTHING`
	noteRevoked(ctx, ids)
	for _, id := range ids {
		began := time.Now()
		_, err := tx.ExecContext(ctx, query, id)
		if err := s.finish(ctx, "revoke session", began, err); err != nil {
			return err
		}
	}
	return nil
}

// Revocations returns the ids that were revoked in the latest past, by the clock of the database.
// EverySession among them stands for all sessions.
func (s *Store) Revocations(ctx context.Context, past time.Duration) ([]string, error) {
	query := `SELECT session_id FROM revocations WHERE revoked_at >= ` + s.engine.clock + ` - $1`
	return readAll(ctx, s, "read revocations", scanValue[string], query, past.Milliseconds())
}
