package security

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	purgeInterval = time.Minute
	purgeBatch    = 500
	purgePause    = 20 * time.Millisecond // lets other writers in between
	nudgePause    = 50 * time.Millisecond
)

// Run reads the revocation feed, deletes old rows and writes when tokens were used, until ctx ends. It
// returns when all of it has stopped.
func (s *Service) Run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() {
		failing := s.report(ctx, false, s.Poll(ctx))
		every(ctx, pollInterval, func() { failing = s.report(ctx, failing, s.Poll(ctx)) })
	})
	work.Go(func() { s.pollOnNudges(ctx) })
	work.Go(func() { every(ctx, purgeInterval, func() { s.Purge(ctx) }) })
	work.Go(func() {
		every(ctx, usesInterval, func() { s.WriteUses(ctx) })
		s.WriteUses(context.WithoutCancel(ctx)) // the last ones
	})
	work.Wait()
}

// every runs do at each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
		if ctx.Err() != nil {
			return
		}
		do()
	}
}

// pollOnNudges polls soon after each nudge until ctx ends. The pause makes one poll of the nudges of a busy
// moment. An error is for the regular poll to log.
func (s *Service) pollOnNudges(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.feed.nudged:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(nudgePause):
		}
		_ = s.Poll(ctx)
	}
}

// Poll reads the revocation feed once. Run does so regularly.
func (s *Service) Poll(ctx context.Context) error { return s.feed.poll(ctx) }

// report logs the first error and the recovery, not every poll in between.
func (s *Service) report(ctx context.Context, failing bool, err error) bool {
	switch {
	case ctx.Err() != nil:
	case err != nil && !failing:
		s.Logger.ErrorContext(ctx, "the revocation feed cannot be read: cached sessions stay valid for "+
			"30 s, then every request gets 503; see that the database runs and answers",
			"error", err)
	case err == nil && failing:
		s.Logger.InfoContext(ctx, "the revocation feed can be read again")
	}
	return err != nil
}

// Purge deletes rows that nobody needs, in small batches, so that logins and refreshes go on meanwhile.
func (s *Service) Purge(ctx context.Context) {
	for {
		more, err := s.Store.Purge(ctx, s.Now(), s.Settings.EventRetention, purgeBatch)
		if err != nil && !errors.Is(err, context.Canceled) {
			s.Logger.WarnContext(ctx, "purge of old rows failed; the next try is in a minute. If it fails "+
				"for hours, see that the database takes changes and that its disk has room", "error", err)
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

// Ready returns nil when the database answers and takes changes, else an error that wraps
// models.ErrUnavailable.
func (s *Service) Ready(ctx context.Context) error { return s.Store.Ready(ctx) }

// StartedDuringOutage records that the database was down when this process started. A refresh whose answer
// was lost then may be retried after the outage.
func (s *Service) StartedDuringOutage() { s.feed.outages.startedDuring() }
