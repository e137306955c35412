package security

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"sherpa/models"
)

// reasonThrottled is the reason of an attempt that was refused before its password was checked.
const reasonThrottled = "throttled"

// failure is a login, another check of a secret, or a registration that failed.
type failure struct {
	kind     models.EventKind
	username string
	count    models.LoginCount
	err      error
}

// recordFailure records why an attempt failed. The attempt fails anyway, so an event that cannot be written
// is only logged. Every cause costs the same: one statement in one transaction, which looks for the name
// itself. A client that hangs up is recorded too.
func (s *Service) recordFailure(ctx context.Context, f failure) {
	ctx = context.WithoutCancel(ctx)
	events := s.failureEvents(ctx, f)
	if len(events) == 0 {
		return
	}
	if err := s.Store.Record(ctx, s.Now(), events...); err != nil {
		s.Logger.ErrorContext(ctx, "a failed login was not recorded; see to the database", "error", err)
	}
}

func (s *Service) failureEvents(ctx context.Context, f failure) (events []models.Event) {
	add := func(kind models.EventKind, reason, username string) (first bool) {
		e, row := s.failureEvent(ctx, kind, reason, username)
		if row.add > 0 {
			events = append(events, e)
		}
		return row.total == 1
	}
	var cause loginCause
	switch {
	case HasCode(f.err, Throttled) && f.count.ByAddress: // one address may try thousands of names
		if add(f.kind, reasonThrottled, "") {
			add(models.EventThrottleTripped, "address", "")
		}
	case HasCode(f.err, Throttled):
		add(f.kind, reasonThrottled, f.username)
	case errors.Is(f.err, models.ErrUsernameTaken):
		add(f.kind, "username_taken", f.username)
	case errors.As(f.err, &cause):
		add(f.kind, string(cause), f.username)
		if f.count.Tries == models.FreeTries+1 { // from now on there are waits
			add(models.EventThrottleTripped, "name", f.username)
		}
	}
	return events
}

// failureEvent counts this attempt, and returns the event with its row.
func (s *Service) failureEvent(
	ctx context.Context, kind models.EventKind, reason, username string,
) (models.Event, failureRow) {
	at, origin := s.Now(), models.OriginOf(ctx)
	name, possible := countedName(username)
	key := failureKey{kind, reason, "", addressPrefix(origin.Address)}
	if name != "" {
		key.nameHash = s.Keys().Pseudonym(name)
	}
	row := s.failures.count(at, key)
	e := models.Event{Kind: kind, Reason: reason, Times: row.add, Origin: origin, Quiet: !row.round}
	if e.NameHash = row.key.nameHash; e.NameHash != "" && possible {
		e.SubjectName = name // the store keeps it if somebody has it, and the hash if not
	}
	if row.key.nameHash == "" {
		e.ActorID, e.ActorName = 0, "" // there may be many
	}
	if row.key.address == "" {
		e.Address, e.UserAgent, e.RequestID = "", "", "" // there are many
	}
	minute := at.UTC().Truncate(failureWindow).Format(time.RFC3339)
	e.Bucket = minute + " " + s.Keys().Pseudonym(row.key.text())
	return e, row
}

// A flood of failures must not fill the disk. Failures of the same minute, kind, reason, name and address
// share a row, which counts them. When an address has failureNames rows in a minute, one more counts all its
// other names. When there are more than failureBurst rows, and then more than one each failureInterval, one
// row of the minute counts all others.
const (
	failureWindow   = time.Minute
	failureNames    = 10
	failureBurst    = 100
	failureInterval = 10 * time.Second
)

// failureKey says which failures share a row. Without a name it stands for all names of the address, and
// without an address for all others.
type failureKey struct {
	kind              models.EventKind
	reason            string
	nameHash, address string
}

func (k failureKey) text() string {
	return strings.Join([]string{string(k.kind), k.reason, k.nameHash, k.address}, "\x00")
}

// failureRow is a row of the current minute, as this replica knows it.
type failureRow struct {
	key     failureKey
	total   int64
	pending int64 // counted here, and not yet in the database
	add     int64 // to write now; 0 for nothing
	round   bool  // the total is 1, 10, 100 and so on
}

// failureRows chooses the rows, and bounds them. It is safe for concurrent use.
type failureRows struct {
	mu     sync.Mutex
	minute time.Time
	rows   map[failureKey]*failureRow
	names  map[string]int // rows of an address that have a name
	left   float64        // rows that may be added now
	leftAt time.Time
}

func newFailureRows() *failureRows { return &failureRows{left: failureBurst} }

// count counts a failure, and returns the row that has it. Throttled attempts cost next to nothing, so they
// are written only when their total is round; others each time.
func (f *failureRows) count(at time.Time, key failureKey) failureRow {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin(at)
	row := f.choose(key)
	row.total++
	row.pending++
	row.round, row.add = isRound(row.total), 0
	if row.round || key.reason != reasonThrottled {
		row.add, row.pending = row.pending, 0
	}
	return *row
}

// begin forgets the rows of the minute before.
func (f *failureRows) begin(at time.Time) {
	passed := at.Sub(f.leftAt)
	f.left = min(failureBurst, f.left+max(0, float64(passed)/float64(failureInterval)))
	f.leftAt = at
	if minute := at.Truncate(failureWindow); minute.After(f.minute) {
		f.minute, f.rows, f.names = minute, map[failureKey]*failureRow{}, map[string]int{}
	}
}

// choose returns the most exact row that may exist.
func (f *failureRows) choose(key failureKey) *failureRow {
	if row, ok := f.rows[key]; ok {
		return row
	}
	named := key.nameHash != ""
	switch {
	case named && f.names[key.address] >= failureNames:
		return f.choose(failureKey{key.kind, key.reason, "", key.address})
	case key.address != "" && f.left < 1:
		return f.choose(failureKey{key.kind, key.reason, "", ""})
	}
	f.left = max(f.left-1, 0)
	if named {
		f.names[key.address]++
	}
	row := &failureRow{key: key}
	f.rows[key] = row
	return row
}

func isRound(n int64) bool {
	for n%10 == 0 && n > 0 {
		n /= 10
	}
	return n == 1
}
