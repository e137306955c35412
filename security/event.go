package security

import (
	"cmp"
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
func (s *Service) FollowEvents(
	ctx context.Context, filter models.EventFilter,
) iter.Seq2[models.Event, error] {
	return func(yield func(models.Event, error) bool) {
		seen, first := map[string]models.Event{}, ""
		for ctx.Err() == nil {
			for e, err := range s.Events(ctx, filter) {
				if err == nil && (e.ID < first || seen[e.ID].Times == e.Times) {
					continue
				}
				if ctx.Err() != nil || !yield(e, err) || err != nil {
					return
				}
				seen[e.ID], first = e, cmp.Or(first, e.ID)
			}
			filter = s.filterNext(filter)
			forget(seen, filter.Since)
			wait(ctx, followInterval)
		}
	}
}

// filterNext looks back as far as something new may be, and not further than before.
func (s *Service) filterNext(f models.EventFilter) models.EventFilter {
	if since := s.Now().Add(-followBack); since.After(f.Since) {
		f.Since = since
	}
	f.Limit = 0
	return f
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
