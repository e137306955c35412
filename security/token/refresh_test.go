package token

import (
	"errors"
	"strings"
	"testing"
)

func FuzzRefreshToken(f *testing.F) {
	ring, err := ParseKeyRing(goodKey)
	if err != nil {
		f.Fatal(err)
	}
	good := ring.NewRefresh("A2B3", 7)
	for _, seed := range []string{good.String(), "", ".", "A2B3.", good.String() + "=", good.String() + "\n",
		strings.ToLower(good.String()), "A2B3.AAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, ok := parseRefresh(text)
		if !ok {
			return
		}
		if token.String() != text {
			t.Errorf("%q reads as %q", text, token)
		}
		_, err := ring.ParseRefresh(text)
		if err == nil && (token.Count != good.Count || token.SessionID != good.SessionID) {
			t.Errorf("a guess passed: %q", text)
		}
	})
}

func TestRefreshTokensOfOneRing(t *testing.T) {
	t.Parallel()
	for _, algorithm := range algorithms {
		ring, other := ringOf(t, newText(t, algorithm), goodKey), ringOf(t, newText(t, algorithm))
		t.Run(algorithm, func(t *testing.T) { wantRefreshTokensOf(t, ring, other) })
	}
}

func wantRefreshTokensOf(t *testing.T, ring, other KeyRing) {
	t.Helper()
	token := ring.NewRefresh("S", 1)
	if parsed, err := ring.ParseRefresh(token.String()); err != nil || parsed.String() != token.String() {
		t.Errorf("%v, %v", parsed, err)
	}
	if _, err := other.ParseRefresh(token.String()); !errors.Is(err, ErrNotRefresh) {
		t.Errorf("another ring: %v", err)
	}
	if ring.NewRefresh("S", 2).String() == token.String() ||
		ring.NewRefresh("T", 1).String() == token.String() {
		t.Error("two tokens are the same")
	}
	if same, ok := ring.FindRefresh("S", 1, HashRefresh(token.String())); !ok || same != token.String() {
		t.Error("the ring does not find its token")
	}
	if _, ok := other.FindRefresh("S", 1, HashRefresh(token.String())); ok {
		t.Error("another ring found it")
	}
}

// TestDerivedKeysAreThoseOfTheKey: they depend on the key, and not on the form of its text or its place. So a
// change of keys ends no session, and events know the same key again.
func TestDerivedKeysAreThoseOfTheKey(t *testing.T) {
	t.Parallel()
	for _, algorithm := range algorithms {
		text := newText(t, algorithm)
		ring := ringOf(t, text)
		moved := ringOf(t, newText(t, ES256), strings.ReplaceAll(text, "\n", "\r\n"))
		if _, err := moved.ParseRefresh(ring.NewRefresh("S", 1).String()); err != nil {
			t.Errorf("%s: the refresh token is refused: %v", algorithm, err)
		}
		if ring.Fingerprints()[0] != moved.Fingerprints()[1] {
			t.Errorf("%s: another fingerprint", algorithm)
		}
		if ring.Pseudonym("x") == "" || ring.Pseudonym("x") == moved.Pseudonym("x") {
			t.Errorf("%s: the pseudonym is not that of the key that signs", algorithm)
		}
		next := ringOf(t, text, goodKey)
		if ring.Pseudonym("x") != next.Pseudonym("x") {
			t.Errorf("%s: the same key has two pseudonyms", algorithm)
		}
	}
}
