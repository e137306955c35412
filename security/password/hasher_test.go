package password

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func cheap() Params { return Params{MemoryKiB: 64, Time: 1, Threads: 1} }

// TestHashKnownAnswer checks a string made by the reference implementation:
// printf everest | argon2 somesaltsomesalt -id -t 2 -k 19456 -p 1 -l 32 -e
func TestHashKnownAnswer(t *testing.T) {
	t.Parallel()
	const phc = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" +
		"vG2FnG18Ud1vd1xywQ/oGJFZhHtiMVSXTZWTWq/uYRg"
	ok, weak, err := NewHasher(DefaultParams(), 2).Verify(t.Context(), phc, "everest")
	if !ok || weak || err != nil {
		t.Error(ok, weak, err)
	}
	p, salt, sum, err := decodePHC(phc)
	if got := encodePHC(p, salt, sum); got != phc || err != nil {
		t.Errorf("written again it is %s, %v", got, err)
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap(), 2)
	first, err := h.Hash(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	second, err := h.Hash(t.Context(), "a")
	if err != nil || first == second {
		t.Errorf("two hashes of one password: %s, %s, %v", first, second, err)
	}
	for password, want := range map[string]bool{"a": true, "b": false, "": false} {
		if ok, weak, err := h.Verify(t.Context(), first, password); ok != want || weak || err != nil {
			t.Errorf("%q: %v %v %v", password, ok, weak, err)
		}
	}
	for _, stronger := range []Params{{MemoryKiB: 128, Time: 1, Threads: 1}, {MemoryKiB: 64, Time: 2,
		Threads: 1}} {
		if ok, weak, err := NewHasher(
			stronger, 1,
		).Verify(
			t.Context(), first, "a",
		); !ok || !weak ||
			err != nil {
			t.Errorf("%+v: %v %v %v", stronger, ok, weak, err)
		}
	}
}

func TestStoredHashIsNotTrusted(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap(), 2)
	good, err := h.Hash(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for name, phc := range map[string]string{
		"plain text":      "everest",
		"bcrypt":          "$2a$10$abcdefghijklmnopqrstuv",
		"argon2i":         strings.Replace(good, "argon2id", "argon2i", 1),
		"old version":     strings.Replace(good, "v=19", "v=16", 1),
		"endless memory":  strings.Replace(good, "m=64", "m=4294967295", 1),
		"endless time":    strings.Replace(good, "t=1", "t=4294967295", 1),
		"no time":         strings.Replace(good, "t=1", "t=0", 1),
		"no thread":       strings.Replace(good, "p=1", "p=0", 1),
		"too many pieces": good + "$",
		"broken sum":      good[:len(good)-1] + "!",
		"no sum":          good[:strings.LastIndex(good, "$")+1],
	} {
		before := h.Computed()
		if ok, _, err := h.Verify(t.Context(), phc, "a"); ok || err == nil || h.Computed() != before {
			t.Errorf("%s: %v %v", name, ok, err)
		}
	}
}

func TestHasherRejectsWhatTheQueueCannotHold(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap(), 2)
	if err := h.Room(); err != nil {
		t.Errorf("an idle hasher: %v", err)
	}
	for range cap(h.queue) {
		h.queue <- struct{}{}
	}
	if _, err := h.Hash(t.Context(), "a"); !errors.Is(err, ErrOverloaded) {
		t.Error(err)
	}
	if err := h.Room(); !errors.Is(err, ErrOverloaded) {
		t.Error(err)
	}
}

// TestNoPasswordCostsAHash: a user without one must look like any other.
func TestNoPasswordCostsAHash(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap(), 1)
	for _, given := range []string{"", "a", "\x00"} {
		before := h.Computed()
		ok, weak, err := h.Verify(t.Context(), "", given)
		if ok || weak || err != nil || h.Computed() != before+1 {
			t.Errorf("%q: %v %v %v, %d hashes", given, ok, weak, err, h.Computed()-before)
		}
	}
}

// TestImpossiblePasswordCostsAHash: the time must not tell that no user has it.
func TestImpossiblePasswordCostsAHash(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap(), 1)
	phc, err := h.Hash(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, impossible := range []string{"", "\x00", strings.Repeat("a", MaxLength+1)} {
		before := h.Computed()
		if ok, weak, err := h.Verify(
			t.Context(), phc, impossible,
		); ok || weak || err != nil ||
			h.Computed() != before+1 {
			t.Errorf("%q: %v %v %v, %d hashes", impossible, ok, weak, err, h.Computed()-before)
		}
		if _, err := h.Hash(t.Context(), impossible); err == nil {
			t.Errorf("%q was hashed", impossible)
		}
	}
	if err := h.VerifyNobody(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestHasherComputesAFewAtATime(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap(), 2)
	for range cap(h.slots) {
		h.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Hash(ctx, "a"); !errors.Is(err, context.Canceled) || h.Computed() != 0 {
		t.Errorf("a hash beyond the slots: %v", err)
	}
	<-h.slots
	if _, err := h.Hash(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

// TestHasherLoad: the metrics show who hashes, who waits, and for how long.
func TestHasherLoad(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap(), 2)
	waited := make(chan time.Duration, 1)
	took := make(chan time.Duration, 1)
	h.Hashed = func(_ context.Context, w, d time.Duration) {
		waited <- w
		took <- d
	}
	if got, want := h.Load(), (Load{Slots: 2}); got != want {
		t.Errorf("idle: %+v, want %+v", got, want)
	}
	for range 3 { // two that hash and one that waits
		h.queue <- struct{}{}
	}
	for range 2 {
		h.slots <- struct{}{}
	}
	if got, want := h.Load(), (Load{Running: 2, Waiting: 1, Slots: 2}); got != want {
		t.Errorf("busy: %+v, want %+v", got, want)
	}
	<-h.slots
	if _, err := h.Hash(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if d := <-waited; d < 0 {
		t.Errorf("waited %v", d)
	}
	if d := <-took; d <= 0 {
		t.Errorf("took %v", d)
	}
}

func FuzzDecodePHC(f *testing.F) {
	for _, seed := range []string{
		"", "$", "$$$$$", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=-1,t=1,p=999$x$y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, phc string) {
		p, salt, sum, err := decodePHC(phc)
		if err != nil {
			return
		}
		if p.MemoryKiB > maxMemoryKiB || p.Time > maxTime || p.Time < 1 || p.Threads < 1 || len(salt) < 8 ||
			len(sum) < 16 {
			t.Errorf("accepted %q", phc)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	h := NewHasher(DefaultParams(), 2)
	phc, err := h.Hash(b.Context(), "everest")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if ok, _, err := h.Verify(b.Context(), phc, "everest"); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
