package token

import (
	"fmt"
	"strings"
	"testing"
)

const goodKey = "kQ7fW2mZx9Lr4TbV8nYc1JdH6sGp3EuA"

func TestKeyRingRejectsBadKeys(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, wrong string }{
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
		{"FastAPI's", "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
			"looks like a sample"},
		{"counting", "0123456789abcdefghijklmnopqrstuvwxyz", "looks like a sample"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseKeyRing(tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.wrong) {
				t.Errorf("got %v, want %q", err, tt.wrong)
			}
		})
	}
}

func TestKeyRingReportsEveryBadKey(t *testing.T) {
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
	if signs, _ := ring.Secret(); len(ring.keys) != 2 || string(signs) != goodKey {
		t.Errorf("%d keys", len(ring.keys))
	}
	within := struct{ Keys KeyRing }{ring}
	for _, text := range []string{
		fmt.Sprint(ring), fmt.Sprintf("%v %+v %#v %s", ring, ring, ring, ring), fmt.Sprintf("%+v", &within),
	} {
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
	for _, algorithm := range algorithms {
		for range 300 {
			text, err := NewKey(algorithm)
			if err != nil {
				t.Fatal(err)
			}
			ring, err := ParseKeyRing(text)
			if err != nil || ring.Names()[0].Algorithm != algorithm {
				t.Fatal(ring.Names(), err)
			}
		}
	}
	if text, err := NewKey("RS256"); err == nil || text != "" {
		t.Errorf("a key for RS256: %v", err)
	}
}

func FuzzKeyRing(f *testing.F) {
	for _, seed := range []string{"", goodKey, goodKey + "," + goodKey, ",\n\r", strings.Repeat("a", 32),
		"change-me" + goodKey, newText(f, ES256), newText(f, EdDSA) + "," + goodKey,
		"-----BEGIN PRIVATE KEY-----", "-----BEGIN-----END", "-----END PRIVATE KEY-----\n" + goodKey,
		"-----BEGIN\n-----BEGIN PRIVATE KEY-----\n-----END", newText(f, ES256) + "x," + goodKey} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := ParseKeyRing(text)
		if err != nil {
			return
		}
		if len(ring.keys) == 0 {
			t.Error("no key and no error")
		}
		for _, key := range ring.keys {
			if len(key.raw) < minKey {
				t.Errorf("a key of %d bytes", len(key.raw))
			}
		}
	})
}
