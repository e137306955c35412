package security

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"sherpa/models"
	"sherpa/security/token"
)

const (
	// windowMargin is how much longer than an access token lives its revocation is kept for readers. It is
	// for clocks that differ, and must exceed maxAway and overlap together.
	windowMargin = 2 * time.Minute
	// overlap is how far a cursor says which entries its reader has. An entry may commit after others with a
	// later time were read, so it is as far as polls look back.
	overlap = longLookBack
	// maxAway is the age of a cursor whose reader gets everything again. A reader may rely on what it knows
	// for 30 s, and its cursor ages during a wait.
	maxAway = time.Minute
	// maxAhead is how far a cursor of another replica may be ahead of the latest poll of this one.
	maxAhead = 5 * time.Second
	// maxNewsAge is the oldest poll that "there is no news" may rely on.
	maxNewsAge = maxStaleness + pollTimeout
	// fillTimeout bounds the first read.
	fillTimeout = 20 * time.Second
)

// hub keeps what the feed says for those who verify tokens outside this program. It is empty until the first
// of them asks. From then on the polls of this replica feed it, however many wait.
type hub struct {
	window time.Duration // how long an entry can matter to a token
	turn   chan struct{} // one place, for whoever fills it

	mu      sync.Mutex
	state   hubState
	at      time.Time // of the latest poll, by the clock of the database
	known   history
	polled  chan struct{} // is closed at the next poll
	waiting int
}

type hubState int

const (
	hubEmpty   hubState = iota
	hubFilling          // it takes what polls find
	hubFull
)

func newHub(accessTTL time.Duration) *hub {
	return &hub{
		window: accessTTL + windowMargin, turn: make(chan struct{}, 1), polled: make(chan struct{}),
	}
}

// add takes what a poll has found. The polls of a replica follow each other.
func (h *hub) add(found models.Revocations) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = found.At
	if h.state != hubEmpty {
		h.known.put(found.Entries)
		h.known.forget(h.at.Add(-h.window))
	}
	h.wakeLocked()
}

// wake makes all who wait look again: a poll has failed.
func (h *hub) wake() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wakeLocked()
}

func (h *hub) wakeLocked() {
	close(h.polled)
	h.polled = make(chan struct{})
}

// drop empties the hub, because polls have missed what happened. The next reader fills it again.
func (h *hub) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state, h.known = hubEmpty, history{}
}

// begin reports whether the hub is full. If not, it returns from when on it must be filled.
func (h *hub) begin() (since time.Time, full bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state == hubFull {
		return time.Time{}, true
	}
	h.state, h.known = hubFilling, history{}
	return h.at.Add(-h.window), false
}

// finish adds what was read to what polls have found meanwhile, which is newer. It reports false when the hub
// was emptied meanwhile.
func (h *hub) finish(read []models.Revocation) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != hubFilling {
		return false
	}
	polled := h.known.entries
	h.state, h.known = hubFull, history{}
	h.known.put(read)
	h.known.put(polled)
	return true
}

// fill reads the feed, unless the hub is full. Simultaneous readers wait for one read. It does not end when
// the client leaves that happened to begin it, but it ends in time for that client's answer.
func (h *hub) fill(
	ctx context.Context, read func(context.Context, time.Time) iter.Seq2[models.Revocation, error],
) error {
	select {
	case h.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("fill the hub: %w", ctx.Err())
	}
	defer func() { <-h.turn }()
	since, full := h.begin()
	if full {
		return nil
	}
	ctx, cancel := outlive(ctx, fillTimeout)
	defer cancel()
	var entries []models.Revocation
	for e, err := range read(ctx, since) {
		if err != nil {
			return fmt.Errorf("fill the hub: %w", err)
		}
		entries = append(entries, e)
	}
	if !h.finish(entries) {
		return fmt.Errorf("fill the hub: %w: the feed was not read for too long", models.ErrUnavailable)
	}
	return nil
}

// outlive returns a context that goes on when that of a client is cancelled, but keeps its deadline.
func outlive(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	deadline := time.Now().Add(timeout)
	if of, ok := ctx.Deadline(); ok && of.Before(deadline) {
		deadline = of
	}
	return context.WithDeadline(context.WithoutCancel(ctx), deadline)
}

// Cursor says what a reader of the feed has: everything until a time, and of the last overlap before it so
// many entries with this digest. So each replica can tell what the reader lacks, whichever one gave the
// cursor. The zero Cursor is that of a reader who has nothing.
type Cursor struct {
	at     int64 // milliseconds since 1970 UTC, by the clock of the database
	count  int
	digest uint64
}

// String returns the text that ParseCursor reads.
func (c Cursor) String() string { return fmt.Sprintf("%d.%d.%x", c.at, c.count, c.digest) }

// ParseCursor reads a cursor, in exactly the form that it was given in.
func ParseCursor(text string) (Cursor, error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Cursor{}, fmt.Errorf("%d parts", len(parts))
	}
	at, atErr := strconv.ParseInt(parts[0], 10, 64)
	count, countErr := strconv.Atoi(parts[1])
	digest, digestErr := strconv.ParseUint(parts[2], 16, 64)
	c := Cursor{at, count, digest}
	if err := cmp.Or(atErr, countErr, digestErr); err != nil {
		return Cursor{}, err
	}
	if at <= 0 || count < 0 || c.String() != text {
		return Cursor{}, fmt.Errorf("not canonical")
	}
	return c, nil
}

