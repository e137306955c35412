// Package token makes and checks the texts that clients hold: access tokens (JSON Web Tokens) and refresh
// tokens.
//
// It knows keys, formats and claims. It knows nothing of users, databases or HTTP. Its errors are plain;
// package security gives them codes. gin-jwt writes the access tokens that this package reads.
package token

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// minKey is the least size of a key for HS256 in bytes (RFC 7518, section 3.2).
const minKey = 32

// minKeyVariety is how many different bytes a key must have. 32 random base64 characters have fewer than 10
// about once in 10^13 draws.
const minKeyVariety = 10

// KeyRing holds the signing keys: the first signs, all verify. To change the key without logging anyone out,
// put the new one in front, and keep the old one until its last token has expired.
type KeyRing struct {
	keys      [][]byte
	refresh   [][]byte // derived from keys, so that no key serves two purposes
	pseudonym []byte   // derived from the key that signs
}

// NewKey returns a fresh secret of 256 random bits, as 43 characters that survive a shell, a file and a
// header.
func NewKey() string {
	raw := make([]byte, minKey)
	_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(raw)
}

// ParseKeyRing reads keys separated by commas or line ends. It refuses a missing, short, repetitive or sample
// key, because whoever guesses the key can be anyone. It reports every bad key; no error repeats any part of
// a key.
func ParseKeyRing(text string) (KeyRing, error) {
	var ring KeyRing
	var errs []error
	separates := func(r rune) bool { return strings.ContainsRune(",\n\r", r) }
	for _, part := range strings.FieldsFunc(text, separates) {
		key := strings.TrimSpace(part)
		if key == "" {
			continue
		}
		ring.keys = append(ring.keys, []byte(key))
		if err := checkKey(key); err != nil {
			errs = append(errs, fmt.Errorf("key %d: %w", len(ring.keys), err))
		}
	}
	if len(ring.keys) == 0 {
		return KeyRing{}, errors.New("there is no key; make one with: sherpa key new")
	}
	if len(errs) > 0 {
		return KeyRing{}, errors.Join(errs...)
	}
	return ring, ring.derive()
}

// derive makes the keys for refresh tokens and pseudonyms.
func (r *KeyRing) derive() (err error) {
	for _, key := range r.keys {
		derived, err := deriveKey(key, "sherpa refresh token")
		if err != nil {
			return err
		}
		r.refresh = append(r.refresh, derived)
	}
	r.pseudonym, err = deriveKey(r.keys[0], "sherpa pseudonym")
	return err
}

// deriveKey returns the key for one purpose (HKDF, RFC 5869).
func deriveKey(key []byte, purpose string) ([]byte, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return derived, nil
}

func checkKey(key string) error {
	switch {
	case len(key) < minKey:
		return fmt.Errorf("has %d bytes and needs %d or more; make one with: sherpa key new",
			len(key), minKey)
	case isSample(key):
		return errors.New("looks like a sample, which everybody knows; make one with: sherpa key new")
	case variety(key) < minKeyVariety:
		return errors.New("repeats too few characters; make one with: sherpa key new")
	}
	return nil
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

func variety(key string) int {
	sorted := []byte(key)
	slices.Sort(sorted)
	return len(slices.Compact(sorted))
}

// Empty reports whether the ring has no key. Such a ring verifies nothing and must not sign.
func (r KeyRing) Empty() bool { return len(r.keys) == 0 }

// Signing returns the key that signs.
func (r KeyRing) Signing() []byte { return r.keys[0] }

// signed reports whether a key of the ring made this HMAC-SHA256 of message.
func (r KeyRing) signed(message string, sum []byte) bool {
	for _, key := range r.keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(message))
		if hmac.Equal(mac.Sum(nil), sum) {
			return true
		}
	}
	return false
}

// String hides the keys from logs and error messages.
func (r KeyRing) String() string { return fmt.Sprintf("%d signing keys", len(r.keys)) }

// GoString hides the keys from %#v.
func (r KeyRing) GoString() string { return r.String() }
