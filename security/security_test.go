package security

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/models"
)

const goodKey = "kQ7fW2mZx9Lr4TbV8nYc1JdH6sGp3EuA"

func cheap() HashParams { return HashParams{MemoryKiB: 64, Time: 1, Threads: 1} }

func TestKeyRingRefusesBadKeys(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, fault string }{
		{"nothing", "", "there is no key"},
		{"blanks and separators", " ,\n, ", "there is no key"},
		{"one byte short", goodKey[:31], "has 31 bytes"},
		{"short second key", goodKey + ",short", "key 2: has 5 bytes"},
		{"zeros", strings.Repeat("0", 64), "repeats too few characters"},
		{"repeated piece", strings.Repeat("abcd1234", 8), "repeats too few characters"},
		{"sample of a README", "change-me-change-me-change-me-1234567", "looks like a sample"},
		{"sample of a tutorial", "my_super_secret_key_of_at_least_32_bytes", "looks like a sample"},
		{"sample in capitals", "YOUR-SECRET-GOES-HERE-qwrtzpsdfgjkl9", "looks like a sample"},
		{"jwt.io's", "a-string-secret-at-least-256-bits-long", "looks like a sample"},
		{"256 bit", "your-256-bit-secret-your-256-bit-secret", "looks like a sample"},
		{"plea", "please-change-this-signing-key-in-production", "looks like a sample"},
		{"FastAPI's", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", "looks like a sample"},
		{"counting", "0123456789abcdefghijklmnopqrstuvwxyz", "looks like a sample"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseKeyRing(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("got %v, want %q", err, tt.fault)
			}
		})
	}
}

func TestKeyRingReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := ParseKeyRing("first,second")
	if err == nil || !strings.Contains(err.Error(), "key 1") || !strings.Contains(err.Error(), "key 2") {
		t.Error(err)
	}
}

func TestKeyRingHidesKeys(t *testing.T) {
	t.Parallel()
	ring, err := ParseKeyRing(" " + goodKey + "\r\n\n" + strings.ToLower(goodKey) + "xyz ,")
	if err != nil {
		t.Fatal(err)
	}
	if len(ring.keys) != 2 || string(ring.signing()) != goodKey {
		t.Errorf("%d keys", len(ring.keys))
	}
	service := Service{Parts: Parts{Keys: ring}}
	for _, text := range []string{fmt.Sprint(ring), fmt.Sprintf("%v %+v %#v %s", ring, ring, ring, ring), fmt.Sprintf("%+v", &service)} {
		if strings.Contains(text, goodKey) {
			t.Errorf("printing shows the key: %s", text)
		}
	}
	_, err = ParseKeyRing(goodKey[:20])
	if err == nil || strings.Contains(err.Error(), goodKey[:20]) {
		t.Errorf("the error shows the key: %v", err)
	}
}

func TestNewKeyIsAccepted(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if _, err := ParseKeyRing(NewKey()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	strict, mild := PasswordPolicy{MinLength: DefaultMinPassword}, PasswordPolicy{MinLength: LeastMinPassword}
	tests := []struct {
		name, username, password string
		policy                   PasswordPolicy
		fault                    string
	}{
		{"14 characters", "ada", "vq8 zr2 mb5 kw", strict, "at least 15"},
		{"15 characters", "ada", "vq8 zr2 mb5 kw7", strict, ""},
		{"15 code points of 4 bytes", "ada", "🏔⛰🗻🌋🏕🏞🧗🥾🎒🧭🗺⛺🌄🌅❄", strict, ""},
		{"64 characters", "ada", strings.Repeat("vq8 zr2 ", 8)[:64], strict, ""},
		{"128 characters", "ada", strings.Repeat("vq8 zr2mb5", 13)[:128], strict, ""},
		{"129 characters", "ada", strings.Repeat("vq8 zr2mb5", 13)[:129], strict, "at most 128"},
		{"a MiB", "ada", strings.Repeat("v", 1<<20), strict, "at most 128"},
		{"only letters are fine", "ada", "correcthorsebatterystaple", strict, ""},
		{"empty", "ada", "", strict, "not empty"},
		{"control character", "ada", "vq8 zr2 mb5 kw7\x00", strict, "no control characters"},
		{"one character", "ada", strings.Repeat("a", 20), strict, "sequence"},
		{"four characters", "ada", strings.Repeat("avzk", 5), strict, "5 different"},
		{"digits in order", "ada", "123456789012345", strict, "sequence"},
		{"alphabet", "ada", "abcdefghijklmno", strict, "sequence"},
		{"rows of keys", "ada", "qwertyuiopasdfg", strict, "sequence"},
		{"common and digits", "ada", "password1234567", strict, "most used"},
		{"common twice and a digit", "ada", "passwordpassword1", strict, "most used"},
		{"short piece twice and digits", "ada", "letmeinletmein12", strict, "most used"},
		{"the service and the demo password", "ada", "sherpa-everest-1", strict, "service's name"},
		{"common, long", "ada", "polniypizdec110211", strict, "most used"},
		{"common, in capitals", "ada", "POLNIYPIZDEC110211", strict, "most used"},
		{"common, short", "ada", "sunshine", mild, "most used"},
		{"common, twice", "ada", "sunshinesunshine", strict, "most used"},
		{"the username", "adalovelace1815", "AdaLovelace1815", strict, "username"},
		{"the username and more", "adalovelace1815", "adalovelace1815!1", strict, "username"},
		{"the service's name", "ada", "sherpa-sherpa-xkq", strict, "service's name"},
		{"8 characters where allowed", "ada", "vq8zr2mb", mild, ""},
		{"7 characters", "ada", "vq8zr2m", mild, "at least 8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.policy.Check(tt.username, tt.password)
			if (tt.fault == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("got %v, want %q", err, tt.fault)
			}
		})
	}
}

