package security

import (
	"context"
	"errors"
	"time"
)

const (
	purgeInterval = time.Minute
	purgeBatch    = 500
	purgePause    = 20 * time.Millisecond // lets other writers in between
	keepEnded     = 30 * 24 * time.Hour   // how long a session that is over stays in the list of its user
)

// Run does what goes on beside the requests until ctx ends: it reads the feed and deletes what nobody needs.
func (s *Service) Run(ctx context.Context) {
	poll, purge := time.NewTicker(pollInterval), time.NewTicker(purgeInterval)
	defer poll.Stop()
	defer purge.Stop()
	purging := make(chan struct{}, 1) // never waits: a long purge must not delay the feed
	failing := false
	for ctx.Err() == nil {
		failing = s.report(ctx, failing, s.Poll(ctx))
		select {
		case <-ctx.Done():
		case <-poll.C:
		case <-purge.C:
			select {
			case purging <- struct{}{}:
				go func() { defer func() { <-purging }(); s.Purge(ctx) }()
			default:
			}
		}
	}
}

// report logs the first failure and the recovery, not every poll in between.
func (s *Service) report(ctx context.Context, failing bool, err error) bool {
	switch {
	case ctx.Err() != nil:
	case err != nil && !failing:
		s.Logger.ErrorContext(ctx, "the revocation feed cannot be read; sessions in memory count for 30 s more", "error", err)
	case err == nil && failing:
		s.Logger.InfoContext(ctx, "the revocation feed can be read again")
	}
	return err != nil
}

// Purge deletes what nobody needs in small batches, so that logins and refreshes go on meanwhile.
func (s *Service) Purge(ctx context.Context) {
	for {
		more, err := s.Store.Purge(ctx, s.Now(), keepEnded, purgeBatch)
		if err != nil && !errors.Is(err, context.Canceled) {
			s.Logger.WarnContext(ctx, "purge", "error", err)
		}
		if err != nil || !more {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(purgePause):
		}
	}
}
