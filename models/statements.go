package models

import (
	"context"
	"database/sql"
	"sync"
)

// statements prepares each query once, because parsing SQL takes longer than running these.
type statements struct {
	db  *sql.DB
	all sync.Map // query to *sql.Stmt
}

func (s *statements) get(ctx context.Context, query string) (*sql.Stmt, error) {
	if known, ok := s.all.Load(query); ok {
		return known.(*sql.Stmt), nil
	}
	statement, err := s.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if known, loaded := s.all.LoadOrStore(query, statement); loaded { // another caller was faster
		_ = statement.Close() //nolint:sqlclosecheck // only here it is not kept
		return known.(*sql.Stmt), nil
	}
	return statement, nil
}
