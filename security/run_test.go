package security

import (
	"context"
	"testing"
	"time"
)

// TestRunEndsWithItsContext, and polls at once.
func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.clock.Add(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.Run(ctx)
	}()
	for b.feed.age(b.clock.Now()) != 0 { // until it has polled
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
}

func TestReportOnlyChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	mend := b.breakFeed()
	failing := b.report(t.Context(), false, b.Poll(t.Context()))
	if !failing {
		t.Error("a poll that fails is no failure")
	}
	mend()
	if b.report(t.Context(), failing, b.Poll(t.Context())) {
		t.Error("a poll that works is a failure")
	}
}

func TestPurgeGoesOnUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	login := b.logIn("ada")
	b.clock.Add(32 * 24 * time.Hour)
	b.Purge(t.Context())
	if all, err := b.Sessions(t.Context(), *login.Principal()); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}
