package security

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/models"
)

// ended is an entry for the session, so long after noon.
func ended(id string, after time.Duration) models.Revocation {
	return models.Revocation{At: noon.Add(after), SessionID: id, Ended: true}
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// database is the feed of a database: what is committed, and its clock.
type database struct {
	now     time.Duration // after noon
	entries []models.Revocation
	reads   int // of the whole feed
}

// read is a poll that sees everything.
func (d *database) read() models.Revocations {
	return models.Revocations{At: noon.Add(d.now), Entries: slices.Clone(d.entries)}
}

func (d *database) since(_ context.Context, since time.Time) iter.Seq2[models.Revocation, error] {
	d.reads++
	return func(yield func(models.Revocation, error) bool) {
		for _, e := range d.entries {
			if !e.At.Before(since) && !yield(e, nil) {
				return
			}
		}
	}
}

// replica returns a full hub on the database.
func (d *database) replica(t *testing.T) *hub {
	t.Helper()
	h := newHub(5 * time.Minute)
	h.add(d.read())
	if err := h.fill(t.Context(), d.since); err != nil {
		t.Fatal(err)
	}
	return h
}

// ids of the entries, after a mark for a reset.
func ids(news News) (all []string) {
	if news.Reset {
		all = append(all, "reset")
	}
	for _, e := range news.Entries {
		all = append(all, e.SessionID)
	}
	return all
}

func TestCursors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(*database)
		want   []string
	}{
		{"nothing happened", func(*database) {}, nil},
		{"news", func(d *database) { d.entries = append(d.entries, ended("new", seconds(1))) },
			[]string{"new"}},
		{"a late commit, and its neighbours again",
			func(d *database) { d.entries = append(d.entries, ended("late", seconds(-3))) },
			[]string{"b", "late"}},
		{"a session got other roles, and has ended since", func(d *database) {
			d.entries[2].Ended, d.entries[2].Roles = false, []string{"guide"}
		}, nil}, // but each change has an entry of its own: TestSecondChangeOfASession
		{"away for as long as allowed", func(d *database) { d.now = maxAway }, nil},
		{"away for too long", func(d *database) { d.now = maxAway + 1e6 },
			[]string{"reset", "a", "old", "b"}},
		{"an older state of the database",
			func(d *database) { d.entries = d.entries[:2] }, []string{"reset", "a", "old"}},
		{"a database whose clock is behind", func(d *database) { d.now = -maxAhead - 1e6 },
			[]string{"reset", "a", "old", "b"}},
	} {
		d := &database{entries: []models.Revocation{
			ended("a", seconds(-300)), ended("old", seconds(-31)), ended("b", seconds(-5)),
		}}
		first := d.replica(t).after(Cursor{})
		if diff := cmp.Diff([]string{"reset", "a", "old", "b"}, ids(first.News)); diff != "" {
			t.Errorf("%s: without a cursor: %s", tt.name, diff)
		}
		d.now = seconds(2)
		tt.change(d)
		found := d.replica(t).after(first.Cursor) // of another replica, or after a restart
		if diff := cmp.Diff(tt.want, ids(found.News)); diff != "" || !found.current {
			t.Errorf("%s: current %v %s", tt.name, found.current, diff)
		}
		if again := d.replica(t).after(found.Cursor); again.Some() {
			t.Errorf("%s: the same again: %v", tt.name, ids(again.News))
		}
	}
}

// TestReplicaThatPolledBefore may neither answer that there is nothing nor make its reader forget.
func TestReplicaThatPolledBefore(t *testing.T) {
	t.Parallel()
	d := &database{entries: []models.Revocation{ended("a", seconds(-5))}}
	behind := d.replica(t)
	d.now, d.entries = seconds(0.4), append(d.entries, ended("b", seconds(0.2)))
	cursor := d.replica(t).after(Cursor{}).Cursor
	found := behind.after(cursor)
	if found.current || found.Some() {
		t.Errorf("current %v, %v", found.current, ids(found.News))
	}
	d.now = seconds(0.5)
	behind.add(d.read())
	select {
	case <-found.polled:
	default:
		t.Error("the poll woke nobody")
	}
	if found := behind.after(cursor); !found.current || found.Some() {
		t.Errorf("after its poll: current %v, %v", found.current, ids(found.News))
	}
}

