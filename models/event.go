package models

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// EventKind says what happened. The values are part of the wire contract.
type EventKind string

// What can happen.
const (
	EventLogin                EventKind = "login"
	EventLoginFailed          EventKind = "login_failed"
	EventLogout               EventKind = "logout"
	EventRefreshReuse         EventKind = "refresh_reuse"
	EventSessionEnded         EventKind = "session_ended"
	EventPasswordChanged      EventKind = "password_changed"
	EventPasswordChangeFailed EventKind = "password_change_failed"
	EventPasswordResetIssued  EventKind = "password_reset_issued"
	EventPasswordResetFailed  EventKind = "password_reset_failed"
	EventRegistrationFailed   EventKind = "registration_failed"
	EventThrottleTripped      EventKind = "throttle_tripped"
	EventUserCreated          EventKind = "user_created"
	EventRolesChanged         EventKind = "roles_changed"
	EventUserDisabled         EventKind = "user_disabled"
	EventUserEnabled          EventKind = "user_enabled"
	EventUserDeleted          EventKind = "user_deleted"
	EventTokenCreated         EventKind = "token_created"
	EventTokenDeleted         EventKind = "token_deleted"
	EventTokenCreationFailed  EventKind = "token_creation_failed"
	EventKeysChanged          EventKind = "keys_changed"
	EventServerStarted        EventKind = "server_started"
	EventServerStopped        EventKind = "server_stopped"
)

// EventKinds returns all of them.
func EventKinds() []EventKind {
	return []EventKind{
		EventLogin, EventLoginFailed, EventLogout, EventRefreshReuse, EventSessionEnded, EventPasswordChanged,
		EventPasswordChangeFailed, EventPasswordResetIssued, EventPasswordResetFailed,
		EventRegistrationFailed, EventThrottleTripped, EventUserCreated, EventRolesChanged,
		EventUserDisabled, EventUserEnabled, EventUserDeleted, EventTokenCreated, EventTokenDeleted,
		EventTokenCreationFailed, EventKeysChanged, EventServerStarted, EventServerStopped,
	}
}

// Event is something that matters to security. It has no secret.
type Event struct {
	ID     string // sorts by time
	At     time.Time
	LastAt time.Time // of the latest one that this row counts
	Times  int64     // how often it happened, or how many sessions it ended
	Bucket string    // events of the same bucket share a row; "" for a row of its own
	Kind   EventKind
	Reason string
	Origin
	SubjectID   int64 // the user to whom it happened; 0 for nobody
	SubjectName string
	NameHash    string // stands for a name that nobody has
	SessionID   string

	Quiet bool // only counts: the log has a line about the bucket already
}

const eventColumns = `id, at, last_at, times, bucket, kind, reason, actor, actor_id, actor_name, ` +
	`subject_id, subject_name, name_hash, session_id, address, user_agent, request_id, actor_token`

// recordQuery looks for the subject itself, by id or by name, so that a login costs the same whether or not
// the name exists. It keeps the name of a user, and of nobody else: people type passwords into that field.
const recordQuery = `INSERT INTO events (` + eventColumns + `) VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $8, $9,
		(SELECT u.id FROM users u WHERE u.id = $10 OR u.username = $11),
		COALESCE((SELECT u.username FROM users u WHERE u.id = $10 OR u.username = $11), ''),
		CASE WHEN EXISTS (SELECT 1 FROM users u WHERE u.username = $11) THEN '' ELSE $12 END,
		$13, $14, $15, $16, $17)
	ON CONFLICT (bucket) DO UPDATE SET times = events.times + excluded.times, last_at = excluded.last_at
	RETURNING times, subject_id, subject_name, name_hash`

