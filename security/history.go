package security

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"sherpa/models"
)

// history holds entries of the feed in their order. The zero history has none.
type history struct {
	entries []models.Revocation // answers share them, so what is in the array never changes
	before  []uint64            // of each entry: the digests of all before it, together
	all     uint64              // the digests of all entries, also of those that were forgotten
}

// put adds entries, or what has become of their sessions since. Polls overlap, so most of them are known. No
// poll finds one twice.
func (h *history) put(found []models.Revocation) {
	if len(found) == 0 {
		return
	}
	entries, first := slices.Clone(h.entries), len(h.entries)
	for _, e := range found {
		i, known := slices.BinarySearchFunc(h.entries, e, compareRevocations)
		if known {
			entries[i] = e
			continue
		}
		entries, first = append(entries, e), min(first, i)
	}
	slices.SortFunc(entries[first:], compareRevocations) // the order of a database may depend on its locale
	h.entries = entries
	h.sum(first)
}

// sum updates the digests from this place on.
func (h *history) sum(first int) {
	h.all = h.digestBefore(first)
	h.before = h.before[:first]
	for _, e := range h.entries[first:] {
		h.before = append(h.before, h.all)
		h.all ^= digest(e)
	}
}

// forget drops the entries before this time.
func (h *history) forget(before time.Time) {
	old := h.place(before)
	h.entries, h.before = h.entries[old:], h.before[old:]
}

// place returns where the entries of this time and later ones begin.
func (h *history) place(at time.Time) int {
	i, _ := slices.BinarySearchFunc(h.entries, at, func(e models.Revocation, at time.Time) int {
		return e.At.Compare(at)
	})
	return i
}

// cursorAt describes the entries until a time. It reads none of them: each poll wakes all readers, and each
// of them asks.
func (h *history) cursorAt(at time.Time) Cursor {
	from, to := h.place(at.Add(-overlap)), h.place(at.Add(time.Millisecond))
	return Cursor{at: at.UnixMilli(), count: to - from, digest: h.digestBefore(from) ^ h.digestBefore(to)}
}

// digestBefore is the digests of all entries before this place, together.
func (h *history) digestBefore(place int) uint64 {
	if place == len(h.before) {
		return h.all
	}
	return h.before[place]
}

func compareRevocations(a, b models.Revocation) int {
	return cmp.Or(a.At.Compare(b.At), strings.Compare(a.SessionID, b.SessionID))
}

// digest is equal on all replicas. Nobody can choose the ids of sessions, so it need not resist attacks. What
// has become of the session is not part of it: each change writes an entry of its own, which tells that.
func digest(e models.Revocation) uint64 {
	sum := fnv.New64a()
	_, _ = fmt.Fprint(sum, e.At.UnixMilli(), e.SessionID) // a hash takes everything
	return sum.Sum64()
}