// TestEntryAfterThePoll is one that the database let the poll see although it is a moment younger. It must
// not make a reader come back at once, again and again.
func TestEntryAfterThePoll(t *testing.T) {
	t.Parallel()
	d := &database{entries: []models.Revocation{ended("young", 1e6)}}
	h := d.replica(t)
	cursor := h.after(Cursor{}).Cursor
	if found := h.after(cursor); found.Some() {
		t.Errorf("before the next poll: %v", ids(found.News))
	}
	d.now = seconds(0.5)
	h.add(d.read())
	if found := h.after(cursor); !slices.Equal(ids(found.News), []string{"young"}) {
		t.Errorf("after the next poll: %v", ids(found.News))
	}
}

// TestSecondChangeOfASession is news for a reader who knows of the first, and makes nobody begin anew.
func TestSecondChangeOfASession(t *testing.T) {
	t.Parallel()
	d := &database{entries: []models.Revocation{
		ended("a", seconds(-300)), {At: noon.Add(seconds(-1)), SessionID: "b", Roles: []string{"guide"}},
	}}
	seen := d.replica(t)
	cursor := seen.after(Cursor{}).Cursor
	d.now = seconds(3)
	d.entries = []models.Revocation{
		ended("a", seconds(-300)), ended("b", seconds(-1)), ended("b", seconds(2.5)),
	}
	seen.add(d.read())
	for name, h := range map[string]*hub{"the same replica": seen, "another one": d.replica(t)} {
		found := h.after(cursor)
		if diff := cmp.Diff([]models.Revocation{ended("b", seconds(2.5))}, found.Entries); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if found.Reset || h.after(found.Cursor).Some() {
			t.Errorf("%s: reset %v, or the same again", name, found.Reset)
		}
	}
}

// TestAnswersStayAsTheyWere, although the hub shares its entries with them.
func TestAnswersStayAsTheyWere(t *testing.T) {
	t.Parallel()
	d := &database{entries: []models.Revocation{ended("a", 0), ended("c", seconds(2))}, now: seconds(3)}
	d.entries[1].Ended = false
	h := d.replica(t)
	answer := h.after(Cursor{}).Entries
	want := slices.Clone(answer)
	d.entries[1].Ended = true
	h.add(d.read())
	d.now = h.window + seconds(1) // "a" is forgotten
	d.entries = []models.Revocation{ended("b", seconds(1)), ended("c", seconds(2)), ended("d", seconds(3))}
	h.add(d.read())
	if diff := cmp.Diff(want, answer); diff != "" {
		t.Error(diff)
	}
	if got := ids(h.after(Cursor{}).News); !slices.Equal(got, []string{"reset", "b", "c", "d"}) {
		t.Errorf("the next answer: %v", got)
	}
}

// recent returns a full hub with so many entries of the last 20 s.
func recent(tb testing.TB, count int) *hub {
	tb.Helper()
	d := &database{}
	for i := range count {
		after := -seconds(20) * time.Duration(i) / time.Duration(count)
		d.entries = append(d.entries, ended(fmt.Sprint(i), after))
	}
	h := newHub(5 * time.Minute)
	h.add(d.read())
	if err := h.fill(tb.Context(), d.since); err != nil {
		tb.Fatal(err)
	}
	return h
}

