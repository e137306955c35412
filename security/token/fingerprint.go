package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
)

// shortSum is how many bytes of a sum are enough to tell keys or names apart.
const shortSum = 12

// Fingerprints returns a text for each key that tells whether it is the same as another one. A key cannot be
// guessed from it, because a key has 256 bits.
func (r KeyRing) Fingerprints() []string {
	var all []string
	for _, key := range r.keys {
		sum := sha256.Sum256(append([]byte("sherpa key fingerprint\x00"), key.raw...))
		all = append(all, hex.EncodeToString(sum[:shortSum]))
	}
	return all
}

// Pseudonym stands for a text that must not be kept, such as a password in the field of the username. It is
// an HMAC under a key that is derived from the one that signs: without the ring nobody can try guesses. After
// a change of that key the same text gets another pseudonym, and when the key is gone the old ones are for
// ever mute. A ring without keys has none.
func (r KeyRing) Pseudonym(text string) string {
	if r.Empty() {
		return ""
	}
	mac := hmac.New(sha256.New, r.pseudonym)
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil)[:shortSum])
}
