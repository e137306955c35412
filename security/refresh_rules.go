package security

import "sherpa/models"

// refreshCase is all that decides what becomes of a refresh token of ours.
type refreshCase struct {
	generation generation
	ended      models.EndedReason // why the session ended, "" while it lives
	timing     timing             // only for the previous token of a live session
}

// generation is the place of a token among those of its session.
type generation string

const (
	newest   generation = "newest"
	previous generation = "previous"
	older    generation = "older"
	future   generation = "future" // its session was restored from a backup that is older than the token
)

// timing says whether the previous token comes within the grace period.
type timing string

const (
	inTime  timing = "in time"
	late    timing = "late"
	unknown timing = "unknown" // during an outage
)

// decision is what to do with the token.
type decision string

const (
	rotate      decision = "rotate"       // give its successor
	repeat      decision = "repeat"       // give the same successor again
	rejectToken decision = "reject token" // it is not known here
	rejectEnded decision = "reject ended" // its session has ended
	endSession  decision = "end session"  // somebody else has a copy
	retryLater  decision = "retry later"  // only the database knows, and it is down
)

// needsTiming reports whether the decision depends on the timing.
func (c refreshCase) needsTiming() bool { return c.generation == previous && c.ended == "" }

// decide is the whole rule (RFC 9700, section 4.14.2). It fails closed: what it does not know ends the
// session.
func (c refreshCase) decide() decision {
	switch {
	case c.generation == future:
		return rejectToken
	case c.ended != "":
		return rejectEnded
	case c.generation == newest:
		return rotate
	case c.needsTiming() && c.timing == inTime:
		return repeat
	case c.needsTiming() && c.timing == unknown:
		return retryLater
	}
	return endSession
}
