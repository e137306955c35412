package security

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sherpa/models"
)

// TestHistory compares the cursors of a history, which comes in any order and forgets, with those of a list
// that is summed up each time.
func TestHistory(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	var h history
	var list []models.Revocation
	for step := range 500 {
		now := noon.Add(time.Duration(step) * 100 * time.Millisecond)
		var found []models.Revocation
		for range random.IntN(4) {
			late := time.Duration(random.Int64N(int64(20 * time.Second)))
			found = append(found, models.Revocation{
				At: now.Add(-late), SessionID: fmt.Sprint(step, len(found)),
			})
		}
		known := len(list)
		list = append(list, found...)
		if known > 0 { // a poll finds them again, in any order
			found = append(found, list[random.IntN(known)])
		}
		h.put(found)
		oldest := now.Add(-40 * time.Second)
		h.forget(oldest)
		list = slices.DeleteFunc(list, func(e models.Revocation) bool { return e.At.Before(oldest) })
		at := now.Add(-time.Duration(random.Int64N(int64(5 * time.Second)))).Truncate(time.Millisecond)
		want := Cursor{at: at.UnixMilli()}
		for _, e := range list {
			if !e.At.Before(at.Add(-overlap)) && e.At.Before(at.Add(time.Millisecond)) {
				want.count, want.digest = want.count+1, want.digest^digest(e)
			}
		}
		if got := h.cursorAt(at); got != want {
			t.Fatalf("step %d: %v, want %v", step, got, want)
		}
		if len(h.entries) != len(list) || !slices.IsSortedFunc(h.entries, compareRevocations) {
			t.Fatalf("step %d: %d entries of %d, or not in order", step, len(h.entries), len(list))
		}
	}
}

// TestFillInAnotherOrder: that of a database depends on its locale.
func TestFillInAnotherOrder(t *testing.T) {
	t.Parallel()
	d := &database{entries: []models.Revocation{
		ended("b", 0), ended("A", 0), ended("a", 0), ended("B", 0),
	}}
	h := d.replica(t)
	h.add(d.read()) // finds them again
	if got := ids(h.after(Cursor{}).News); !slices.Equal(got, []string{"reset", "A", "B", "a", "b"}) {
		t.Error(got)
	}
}
