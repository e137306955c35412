// Package token makes and checks the texts that clients hold: access tokens (JSON Web Tokens) and refresh
// tokens.
//
// It knows keys, formats and claims. It knows nothing of users, databases or HTTP. Its errors are plain;
// package security gives them codes. gin-jwt writes the access tokens of a secret; this package writes those
// of a private key, and reads all of them.
package token

import (
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// KeyRing holds the signing keys: the first signs, all verify. To change the key without logging anyone out,
// put the new one in front, and keep the old one until its last token has expired. The two may be of
// different kinds.
type KeyRing struct {
	keys      []key
	pseudonym []byte // derived from the key that signs
	publicSet []byte
}

// ParseKeyRing reads secrets, separated by commas or line ends, and private keys in PEM form (RFC 7468), in
// any order. It refuses a key that others may know or guess, because whoever has the key can be anyone. It
// reports every bad key; no error repeats any part of a key.
func ParseKeyRing(text string) (KeyRing, error) {
	var ring KeyRing
	var errs []error
	for i, part := range split(text) {
		key, err := parseKey(part)
		if err != nil {
			errs = append(errs, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		key.Number = i + 1
		ring.keys = append(ring.keys, key)
	}
	if len(errs) > 0 {
		return KeyRing{}, errors.Join(errs...)
	}
	if len(ring.keys) == 0 {
		return KeyRing{}, errors.New("there is no key; make one with: sherpa key new")
	}
	return ring, ring.derive()
}

// split cuts the text into keys. A secret ends at a comma or at the end of its line.
func split(text string) (parts []string) {
	between := func(r rune) bool { return r == ',' || unicode.IsSpace(r) }
	for {
		text = strings.TrimLeftFunc(text, between)
		if text == "" {
			return parts
		}
		end := strings.IndexAny(text, ",\n\r")
		if strings.HasPrefix(text, pemBegin) {
			end = pemLength(text)
		}
		if end < 0 {
			end = len(text)
		}
		parts = append(parts, strings.TrimSpace(text[:end]))
		text = text[end:]
	}
}

func (r *KeyRing) derive() (err error) {
	if r.publicSet, err = publicSet(r.keys); err != nil {
		return err
	}
	r.pseudonym, err = deriveKey(r.keys[0].raw, "sherpa pseudonym")
	return err
}

// deriveKey returns the key for one purpose, so that no key serves two (HKDF, RFC 5869).
func deriveKey(key []byte, purpose string) ([]byte, error) {
	derived, err := hkdf.Key(sha256.New, key, nil, purpose, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive key: %w", err)
	}
	return derived, nil
}

// Empty reports whether the ring has no key. Such a ring verifies nothing and must not sign.
func (r KeyRing) Empty() bool { return len(r.keys) == 0 }

// Secret returns the secret that signs, or false when a private key does.
func (r KeyRing) Secret() ([]byte, bool) {
	if r.Empty() || r.keys[0].Algorithm != HS256 {
		return nil, false
	}
	return r.keys[0].raw, true
}

// Names returns what may be said of the keys.
func (r KeyRing) Names() (names []KeyName) {
	for _, key := range r.keys {
		names = append(names, key.KeyName)
	}
	return names
}

// String hides the keys from logs and error messages.
func (r KeyRing) String() string { return fmt.Sprintf("%d signing keys", len(r.keys)) }

// GoString hides the keys from %#v.
func (r KeyRing) GoString() string { return r.String() }