// TestLookWithoutNewsCopiesNothing: each poll wakes all who wait, and they look one after the other. It does
// not run in parallel, because it counts what the program allocates.
func TestLookWithoutNewsCopiesNothing(t *testing.T) {
	h := recent(t, 1000)
	cursor := h.after(Cursor{}).Cursor
	if cursor.count != 1000 {
		t.Fatalf("%d recent entries", cursor.count)
	}
	if n := testing.AllocsPerRun(100, func() { h.after(cursor) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkLook is what one reader costs at each poll, and when it must begin anew.
func BenchmarkLook(b *testing.B) {
	for _, count := range []int{0, 1000, 50_000} {
		h := recent(b, count)
		for name, cursor := range map[string]Cursor{"news": h.after(Cursor{}).Cursor, "reset": {}} {
			b.Run(fmt.Sprintf("%s, %d entries", name, count), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					h.after(cursor)
				}
			})
		}
	}
}

func TestHubForgets(t *testing.T) {
	t.Parallel()
	d := &database{entries: []models.Revocation{ended("a", 0), ended("b", seconds(1))}}
	h := d.replica(t)
	d.now, d.entries = h.window+1e6, nil
	h.add(d.read())
	found := h.after(Cursor{})
	if diff := cmp.Diff([]string{"reset", "b"}, ids(found.News)); diff != "" {
		t.Error(diff)
	}
	// 5 min of the token, 2 min of margin, 10 s for a clock that was ahead.
	if want := noon.Add(10*time.Second + 1e6); !found.CompleteSince.Equal(want) {
		t.Errorf("complete since %v, want %v", found.CompleteSince, want)
	}
}

func TestHubIsFilledOnce(t *testing.T) {
	t.Parallel()
	d := &database{}
	h := d.replica(t)
	for range 3 {
		if err := h.fill(t.Context(), d.since); err != nil || d.reads != 1 {
			t.Errorf("%d reads, %v", d.reads, err)
		}
	}
	h.drop()
	if found := h.after(Cursor{}); found.full {
		t.Error("an empty hub answers")
	}
	if err := h.fill(t.Context(), d.since); err != nil || d.reads != 2 {
		t.Errorf("after a drop: %d reads, %v", d.reads, err)
	}
}

// TestPollsDuringTheFill: what they find is in the hub, and newer than what is read.
func TestPollsDuringTheFill(t *testing.T) {
	t.Parallel()
	d := &database{entries: []models.Revocation{ended("a", 0), ended("b", seconds(1))}}
	d.entries[1].Ended, d.entries[1].Roles = false, []string{"guide"}
	h := newHub(5 * time.Minute)
	h.add(d.read())
	slow := func(ctx context.Context, since time.Time) iter.Seq2[models.Revocation, error] {
		rows := d.since(ctx, since)
		return func(yield func(models.Revocation, error) bool) {
			rows(yield)
			h.add(models.Revocations{At: noon.Add(seconds(3)), Entries: []models.Revocation{
				ended("b", seconds(1)), ended("c", seconds(2)),
			}})
		}
	}
	if err := h.fill(t.Context(), slow); err != nil {
		t.Fatal(err)
	}
	want := []models.Revocation{ended("a", 0), ended("b", seconds(1)), ended("c", seconds(2))}
	if diff := cmp.Diff(want, h.after(Cursor{}).Entries); diff != "" {
		t.Error(diff)
	}
}

func TestFillThatFails(t *testing.T) {
	t.Parallel()
	down := errors.New("down")
	for _, tt := range []struct {
		name string
		fail func(h *hub, yield func(models.Revocation, error) bool)
		want error
	}{
		{"the database", func(_ *hub, yield func(models.Revocation, error) bool) {
			yield(models.Revocation{}, down)
		}, down},
		{"the feed was not read meanwhile", func(h *hub, _ func(models.Revocation, error) bool) {
			h.drop()
		}, models.ErrUnavailable},
	} {
		h := newHub(5 * time.Minute)
		h.add(models.Revocations{At: noon})
		read := func(context.Context, time.Time) iter.Seq2[models.Revocation, error] {
			return func(yield func(models.Revocation, error) bool) { tt.fail(h, yield) }
		}
		if err := h.fill(t.Context(), read); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if _, full := h.begin(); full {
			t.Errorf("%s: the hub counts as full", tt.name)
		}
	}
}

// TestReadersInTheQueueOfTheFill leave with their request.
func TestReadersInTheQueueOfTheFill(t *testing.T) {
	t.Parallel()
	h, d := newHub(5*time.Minute), &database{}
	h.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := h.fill(ctx, d.since); !errors.Is(err, context.Canceled) || d.reads != 0 {
		t.Errorf("%d reads, %v", d.reads, err)
	}
}

// TestFillEndsInTime for the answer to the reader who began it, but not when that reader leaves.
func TestFillEndsInTime(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for _, tt := range []struct {
		name     string
		deadline time.Time
		latest   time.Time
	}{
		{"no deadline", time.Time{}, now.Add(fillTimeout + time.Minute)}, // a minute for a slow machine
		{"a later deadline", now.Add(time.Hour), now.Add(fillTimeout + time.Minute)},
		{"an earlier deadline", now.Add(fillTimeout / 2), now.Add(fillTimeout / 2)},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		if !tt.deadline.IsZero() {
			var end context.CancelFunc
			ctx, end = context.WithDeadline(ctx, tt.deadline)
			defer end()
		}
		read := func(ctx context.Context, _ time.Time) iter.Seq2[models.Revocation, error] {
			cancel()
			if deadline, ok := ctx.Deadline(); !ok || deadline.After(tt.latest) || ctx.Err() != nil {
				t.Errorf("%s: until %v, %v", tt.name, deadline, ctx.Err())
			}
			return func(func(models.Revocation, error) bool) {}
		}
		h := newHub(5 * time.Minute)
		if err := h.fill(ctx, read); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestOneDeadlineForFillAndWait, as the server ends an answer a while after its request.
func TestOneDeadlineForFillAndWait(t *testing.T) {
	t.Parallel()
	d := &database{}
	cursor := d.replica(t).after(Cursor{}).Cursor
	for _, tt := range []struct {
		name string
		fill time.Duration
		want time.Duration
		err  error
	}{
		{"a slow fill is part of the wait", 20 * time.Second, 25 * time.Second, nil},
		{"a fill that is longer than the wait", 26 * time.Second, 26 * time.Second, nil},
		{"a fill that does not end", time.Hour, 27 * time.Second, context.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(5 * time.Minute)
			h.add(d.read())
			f := newFeed(nil, nil, h, func() time.Time { return noon })
			f.polled.Store(&noon)
			s := &Service{Parts: Parts{Now: f.now}, hub: h, feed: f}
			h.turn <- struct{}{} // another reader fills it
			h.begin()
			filled := make(chan struct{})
			defer func() { <-filled }()
			go func() {
				defer close(filled)
				time.Sleep(tt.fill)
				h.finish(nil)
				<-h.turn
			}()
			ctx, cancel := context.WithTimeout(t.Context(), 27*time.Second)
			defer cancel()
			began := time.Now()
			found, err := s.News(ctx, cursor, 25*time.Second, nil)
			if took := time.Since(began); took != tt.want || !errors.Is(err, tt.err) || found.Some() {
				t.Errorf("%s: %v after %v, %v", tt.name, ids(found), took, err)
			}
		})
	}
}

// TestReadersLoseNothing: readers go from replica to replica, whose polls differ, while entries are committed
// up to 30 s late. In the end each reader has every entry, and no answer without news follows at once.
func TestReadersLoseNothing(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	d := &database{}
	replicas := []*hub{d.replica(t), d.replica(t), d.replica(t)}
	have, cursor := map[string]bool{}, Cursor{}
	answers := 0
	for step := range 4000 {
		d.now += 50 * time.Millisecond
		if random.IntN(20) == 0 {
			late := time.Duration(random.Int64N(int64(longLookBack)))
			if random.IntN(2) == 0 {
				late = 0
			}
			d.entries = append(d.entries, ended(fmt.Sprint(step), d.now-late))
			slices.SortFunc(d.entries, compareRevocations)
		}
		if step%3 == 0 {
			replicas[random.IntN(len(replicas))].add(d.read())
		}
		found := replicas[random.IntN(len(replicas))].after(cursor)
		if !found.Some() {
			continue
		}
		answers++
		if found.Reset {
			clear(have)
		}
		for _, e := range found.Entries {
			have[e.SessionID] = true
		}
		cursor = found.Cursor
	}
	replicas[0].add(d.read())
	for _, e := range replicas[0].after(cursor).Entries {
		have[e.SessionID] = true
	}
	for _, e := range d.entries {
		if !have[e.SessionID] {
			t.Errorf("the reader lacks the entry of %v", e.At.Sub(noon))
		}
	}
	if len(d.entries) < 100 || answers > 3*len(d.entries) {
		t.Errorf("%d answers for %d entries", answers, len(d.entries))
	}
}

func TestParseCursor(t *testing.T) {
	t.Parallel()
	good := Cursor{at: 1795681860123, count: 2, digest: 0x5b8dd4a4adc2b3c1}
	if got, err := ParseCursor(good.String()); got != good || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{
		"", "x", "1.2", "1.2.3.4", "0.0.0", "-1.0.0", "1.-1.0", "01.0.0", "1.00.0", "1.0.00", "1.0.A",
		"+1.0.0", "1.+0.0", "1.0.0x1", " 1.0.0", "1.0.0 ", "99999999999999999999.0.0", "1..0",
		"1.0.11111111111111111",
	} {
		if c, err := ParseCursor(text); err == nil {
			t.Errorf("%q is the cursor %+v", text, c)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, text := range []string{"1795681860123.2.5b8dd4a4adc2b3c1", "1.0.0", "0.0.0", "..", "1.2"} {
		f.Add(text)
	}
	d := &database{entries: []models.Revocation{ended("a", -1), ended("b", seconds(1))}}
	h := newHub(5 * time.Minute)
	h.add(d.read())
	if err := h.fill(context.Background(), d.since); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCursor(text)
		if err != nil {
			return
		}
		if c.String() != text {
			t.Errorf("%q was read as %q", text, c)
		}
		h.after(c)
	})
}
