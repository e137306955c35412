package models

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"
)

// EverySession stands in the feed for all sessions: its reader forgets every session that it knows. With an
// entry each, a million sessions would be more than a replica can read twice a second.
const EverySession = "*"

const (
	// endBatch is how many sessions share a transaction, so that others can write in between.
	endBatch = 5000
	// endMargin ends those sessions too that a replica, whose clock is behind, still takes for alive.
	endMargin = time.Minute
)

// EndAllSessions ends the sessions of all users that live at this time, and returns how many. It ends them in
// batches, and writes the feed in the transaction of each batch. After an error, the batches before it stay
// ended. A session that begins meanwhile may live on.
func (s *Store) EndAllSessions(ctx context.Context, reason EndedReason, at time.Time) (ended int, err error) {
	for after := millis(at.Add(-endMargin)); after < math.MaxInt64; {
		var n int64
		err = s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
			n, after, err = s.endBatch(ctx, tx, after, reason, at)
			return err
		})
		if err != nil {
			return ended, err
		}
		ended += int(n)
	}
	return ended, nil
}

// endBatch ends sessions in the order of idle_ends_at, which has an index, behind after. It returns how many,
// and up to where. A refresh moves its session to the end of this order, so that a later batch finds it. The
// last batch has no end, and no session can leave it.
func (s *Store) endBatch(
	ctx context.Context, tx *sql.Tx, after int64, reason EndedReason, at time.Time,
) (ended, upTo int64, err error) {
	since := millis(at.Add(-endMargin))
	place := `SELECT idle_ends_at FROM sessions WHERE idle_ends_at > $1 AND ` + isLive(`$2`) + `
		ORDER BY idle_ends_at LIMIT 1 OFFSET $3`
	err = tx.QueryRowContext(ctx, place, after, since, endBatch-1).Scan(&upTo)
	if errors.Is(err, sql.ErrNoRows) {
		upTo, err = math.MaxInt64, nil
	}
	if err != nil {
		return 0, after, s.wrap("find sessions to end", err)
	}
	update := `UPDATE sessions SET ended_at = $1, ended_reason = $2
		WHERE idle_ends_at > $3 AND idle_ends_at <= $4 AND ` + isLive(`$5`)
	ended, err = changed(tx.ExecContext(ctx, update, millis(at), string(reason), after, upTo, since))
	if err != nil || ended == 0 {
		return 0, upTo, s.wrap("end all sessions", err)
	}
	if err := s.revoke(ctx, tx, []string{EverySession}); err != nil {
		return 0, upTo, err
	}
	event := Event{Kind: EventSessionEnded, Reason: string(reason), Times: ended}
	return ended, upTo, s.record(ctx, tx, at, event)
}
