package models

import (
	"context"
	"database/sql"
	"time"
)

// revoke writes ended sessions to the revocation feed. It stamps them with the clock of the database: the
// clocks of replicas may differ by more than a poll looks back.
func (s *Store) revoke(ctx context.Context, tx *sql.Tx, sessionIDs []string) error {
	//nolint:gosec // G202: the clock is a constant
	query := `INSERT INTO revocations (revoked_at, session_id) VALUES (` + s.engine.clock + `, $1)
		ON CONFLICT DO NOTHING`
	for _, id := range sessionIDs {
		if _, err := tx.ExecContext(ctx, query, id); err != nil {
			return s.wrap("revoke session", err)
		}
	}
	return nil
}

// Revocations returns the ids of the sessions that ended in the latest past, by the clock of the database.
func (s *Store) Revocations(ctx context.Context, past time.Duration) ([]string, error) {
	query := `SELECT session_id FROM revocations WHERE revoked_at >= ` + s.engine.clock + ` - $1`
	return readAll(ctx, s, "read revocations", scanID, query, past.Milliseconds())
}
