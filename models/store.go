package models

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
)

// Store is the database that serves requests. It is safe for concurrent use. Create it with Open, and close
// it when done.
type Store struct {
	*connection

	// Recorded is called with each event after the commit; nil for nobody. Set it before the store is used.
	Recorded func(context.Context, Event)
	// Revoked is called with the ids that a transaction wrote to the revocation feed, after the commit or an
	// error; nil for nobody. Set it before the store is used.
	Revoked func(ids ...string)

	reads       statements
	writes      statements
	rotations   *batcher[Rotation, Rotated]
	eventNumber atomic.Uint64
}

// journal holds the events and the revoked ids of one transaction until its commit.
type journal struct {
	events  []Event
	revoked []string
}

type journalKey struct{}

// noteRecorded keeps an event for Recorded.
func noteRecorded(ctx context.Context, e Event) {
	if j, ok := ctx.Value(journalKey{}).(*journal); ok {
		j.events = append(j.events, e)
	}
}

// noteRevoked keeps ids for Revoked.
func noteRevoked(ctx context.Context, ids []string) {
	if j, ok := ctx.Value(journalKey{}).(*journal); ok {
		j.revoked = append(j.revoked, ids...)
	}
}

// Transact is that of the connection. After the commit it tells Revoked and Recorded what it did.
func (s *Store) Transact(ctx context.Context, fn func(context.Context, *sql.Tx) error) error {
	var written journal
	err := s.connection.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		written = journal{} // it may run again
		return fn(context.WithValue(ctx, journalKey{}, &written), tx)
	})
	if s.Revoked != nil {
		s.Revoked(written.revoked...) // after an error too: nobody knows whether the commit took place
	}
	if err != nil || s.Recorded == nil {
		return err
	}
	for _, e := range written.events {
		s.Recorded(ctx, e)
	}
	return nil
}

// Close ends what is under way, and closes every connection.
func (s *Store) Close() error {
	s.rotations.close()
	return s.connection.Close()
}

// Ready returns nil when the database answers a query and takes changes, else an error that wraps
// ErrUnavailable.
func (s *Store) Ready(ctx context.Context) error {
	if _, err := s.Empty(ctx); err != nil {
		return err
	}
	const operation = "look whether it takes changes"
	writable, err := readOne(ctx, s, operation, scanValue[bool], s.engine.writable)
	if err == nil && !writable {
		err = s.wrap(operation, errors.New("it is read-only"))
	}
	return err
}
