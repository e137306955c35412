package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// Open opens the database at url and brings its schema up to date. At "sqlite:PATH" it creates the database
// if it does not exist (folder 0700, file 0600). It refuses, and leaves untouched, what is not a Sherpa
// database, and one whose schema this program does not know. The error wraps ErrUnavailable when the server
// may come back later.
func Open(ctx context.Context, url string) (*Store, error) {
	return open(ctx, url, true, embeddedMigrations())
}

// OpenExisting is Open for a database that must exist; otherwise it returns ErrNoDatabase and creates
// nothing.
func OpenExisting(ctx context.Context, url string) (*Store, error) {
	return open(ctx, url, false, embeddedMigrations())
}

func open(ctx context.Context, url string, create bool, migrations fs.FS) (*Store, error) {
	c, err := connect(ctx, url, create, migrations)
	if err != nil {
		return nil, err
	}
	if err := c.engine.migrate(ctx, c); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s: %w", c.name, err), c.Close())
	}
	s := &Store{connection: c}
	s.reads.db, s.writes.db = c.read, c.write
	s.rotations = newBatcher(s.rotateBatch)
	return s, nil
}