// record writes an event in the transaction of the change that it tells of. Without an Origin of its own, the
// event has that of the context. An event that cannot be written makes the change fail: nothing may happen
// unseen.
func (s *Store) record(ctx context.Context, tx *sql.Tx, at time.Time, e Event) error {
	e.At, e.LastAt, e.Times = at, at, max(e.Times, 1)
	if e.Actor == "" {
		e.Origin = OriginOf(ctx)
	}
	var subject sql.NullInt64
	err := tx.QueryRowContext(ctx, recordQuery, s.newEventID(at), millis(at), e.Times,
		sql.NullString{String: e.Bucket, Valid: e.Bucket != ""}, string(e.Kind), e.Reason, string(e.Actor),
		sql.NullInt64{Int64: e.ActorID, Valid: e.ActorID != 0}, e.ActorName, e.SubjectID, e.SubjectName,
		e.NameHash, e.SessionID, e.Address, e.UserAgent, e.RequestID, e.ActorToken,
	).Scan(&e.Times, &subject, &e.SubjectName, &e.NameHash)
	if err != nil {
		return s.wrap("record event", err)
	}
	e.SubjectID = subject.Int64
	noteRecorded(ctx, e)
	return nil
}

// newEventID begins with the time. A number keeps events of the same millisecond in order, and randomness
// tells processes apart. Letters are lower case, so that every collation sorts them alike.
func (s *Store) newEventID(at time.Time) string {
	const numbers = 1 << 20
	number := s.eventNumber.Add(1) % numbers
	return fmt.Sprintf("%011x%05x%08x", millis(at), number, rand.Uint32()) //nolint:gosec // G404: no secret
}

// afterAllEvents is greater than every id.
const afterAllEvents = "g"

// Record writes events that belong to no other change.
func (s *Store) Record(ctx context.Context, at time.Time, events ...Event) error {
	return s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, e := range events {
			if err := s.record(ctx, tx, at, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// UserEvents returns a page of what happened to the user, the newest first.
func (s *Store) UserEvents(ctx context.Context, userID int64, page Page[string]) ([]Event, error) {
	const query = `SELECT ` + eventColumns + ` FROM events WHERE subject_id = $1 AND id < $2
		ORDER BY id DESC LIMIT $3`
	after := cmp.Or(page.After, afterAllEvents)
	return readAll(ctx, s, "list events", scanEvent, query, userID, after, page.Limit+1)
}

// EventFilter says which events are wanted. A zero field wants all.
type EventFilter struct {
	Kind     EventKind
	Username string // of the actor or the subject, who may have been deleted since
	Since    time.Time
	Limit    int // at most so many, the newest
}

// Events yields events in the order of time. An error ends the sequence.
func (s *Store) Events(ctx context.Context, f EventFilter) iter.Seq2[Event, error] {
	const query = `SELECT * FROM (SELECT ` + eventColumns + ` FROM events
		WHERE (CAST($1 AS TEXT) = '' OR kind = $1) AND at >= $2
			AND (CAST($3 AS TEXT) = '' OR subject_name = $3 OR actor = 'user' AND actor_name = $3)
		ORDER BY id DESC LIMIT $4) AS newest ORDER BY id`
	limit := cmp.Or(f.Limit, math.MaxInt32)
	since := max(millis(f.Since), 0) // the zero time is before 1970
	return stream(ctx, s.connection, "list events", scanEvent, query,
		string(f.Kind), since, f.Username, limit)
}

func scanEvent(row scanner) (e Event, err error) {
	var bucket sql.NullString
	var actor, subject sql.NullInt64
	err = row.Scan(&e.ID, timeColumn{&e.At}, timeColumn{&e.LastAt}, &e.Times, &bucket, &e.Kind, &e.Reason,
		&e.Actor, &actor, &e.ActorName, &subject, &e.SubjectName, &e.NameHash, &e.SessionID, &e.Address,
		&e.UserAgent, &e.RequestID, &e.ActorToken)
	e.Bucket, e.ActorID, e.SubjectID = bucket.String, actor.Int64, subject.Int64
	return e, err
}
