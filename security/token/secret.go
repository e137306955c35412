package token

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// minKey is the least size of a secret for HS256 in bytes (RFC 7518, section 3.2).
const minKey = 32

// minKeyVariety is how many different bytes a key must have. 32 random base64 characters have fewer than 10
// about once in 10^13 draws.
const minKeyVariety = 10

var (
	errSample = errors.New("looks like a sample, which everybody knows; make one with: sherpa key new")
	errDull   = errors.New("repeats too few characters; make one with: sherpa key new")
)

// NewSecret returns a fresh secret of 256 random bits, as 43 characters that survive a shell, a file and a
// header.
func NewSecret() string {
	raw := make([]byte, minKey)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw)
}

func checkSecret(text string) error {
	switch {
	case isPieceOfKey(text):
		return errors.New("is a piece of a key in PEM form, or of a public key; " +
			"a private key begins with a line BEGIN PRIVATE KEY")
	case len(text) < minKey:
		return fmt.Errorf("has %d bytes and needs %d or more; make one with: sherpa key new",
			len(text), minKey)
	case isSample(text):
		return errSample
	case variety([]byte(text)) < minKeyVariety:
		return errDull
	}
	return nil
}

// isPieceOfKey knows what is left of a key in PEM form when its first line was damaged, and a public key
// without its lines. As a secret, everybody could know it.
func isPieceOfKey(text string) bool {
	beginnings := []string{
		"MIGHAgEAMBMGByqGSM49", "MC4CAQAwBQYDK2Vw", // PKCS #8: P-256, Ed25519
		"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD", "MCowBQYDK2Vw", // the same, public
	}
	return strings.Contains(text, "-----") ||
		slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(text, b) })
}

// isSample knows the words of the keys in tutorials and templates.
func isSample(key string) bool {
	words := []string{
		"changeme", "replaceme", "yoursecret", "supersecret", "topsecret", "secretkey", "mysecret", "example",
		"sherpasecret", "sherpakey", "password", "placeholder", "insecure", "notasecret", "stringsecret",
		"bitsecret", "pleasechange", "changethis", "changeit", "09d25e094faa6ca2556c", "404e635266556a586e32",
		"0123456789", "abcdefgh",
	}
	plain := strings.NewReplacer("-", "", "_", "", " ", "", ".", "").Replace(strings.ToLower(key))
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(plain, w) })
}

func variety(key []byte) int {
	sorted := slices.Sorted(slices.Values(key))
	return len(slices.Compact(sorted))
}
