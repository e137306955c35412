package security

import (
	"sync/atomic"
	"time"
)

// refreshGrace is how long a client may use the previous refresh token again: its answer was lost, or two of
// its windows refreshed at once.
const refreshGrace = 10 * time.Second

// outage is a time in which the feed could not be read. As far as this replica knows, the database was down.
type outage struct{ began, ended time.Time } // ended is zero while it lasts

// outages remembers the latest outage. It is safe for concurrent use.
type outages struct{ latest atomic.Pointer[outage] }

// startedDuring records that the database was down when this process started. Nobody knows since when, so the
// answer to any refresh before the end of the outage may have been lost.
func (o *outages) startedDuring() { o.latest.Store(&outage{}) }

func (o *outages) ongoing() bool {
	latest := o.latest.Load()
	return latest != nil && latest.ended.IsZero()
}

// begin records an outage since the last successful poll. It continues the previous outage when that ended so
// recently that clients had no time to retry.
func (o *outages) begin(lastPoll time.Time) {
	latest := o.latest.Load()
	switch {
	case lastPoll.IsZero() || o.ongoing():
	case latest != nil && lastPoll.Sub(latest.ended) <= refreshGrace:
		o.latest.Store(&outage{began: latest.began})
	default:
		o.latest.Store(&outage{began: lastPoll})
	}
}

func (o *outages) end(now time.Time) {
	if latest := o.latest.Load(); o.ongoing() {
		o.latest.Store(&outage{began: latest.began, ended: now})
	}
}

// inGrace reports whether a client may still ask again for the answer to a refresh at this time. When an
// outage began before the client could ask, the grace period starts at its end: the refresh may be done, and
// its answer lost.
func (o *outages) inGrace(refreshed, now time.Time) bool {
	if now.Sub(refreshed) <= refreshGrace {
		return true
	}
	latest := o.latest.Load()
	return latest != nil && !latest.ended.IsZero() && now.Sub(latest.ended) <= refreshGrace &&
		!refreshed.Before(latest.began.Add(-refreshGrace)) && !refreshed.After(latest.ended)
}
