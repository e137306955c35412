package models

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"
)

// Rotation replaces the refresh token of a session.
type Rotation struct {
	SessionID  string
	FromCount  int64  // what Session.RefreshCount must still be
	FromHash   string // what Session.RefreshHash must still be
	Hash       string
	At         time.Time
	IdleEndsAt time.Time
}

// Rotated is a session after a rotation, with its user as they are then.
type Rotated struct {
	UserID   int64
	Username string
	Roles    []string
	EndsAt   time.Time // of the session, however often it is refreshed
}

// RotateSession carries out the rotation, or returns ErrNotFound when another one was first, or the session has ended, or
// its user is disabled. Of any number at the same time one succeeds. What was not carried out together with others, for
// whatever reason, is tried alone, and repeated when the connection was cut: should an earlier try have succeeded all the
// same, then the last one finds what it would find had another request been first.
func (s *Store) RotateSession(ctx context.Context, r Rotation) (rotated Rotated, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	if rotated := s.rotations.carryOut(ctx, r); rotated != nil {
		return *rotated, nil
	}
	err = s.repeating(ctx, func(ctx context.Context) error {
		rotated, err = scanRotated(s.rotateSession.QueryRowContext(ctx, r.args()...))
		return err
	})
	return rotated, s.fail("rotate session", err)
}

func rotateSessionQuery() string {
	return `UPDATE sessions SET refresh_hash = $1, refresh_count = refresh_count + 1, last_used_at = $2,
			idle_ends_at = $3
		WHERE id = $4 AND refresh_count = $5 AND refresh_hash = $6 AND ` + living(`$2`) + `
			AND EXISTS (SELECT 1 FROM users u WHERE u.id = user_id AND u.disabled_at IS NULL)
		RETURNING user_id, ends_at, (SELECT u.username FROM users u WHERE u.id = user_id),
			(SELECT u.roles FROM users u WHERE u.id = user_id)`
}

func (r Rotation) args() []any {
	return []any{r.Hash, millis(r.At), millis(r.IdleEndsAt), r.SessionID, r.FromCount, r.FromHash}
}

// scanRotated reads what rotateSessionQuery returns, and what comes before it.
func scanRotated(row scanner, before ...any) (r Rotated, err error) {
	var roles string
	var ends int64
	err = row.Scan(append(before, &r.UserID, &ends, &r.Username, &roles)...)
	r.Roles, r.EndsAt = splitRoles(roles), fromMillis(ends)
	return r, err
}

// rotateInTransaction carries out the rotations one by one, with one commit.
func rotateInTransaction(ctx context.Context, s *Store, all []Rotation) ([]*Rotated, error) {
	done := make([]*Rotated, len(all))
	err := s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		rotate := tx.StmtContext(ctx, s.rotateSession)
		defer rotate.Close() //nolint:errcheck // nothing is lost: the commit says what was done
		for i, r := range all {
			switch rotated, err := scanRotated(rotate.QueryRowContext(ctx, r.args()...)); {
			case err == nil:
				done[i] = &rotated
			case !errors.Is(err, sql.ErrNoRows):
				return err
			}
		}
		return nil
	})
	return done, err
}

// rotateInStatement carries them out at once.
func rotateInStatement(ctx context.Context, s *Store, all []Rotation) ([]*Rotated, error) {
	done := make([]*Rotated, len(all))
	scan := func(row scanner) (place int, err error) {
		rotated, err := scanRotated(row, &place)
		if err == nil {
			done[place-1] = &rotated
		}
		return place, err
	}
	_, err := list(ctx, s, s.write, "rotate sessions", scan, rotateSessionsQuery(), columns(all)...)
	return done, err
}

