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
	// Revoked is called after each commit that has written to the feed; nil for nobody. As above.
	Revoked func()

	reads       statements
	writes      statements
	rotations   *batcher[Rotation, Rotated]
	eventNumber atomic.Uint64
}

// journal holds what one transaction does until its commit: its events, and whether it wrote to the feed.
type journal struct {
	events  []Event
	revoked bool
}

type journalKey struct{}

// noteRecorded keeps an event for Recorded.
func noteRecorded(ctx context.Context, e Event) {
	if j, ok := ctx.Value(journalKey{}).(*journal); ok {
		j.events = append(j.events, e)
	}
}

// noteRevoked makes the commit call Revoked.
func noteRevoked(ctx context.Context) {
	if j, ok := ctx.Value(journalKey{}).(*journal); ok {
		j.revoked = true
	}
}

// Transact is that of the connection. After the commit it calls Recorded and Revoked.
func (s *Store) Transact(ctx context.Context, fn func(context.Context, *sql.Tx) error) error {
	var written journal
	err := s.connection.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
		written = journal{} // it may run again
		return fn(context.WithValue(ctx, journalKey{}, &written), tx)
	})
	if err != nil {
		return err
	}
	if s.Recorded != nil {
		for _, e := range written.events {
			s.Recorded(ctx, e)
		}
	}
	if s.Revoked != nil && written.revoked {
		s.Revoked()
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
