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

// endIn ends the live sessions that meet the condition, whose parameters begin with $3, and writes them to
// the feed in the same transaction. The feed gets the sessions that the statement ended, because a session
// may begin meanwhile.
func (s *Store) endIn(
	ctx context.Context, tx *sql.Tx, reason EndedReason, at time.Time, which string, args ...any,
) ([]string, error) {
	query := `UPDATE sessions SET ended_at = $1, ended_reason = $2
		WHERE ` + which + ` AND ended_at IS NULL RETURNING id`
	args = append([]any{millis(at), string(reason)}, args...)
	ended, err := list(ctx, s.connection, tx, "end sessions", scanValue[string], query, args...)
	if err != nil {
		return nil, err
	}
	return ended, s.revoke(ctx, tx, ended)
}

// revoke writes ended sessions to the revocation feed. It stamps them with the clock of the database: the
// clocks of replicas may differ by more than a poll looks back.
func (s *Store) revoke(ctx context.Context, tx *sql.Tx, sessionIDs []string) error {
	//nolint:gosec // G202: the clock is a constant
	query := `INSERT INTO revocations (revoked_at, session_id) VALUES (` + s.engine.clock + `, $1)
		ON CONFLICT DO NOTHING`
	for _, id := range sessionIDs {
		began := time.Now()
		_, err := tx.ExecContext(ctx, query, id)
		if err := s.finish(ctx, "revoke session", began, err); err != nil {
			return err
		}
	}
	return nil
}

// Revocations returns the ids of the sessions that ended in the latest past, by the clock of the database.
// EverySession among them stands for all sessions.
func (s *Store) Revocations(ctx context.Context, past time.Duration) ([]string, error) {
	query := `SELECT session_id FROM revocations WHERE revoked_at >= ` + s.engine.clock + ` - $1`
	return readAll(ctx, s, "read revocations", scanValue[string], query, past.Milliseconds())
}
