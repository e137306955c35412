// Package testclock is a clock that stands still until a test moves it. Only tests import it.
package testclock

import (
	"sync"
	"time"
)

// Clock may be read while others move it. Create it with New.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// New returns a clock that shows this time.
func New(now time.Time) *Clock { return &Clock{now: now} }

// Now returns the time that the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