func TestCommonPasswordsAreEnough(t *testing.T) {
	t.Parallel()
	n := 0
	for line := range strings.Lines(commonPasswords) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	if n < 3000 { // OWASP ASVS 5.0, 6.2.4
		t.Errorf("%d passwords", n)
	}
}

func TestNormalizeUsername(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
		bad            bool
	}{
		{"plain", "sherpa", "sherpa", false},
		{"capitals", "Tenzing", "tenzing", false},
		{"full width", "ｔｅｎｚｉｎｇ", "tenzing", false},
		{"composed", "rene\u0301", "ren\u00e9", false},
		{"e-mail", "ada@example.org", "ada@example.org", false},
		{"64 characters", strings.Repeat("n", 64), strings.Repeat("n", 64), false},
		{"65 characters", strings.Repeat("n", 65), "", true},
		{"empty", "", "", true},
		{"blank", "a b", "", true},
		{"NUL", "a\x00", "", true},
		{"line end", "a\nb", "", true},
		{"not UTF-8", "\xff", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := NormalizeUsername(tt.in)
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestHashKnownAnswer checks a string made by the reference implementation:
// printf everest | argon2 somesaltsomesalt -id -t 2 -k 19456 -p 1 -l 32 -e
func TestHashKnownAnswer(t *testing.T) {
	t.Parallel()
	const phc = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$vG2FnG18Ud1vd1xywQ/oGJFZhHtiMVSXTZWTWq/uYRg"
	ok, weak, err := NewHasher(DefaultHashParams(), 2).Verify(t.Context(), phc, "everest")
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
	for _, stronger := range []HashParams{{MemoryKiB: 128, Time: 1, Threads: 1}, {MemoryKiB: 64, Time: 2, Threads: 1}} {
		if ok, weak, err := NewHasher(stronger, 1).Verify(t.Context(), first, "a"); !ok || !weak || err != nil {
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
		"empty":           "",
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

func TestHasherRefusesRatherThanQueuesForEver(t *testing.T) {
	t.Parallel()
	h := NewHasher(cheap(), 2)
	for range cap(h.queue) {
		h.queue <- struct{}{}
	}
	_, err := h.Hash(t.Context(), "a")
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != Overloaded || refusal.RetryAfter != time.Second {
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

func newService(t *testing.T) (*Service, *Accounts) {
	t.Helper()
	store, err := models.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "sherpa.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	hasher := NewHasher(cheap(), 2)
	service, err := NewService(Parts{Store: store, Hasher: hasher, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Settings: Settings{CacheSize: 100}})
	if err != nil {
		t.Fatal(err)
	}
	return service, &Accounts{Store: store, Hasher: hasher, Policy: PasswordPolicy{MinLength: 15}, Now: time.Now}
}

func TestAuthenticateStrengthensAnOldHash(t *testing.T) {
	t.Parallel()
	service, accounts := newService(t)
	if _, err := accounts.Create(t.Context(), "ada", "an analytical engine", nil); err != nil {
		t.Fatal(err)
	}
	service.Hasher = NewHasher(HashParams{MemoryKiB: 128, Time: 2, Threads: 1}, 2)
	for i, computed := range []int64{2, 3} { // the second login has nothing left to do
		user, err := service.Authenticate(t.Context(), "ada", "an analytical engine")
		if err != nil {
			t.Fatal(err)
		}
		stored, err := service.Store.UserByID(t.Context(), user.ID)
		if err != nil || !strings.HasPrefix(stored.PasswordHash, "$argon2id$v=19$m=128,t=2,p=1$") {
			t.Errorf("login %d: %s, %v", i, stored.PasswordHash, err)
		}
		if got := service.Hasher.Computed(); got != computed {
			t.Errorf("login %d: %d hashes computed, want %d", i, got, computed)
		}
	}
}

func TestAuthenticateRefusesADisabledUser(t *testing.T) {
	t.Parallel()
	service, accounts := newService(t)
	user, err := accounts.Create(t.Context(), "ada", "an analytical engine", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Store.DisableUser(t.Context(), user.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	_, err = service.Authenticate(t.Context(), "ada", "an analytical engine")
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Code != InvalidCredentials {
		t.Error(err)
	}
}

func TestPasswordIsNormalisedOnBothSides(t *testing.T) {
	t.Parallel()
	service, accounts := newService(t)
	if _, err := accounts.Create(t.Context(), "rene", "rene\u0301 and the mountain", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := service.Authenticate(t.Context(), "RENE", "ren\u00e9 and the mountain"); err != nil {
		t.Error(err)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	_, accounts := newService(t)
	const good = "an analytical engine"
	if _, err := accounts.Create(t.Context(), "ada", good, nil); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, username, password string
		roles                    []string
		fault                    string
	}{
		{"taken", "ada", good, nil, "taken"},
		{"taken in another spelling", "ADA", good, nil, "taken"},
		{"bad name", "a b", good, nil, "blanks"},
		{"weak password", "bob", "short", nil, "at least 15"},
		{"bad role", "bob", good, []string{"Role With Blanks"}, "role"},
		{"too many roles", "bob", good, strings.Split(strings.Repeat("r,", 16)+"r", ","), "at most 16"},
	}
	for _, tt := range tests {
		if _, err := accounts.Create(t.Context(), tt.username, tt.password, tt.roles); err == nil || !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestFirstRun(t *testing.T) {
	t.Parallel()
	t.Run("demo", func(t *testing.T) {
		t.Parallel()
		service, accounts := newService(t)
		first, created, err := accounts.FirstRun(t.Context(), true)
		if diff := cmp.Diff(FirstUser{"sherpa", "everest"}, first); diff != "" || !created || err != nil {
			t.Fatal(diff, created, err)
		}
		if _, err := service.Authenticate(t.Context(), "sherpa", "everest"); err != nil {
			t.Error(err)
		}
		if _, created, err := accounts.FirstRun(t.Context(), true); created || err != nil {
			t.Error("a second start changed something", err)
		}
		if _, _, err := accounts.FirstRun(t.Context(), false); !errors.Is(err, ErrDemoUser) {
			t.Errorf("a start outside demo mode: %v", err)
		}
	})
	t.Run("demo user made safe", func(t *testing.T) {
		t.Parallel()
		for name, makeSafe := range map[string]func(*Accounts, models.User) error{
			"disabled":     func(a *Accounts, u models.User) error { return a.Store.DisableUser(t.Context(), u.ID, a.Now()) },
			"deleted":      func(a *Accounts, u models.User) error { return a.Store.DeleteUser(t.Context(), u.ID, a.Now()) },
			"new password": func(a *Accounts, u models.User) error { return a.SetPassword(t.Context(), u, "a password of its own") },
		} {
			_, accounts := newService(t)
			if _, err := accounts.Create(t.Context(), "ada", "an analytical engine", nil); err != nil {
				t.Fatal(err)
			}
			user, err := accounts.store(t.Context(), DemoUsername, DemoPassword, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := makeSafe(accounts, user); err != nil {
				t.Fatal(err)
			}
			if _, _, err := accounts.FirstRun(t.Context(), false); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("administrator", func(t *testing.T) {
		t.Parallel()
		service, accounts := newService(t)
		first, created, err := accounts.FirstRun(t.Context(), false)
		if err != nil || !created || len(first.Password) < 26 {
			t.Fatal(first, created, err)
		}
		user, err := service.Authenticate(t.Context(), "admin", first.Password)
		if diff := cmp.Diff([]string{"admin"}, user.Roles); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if err := accounts.Policy.Check("admin", first.Password); err != nil {
			t.Errorf("the generated password breaks the policy: %v", err)
		}
	})
	t.Run("several processes", func(t *testing.T) {
		t.Parallel()
		_, accounts := newService(t)
		made := make(chan bool, 8)
		var wg sync.WaitGroup
		for range cap(made) {
			wg.Go(func() {
				_, created, err := accounts.FirstRun(t.Context(), false)
				if err != nil {
					t.Error(err)
				}
				made <- created
			})
		}
		wg.Wait()
		close(made)
		n := 0
		for created := range made {
			if created {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d administrators were announced", n)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	h := NewHasher(DefaultHashParams(), 2)
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
