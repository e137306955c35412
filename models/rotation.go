package models

import "time"

// Rotation replaces the refresh token of a session.
type Rotation struct {
	SessionID  string
	FromCount  int64  // what Session.RefreshCount must still be
	FromHash   string // what Session.RefreshHash must still be
	Hash       string
	At         time.Time
	IdleEndsAt time.Time
}

// Rotated is a session after a rotation, with its user as they are then.
type Rotated struct {
	UserID   int64
	Username string
	Roles    []string
	EndsAt   time.Time // of the session, however often it is refreshed
}

func (r Rotation) args() []any {
	return []any{r.Hash, millis(r.At), millis(r.IdleEndsAt), r.SessionID, r.FromCount, r.FromHash}
}

// columns returns the arguments of rotateSessionsQuery.
func columns(all []Rotation) []any {
	n := len(all)
	ids, fromHashes, hashes := make([]string, n), make([]string, n), make([]string, n)
	fromCounts, ats, idleEnds := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, r := range all {
		ids[i], fromCounts[i], fromHashes[i], hashes[i] = r.SessionID, r.FromCount, r.FromHash, r.Hash
		ats[i], idleEnds[i] = millis(r.At), millis(r.IdleEndsAt)
	}
	return []any{ids, fromCounts, fromHashes, hashes, ats, idleEnds, n}
}
