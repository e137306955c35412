package models

import (
	"context"
	"errors"
)

// Store is the database that serves requests. It is safe for concurrent use. Create it with Open, and close
// it when done.
type Store struct {
	*connection
	reads     statements
	writes    statements
	rotations *batcher[Rotation, Rotated]
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
