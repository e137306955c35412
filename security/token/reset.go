package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// Reset is the token of a password reset: "sherpa_reset_<id>_<secret>". People and scanners of leaked secrets
// recognise its beginning. The secret has 260 bits, and is in the token alone.
type Reset struct {
	ID     string
	secret string
}

const (
	resetPrefix  = "sherpa_reset_"
	textSize     = 26 // of crypto/rand.Text, 130 bits
	resetSecret  = 2 * textSize
	textAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" // base32, RFC 4648
)

// NewReset returns a new token.
func NewReset() Reset { return Reset{ID: rand.Text(), secret: rand.Text() + rand.Text()} }

// String returns the text that the user gets, once.
func (r Reset) String() string { return resetPrefix + r.ID + "_" + r.secret }

// Hash returns what the database keeps of the token. A secret of this size needs no slow hash.
func (r Reset) Hash() string {
	sum := sha256.Sum256([]byte(r.String()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseReset accepts exactly the texts that String writes. Nothing in them is proven.
func ParseReset(text string) (Reset, bool) {
	rest, ok := strings.CutPrefix(text, resetPrefix)
	if !ok {
		return Reset{}, false
	}
	id, secret, _ := strings.Cut(rest, "_")
	if !isRandomText(id, textSize) || !isRandomText(secret, resetSecret) {
		return Reset{}, false
	}
	return Reset{id, secret}, true
}

func isRandomText(text string, size int) bool {
	return len(text) == size && strings.Trim(text, textAlphabet) == ""
}
