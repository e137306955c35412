package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
)

// ErrNotRefresh says that a text is not a refresh token that a key of the ring signed.
var ErrNotRefresh = errors.New("not a refresh token of this service")

// Refresh is a refresh token: "<session id>.<secret>". The secret is the count of the refresh that made it,
// and an HMAC of session id and count under a key of the ring. So a retry gets the same successor, and an old
// token of ours differs from a guess, while the database keeps only a count and a hash.
type Refresh struct {
	SessionID string
	Count     int64 // how often the session had been refreshed when the token was made
	mac       []byte
}

const (
	countSize        = 8
	maxRefreshLength = 256 // bytes
	maxCount         = 1 << 53
)

// String returns the text that the client keeps.
func (t Refresh) String() string {
	secret := binary.BigEndian.AppendUint64(nil, uint64(t.Count)) //nolint:gosec // G115: never negative
	return t.SessionID + "." + base64.RawURLEncoding.EncodeToString(append(secret, t.mac...))
}

// NewRefresh returns the refresh token of this session and count under the signing key.
func (r KeyRing) NewRefresh(sessionID string, count int64) Refresh {
	return newRefresh(r.keys[0].refresh, sessionID, count)
}

func newRefresh(key []byte, sessionID string, count int64) Refresh {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(count))) //nolint:gosec // G115: never negative
	mac.Write([]byte(sessionID))
	return Refresh{SessionID: sessionID, Count: count, mac: mac.Sum(nil)}
}

// ParseRefresh reads a refresh token that a key of the ring signed, or returns ErrNotRefresh. A token of a
// removed key is rejected, because somebody else may have that key.
func (r KeyRing) ParseRefresh(text string) (Refresh, error) {
	t, ok := parseRefresh(text)
	if !ok {
		return Refresh{}, ErrNotRefresh
	}
	for _, key := range r.keys {
		if hmac.Equal(newRefresh(key.refresh, t.SessionID, t.Count).mac, t.mac) {
			return t, nil
		}
	}
	return Refresh{}, ErrNotRefresh
}

// parseRefresh accepts exactly the texts that String writes. Nothing in them is proven.
func parseRefresh(text string) (Refresh, bool) {
	id, secret, ok := strings.Cut(text, ".")
	if !ok || id == "" || len(text) > maxRefreshLength {
		return Refresh{}, false
	}
	raw, err := decodeSegment(secret)
	if err != nil || len(raw) != countSize+sha256.Size {
		return Refresh{}, false
	}
	count := binary.BigEndian.Uint64(raw[:countSize])
	if count >= maxCount {
		return Refresh{}, false
	}
	return Refresh{SessionID: id, Count: int64(count), mac: raw[countSize:]}, true
}

// FindRefresh returns the refresh token of this session and count that has the hash, whichever key signed it.
func (r KeyRing) FindRefresh(sessionID string, count int64, hash string) (string, bool) {
	for _, key := range r.keys {
		text := newRefresh(key.refresh, sessionID, count).String()
		if SameHash(HashRefresh(text), hash) {
			return text, true
		}
	}
	return "", false
}

// HashRefresh returns what the database keeps of a refresh token. A secret of 256 bits needs no slow hash.
func HashRefresh(text string) string { return hashText(text) }

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// SameHash compares two hashes in constant time.
func SameHash(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
