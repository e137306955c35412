package models

import (
	"context"
	"fmt"
	"time"
)

// Purge deletes at most limit rows of each table whose retention is over at this time. Events stay for
// keepEvents, or for ever when that is zero. It reports whether there may be more.
func (s *Store) Purge(
	ctx context.Context, at time.Time, keepEvents time.Duration, limit int,
) (more bool, err error) {
	for _, t := range tables() {
		if t.retention.chosen {
			t.retention.keep = keepEvents
		}
		if t.retention.key == "" || t.retention.chosen && keepEvents == 0 {
			continue
		}
		began := time.Now()
		n, err := s.purge(ctx, t, at, limit)
		if err := s.finish(ctx, "purge "+t.name, began, err); err != nil {
			return false, err
		}
		more = more || n >= int64(limit)
	}
	return more, nil
}

func (s *Store) purge(ctx context.Context, t table, at time.Time, limit int) (int64, error) {
	before, arg := "$1", millis(at.Add(-t.retention.keep))
	if t.retention.shared {
		before, arg = s.engine.clock+" - $1", t.retention.keep.Milliseconds()
	}
	query := fmt.Sprintf(`DELETE FROM %[1]s WHERE %[2]s IN
		(SELECT %[2]s FROM %[1]s WHERE %[3]s < %[4]s LIMIT $2) AND %[3]s < %[4]s`,
		t.name, t.retention.key, t.retention.column, before)
	ctx, cancel := context.WithTimeout(ctx, writeWait)
	defer cancel()
	return changed(s.write.ExecContext(ctx, query, arg, limit))
}
