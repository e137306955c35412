package security

import (
	"context"
	"maps"
	"sync"
	"time"

	"sherpa/models"
)

// usesInterval is how often uses are written.
const usesInterval = 10 * time.Second

// uses collects when personal access tokens were used, until they are written together: no request waits for
// it.
type uses struct {
	mutex sync.Mutex
	noted map[string]time.Time // by the id of the token
	limit int
}

func newUses(limit int) *uses { return &uses{noted: map[string]time.Time{}, limit: limit} }

// note remembers a use, at most once in models.UseInterval for each token.
func (u *uses) note(live *liveSession, now time.Time) {
	before := live.used.Load()
	if now.UnixMilli()-before < models.UseInterval.Milliseconds() {
		return
	}
	if !live.used.CompareAndSwap(before, now.UnixMilli()) { // another request of this moment notes it
		return
	}
	u.mutex.Lock()
	defer u.mutex.Unlock()
	if len(u.noted) < u.limit { // memory has a bound; a use that is not noted is no harm
		u.noted[live.principal.TokenID] = now
	}
}

// take returns what was noted since the last call.
func (u *uses) take() map[string]time.Time {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	noted := u.noted
	u.noted = map[string]time.Time{}
	return noted
}

// putBack keeps uses that could not be written. Later ones win.
func (u *uses) putBack(noted map[string]time.Time) {
	u.mutex.Lock()
	defer u.mutex.Unlock()
	maps.Copy(noted, u.noted)
	u.noted = noted
}

// WriteUses writes when personal access tokens were used. After an error it tries again at the next time; the
// feed and the purge tell of the outage.
func (s *Service) WriteUses(ctx context.Context) {
	noted := s.uses.take()
	if err := s.Store.RecordUses(ctx, noted); err != nil {
		s.uses.putBack(noted)
	}
}
