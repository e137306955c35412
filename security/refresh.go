package security

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"strings"
	"time"
)

// refreshGrace is how long a client may use the previous refresh token again: its answer was lost, or two of its
// windows refreshed at once.
const refreshGrace = 10 * time.Second

// refreshToken is "<session id>.<secret>". The secret is the number of the refresh that made it and an HMAC of both
// under a key of the ring: a retry gets the same successor, and an old token of ours is told from a guess, with
// nothing but a count and a hash in the database.
type refreshToken struct {
	sessionID string
	count     int64
	mac       []byte
}

const (
	countSize   = 8
	maxRefresh  = 256 // the most bytes that are looked at
	maxSequence = 1 << 53
)

func (t refreshToken) String() string {
	secret := binary.BigEndian.AppendUint64(nil, uint64(t.count)) //nolint:gosec // G115: never negative
	return t.sessionID + "." + base64.RawURLEncoding.EncodeToString(append(secret, t.mac...))
}

// parseRefreshToken accepts exactly the texts that String makes; nothing in them is proven.
func parseRefreshToken(text string) (refreshToken, bool) {
	id, secret, ok := strings.Cut(text, ".")
	if !ok || id == "" || len(text) > maxRefresh {
		return refreshToken{}, false
	}
	raw, err := decodeSegment(secret)
	if err != nil || len(raw) != countSize+sha256.Size {
		return refreshToken{}, false
	}
	count := binary.BigEndian.Uint64(raw[:countSize])
	if count >= maxSequence {
		return refreshToken{}, false
	}
	return refreshToken{sessionID: id, count: int64(count), mac: raw[countSize:]}, true
}

// hashRefresh is what the database keeps: with 256 bits of secret a plain hash cannot be reversed by trying.
func hashRefresh(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func sameHash(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// refreshToken returns the token of this session and count under the signing key.
func (r KeyRing) refreshToken(sessionID string, count int64) refreshToken {
	return makeRefresh(r.refresh[0], sessionID, count)
}

func makeRefresh(key []byte, sessionID string, count int64) refreshToken {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(count))) //nolint:gosec // G115: never negative
	mac.Write([]byte(sessionID))
	return refreshToken{sessionID: sessionID, count: count, mac: mac.Sum(nil)}
}

// made reports whether a key of the ring made the token.
func (r KeyRing) made(t refreshToken) bool {
	for _, key := range r.refresh {
		if hmac.Equal(makeRefresh(key, t.sessionID, t.count).mac, t.mac) {
			return true
		}
	}
	return false
}

// remake returns the token of this session and count whose hash is kept, whichever key made it.
func (r KeyRing) remake(sessionID string, count int64, hash string) (string, bool) {
	for _, key := range r.refresh {
		text := makeRefresh(key, sessionID, count).String()
		if sameHash(hashRefresh(text), hash) {
			return text, true
		}
	}
	return "", false
}