// News is what a reader of the feed lacks.
type News struct {
	Cursor        Cursor
	CompleteSince time.Time // tokens that were issued before may belong to sessions that ended unseen
	Reset         bool      // the entries are everything that can matter: the reader must drop what it has
	// Entries are shared by all answers, and must not be changed.
	Entries []models.Revocation
}

// Some reports whether there is anything new.
func (n News) Some() bool { return n.Reset || len(n.Entries) > 0 }

// after returns what the reader lacks, if the hub is full.
func (h *hub) after(c Cursor) look {
	h.mu.Lock()
	defer h.mu.Unlock()
	found := look{full: h.state == hubFull, polled: h.polled, News: News{
		Cursor: h.known.cursorAt(h.at), CompleteSince: h.at.Add(token.Leeway - h.window),
	}}
	ahead := time.UnixMilli(c.at).Sub(h.at)
	found.current = ahead <= 0 || ahead > maxAhead
	if !found.current { // anything else would make the reader forget what it has
		return found
	}
	from, reset := h.from(c)
	// An entry after the latest poll is not in the cursor. It comes along, but is no reason to answer, or the
	// same answer would follow until the next poll.
	if reset || from < h.known.place(h.at.Add(time.Millisecond)) {
		found.Reset, found.Entries = reset, h.known.entries[from:]
	}
	return found
}

// from returns the place of the first entry that the reader may lack, and whether it must begin anew: it has
// nothing, was away for too long, or has what is not in the feed, because the database is another one or an
// older state of it.
func (h *hub) from(c Cursor) (place int, reset bool) {
	at := time.UnixMilli(c.at)
	if at.After(h.at) || h.at.Sub(at) > maxAway {
		return 0, true
	}
	switch known := h.known.cursorAt(at); {
	case known == c:
		return h.known.place(at.Add(time.Millisecond)), false
	case known.count > c.count: // some have committed late
		return h.known.place(at.Add(-overlap)), false
	}
	return 0, true
}

// enter counts who waits, and reports whether there was room.
func (h *hub) enter(limit int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if limit > 0 && h.waiting >= limit {
		return false
	}
	h.waiting++
	return true
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting--
}

func (h *hub) waiters() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting
}

// used reports whether anybody has asked.
func (h *hub) used() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state != hubEmpty
}

// IssuedBefore returns the time before which all tokens are refused, for the entry of models.EverySession.
// The clock that issued a token may have been ahead of that of the database.
func IssuedBefore(e models.Revocation) time.Time { return e.At.Add(token.Leeway) }

// catchUpWait is how long a reader waits at least when another replica has polled later than this one.
const catchUpWait = 2 * pollInterval

// News returns what the feed has after the cursor. If that is nothing, it waits for so long, or until stop is
// closed, and may return nothing. The wait begins with the call: a first read of the feed is part of it. The
// error wraps models.ErrUnavailable when the feed cannot be read: nobody may take that for "nothing has
// ended".
func (s *Service) News(
	ctx context.Context, after Cursor, wait time.Duration, stop <-chan struct{},
) (News, error) {
	asked := time.Now()
	found, err := s.look(ctx, after)
	if err != nil || found.Some() {
		return found.News, err
	}
	wait -= time.Since(asked)
	if s.hub.enter(s.Settings.MaxWaiting) {
		defer s.hub.leave()
	} else {
		wait = 0
	}
	if !found.current {
		wait = max(wait, catchUpWait)
	}
	return s.await(ctx, found, after, wait, stop)
}

func (s *Service) await(
	ctx context.Context, found look, after Cursor, wait time.Duration, stop <-chan struct{},
) (News, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for over := false; !over; {
		select {
		case <-found.polled:
		case <-timer.C:
			over = true
		case <-stop:
			over = true
		case <-ctx.Done():
			return News{}, ctx.Err()
		}
		var err error
		if found, err = s.look(ctx, after); err != nil || found.Some() {
			return found.News, err
		}
	}
	if !found.current {
		return News{}, fmt.Errorf("%w: this replica polls later than others", models.ErrUnavailable)
	}
	return found.News, nil
}

// look is what a reader finds at one moment.
type look struct {
	News
	full    bool            // otherwise the rest means nothing
	current bool            // whether this replica has polled as lately as the cursor says
	polled  <-chan struct{} // is closed when it is time to look again
}

func (s *Service) look(ctx context.Context, after Cursor) (look, error) {
	if s.feed.age(s.Now()) > maxNewsAge {
		return look{}, fmt.Errorf("%w: the feed was not read lately", models.ErrUnavailable)
	}
	if found := s.hub.after(after); found.full {
		return found, nil
	}
	if err := s.hub.fill(ctx, s.Store.RevocationsSince); err != nil {
		return look{}, err
	}
	found := s.hub.after(after)
	if !found.full { // a pause of this process, and nobody may take an empty hub for "nothing has ended"
		return look{}, fmt.Errorf("%w: the feed was not read for too long", models.ErrUnavailable)
	}
	return found, nil
}

// revoked evicts what a change of this replica has revoked. If there are readers of the feed, it polls soon.
func (s *Service) revoked(ids ...string) {
	s.cache.evict(ids...)
	if len(ids) > 0 && s.hub.used() {
		s.feed.nudge()
	}
}

// Waiting returns how many readers of the feed wait for news.
func (s *Service) Waiting() int { return s.hub.waiters() }
