package security

import (
	"context"
	"iter"
	"time"

	"sherpa/models"
)

// UserEvents returns a page of what happened to the user, the newest first.
func (s *Service) UserEvents(
	ctx context.Context, userID int64, page models.Page[string],
) ([]models.Event, error) {
	return s.Store.UserEvents(ctx, userID, page)
}

// Events yields events in the order of time. The username may be in any spelling. An error ends the sequence.
func (s *Service) Events(ctx context.Context, filter models.EventFilter) iter.Seq2[models.Event, error] {
	filter.Username, _ = countedName(filter.Username)
	return s.Store.Events(ctx, filter)
}

const (
	followInterval = time.Second
	// followBack is how far each look reaches back: a row may count more events for a minute, and a
	// transaction may commit late.
	followBack = failureWindow + longLookBack
)

// FollowEvents yields events as Events does, and then those that come, until ctx ends. A row that counts more
// events than before comes again.
func (s *Service) FollowEvents(ctx context.Context, filter models.EventFilter) iter.Seq2[models.Event, error] {
	return func(yield func(models.Event, error) bool) {
		seen := map[string]models.Event{}
		for ctx.Err() == nil {
			for e, err := range s.Events(ctx, filter) {
				if err == nil && seen[e.ID].Times == e.Times {
					continue
				}
				seen[e.ID] = e
				if ctx.Err() != nil || !yield(e, err) || err != nil {
					return
				}
			}
			filter.Since, filter.Limit = s.Now().Add(-followBack), 0
			forget(seen, filter.Since)
			wait(ctx, followInterval)
		}
	}
}

// forget drops events that the next look does not reach.
func forget(seen map[string]models.Event, before time.Time) {
	for id, e := range seen {
		if e.At.Before(before) {
			delete(seen, id)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