// rotateSessionsQuery leaves out sessions that somebody else is changing, so that the rest does not wait for them. BETWEEN
// makes the planner count on few rows, whatever the arrays hold: else it plans for each number of rotations anew, which
// takes longer than the change itself, and reads whole tables while they have no statistics.
func rotateSessionsQuery() string {
	return `WITH asked AS (
			SELECT * FROM unnest(CAST($1 AS TEXT[]), CAST($2 AS BIGINT[]), CAST($3 AS TEXT[]), CAST($4 AS TEXT[]),
					CAST($5 AS BIGINT[]), CAST($6 AS BIGINT[]))
				WITH ORDINALITY AS asked (session_id, from_count, from_hash, hash, at, idle_ends_at, place)
			WHERE place BETWEEN 1 AND $7
		), free AS (
			SELECT asked.* FROM asked JOIN sessions s ON s.id = asked.session_id FOR NO KEY UPDATE OF s SKIP LOCKED
		)
		UPDATE sessions SET refresh_hash = free.hash, refresh_count = refresh_count + 1, last_used_at = free.at,
			idle_ends_at = free.idle_ends_at
		FROM free, users u
		WHERE sessions.id = free.session_id AND refresh_count = free.from_count AND refresh_hash = free.from_hash
			AND ` + living(`free.at`) + ` AND u.id = user_id AND u.disabled_at IS NULL
		RETURNING free.place, user_id, ends_at, u.username, u.roles`
}

// columns are the arguments of rotateSessionsQuery.
func columns(all []Rotation) []any {
	n := len(all)
	ids, fromHashes, hashes := make([]string, n), make([]string, n), make([]string, n)
	fromCounts, ats, idleEnds := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range all {
		ids[i], fromCounts[i], fromHashes[i], hashes[i] = r.SessionID, r.FromCount, r.FromHash, r.Hash
		ats[i], idleEnds[i] = millis(r.At), millis(r.IdleEndsAt)
	}
	return []any{ids, fromCounts, fromHashes, hashes, ats, idleEnds, n}
}

// maxTogether is how many rotations share a transaction at most.
const maxTogether = 64

// rotations are carried out together when they come at the same time: what comes while the database is busy with others
// shares the next transaction, and so waits once for the disk. What comes while it is idle does not wait for company.
// When the answer to a commit is lost, it is lost for all of them: each then finds out alone, or at the client's next try.
type rotations struct {
	rotate  func(context.Context, []Rotation) ([]*Rotated, error)
	waiting chan waiting
	ctx     context.Context //nolint:containedctx // ends with the store, and not with a caller
	close   func()          // cancels what is under way
}

type waiting struct {
	Rotation
	gone   <-chan struct{} // closed when nobody waits for the answer any more
	answer chan<- *Rotated // has room; nil when the rotation was not carried out
}

func newRotations(rotate func(context.Context, []Rotation) ([]*Rotated, error)) *rotations {
	ctx, end := context.WithCancel(context.Background())
	var worker sync.WaitGroup
	r := &rotations{
		rotate: rotate, waiting: make(chan waiting, maxTogether), ctx: ctx,
		close: func() { end(); worker.Wait() },
	}
	worker.Go(r.work) // a second one leaves fewer to share a transaction: -10 % at 32 refreshes at a time
	return r
}

// carryOut returns nil when the rotation was not carried out, as far as is known.
func (r *rotations) carryOut(ctx context.Context, rotation Rotation) *Rotated {
	answer := make(chan *Rotated, 1)
	select {
	case r.waiting <- waiting{rotation, ctx.Done(), answer}:
	case <-ctx.Done():
		return nil
	case <-r.ctx.Done():
		return nil
	}
	select {
	case rotated := <-answer:
		return rotated
	case <-ctx.Done():
		return nil
	case <-r.ctx.Done():
		return nil
	}
}

func (r *rotations) work() {
	for {
		select {
		case first := <-r.waiting:
			r.together(r.gather(first))
		case <-r.ctx.Done():
			return
		}
	}
}

// gather returns all that wait.
func (r *rotations) gather(first waiting) []waiting {
	all := []waiting{first}
	for len(all) < maxTogether {
		select {
		case next := <-r.waiting:
			all = append(all, next)
		default:
			return all
		}
	}
	return all
}

func (r *rotations) together(all []waiting) {
	all = slices.DeleteFunc(all, waiting.over)
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(r.ctx, writeWait)
	defer cancel()
	asked := make([]Rotation, len(all))
	for i, w := range all {
		asked[i] = w.Rotation
	}
	done, err := r.rotate(ctx, asked)
	if err != nil {
		done = make([]*Rotated, len(all)) // each finds out alone what is wrong: it may be one of the others
	}
	for i, w := range all {
		w.answer <- done[i]
	}
}

func (w waiting) over() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}
