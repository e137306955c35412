package token

import (
	"crypto/rand"
	"hash/crc32"
	"strings"
)

// PersonalPrefix begins every personal access token, so that scanners for secrets find one that leaked.
const PersonalPrefix = "sherpa_pat_"

const (
	personalAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	personalID       = 16 // characters: 95 bits, so that nobody guesses which exist
	personalSecret   = 43 // characters: 256 bits, so that guessing needs no throttle and the hash no salt
	personalChecksum = 6  // characters: the 32 bits of a CRC
	personalLength   = len(PersonalPrefix) + personalID + 1 + personalSecret + personalChecksum
)

// Personal is a personal access token: "sherpa_pat_<id>_<secret><checksum>". Nothing in it is proven before
// Matches.
type Personal struct {
	ID   string // public
	text string
}

// NewPersonal returns a fresh token.
func NewPersonal() Personal {
	id := randomText(personalID)
	text := PersonalPrefix + id + "_" + randomText(personalSecret)
	return Personal{ID: id, text: text + checksum(text)}
}

// IsPersonal reports whether the text is meant as a personal access token.
func IsPersonal(text string) bool { return strings.HasPrefix(text, PersonalPrefix) }

// ParsePersonal accepts exactly the texts that NewPersonal could have made. The checksum tells a typo, or a
// token that was cut off, from a token that does not exist. The error is *InvalidError.
func ParsePersonal(text string) (Personal, error) {
	rest, found := strings.CutPrefix(text, PersonalPrefix)
	if !found || len(text) != personalLength {
		return Personal{}, invalid("a personal access token begins with %s and has %d characters",
			PersonalPrefix, personalLength)
	}
	id, secret := rest[:personalID], rest[personalID+1:]
	if rest[personalID] != '_' || !isBase62(id) || !isBase62(secret) {
		return Personal{}, invalid("it does not have the form of a personal access token")
	}
	body := text[:personalLength-personalChecksum]
	if checksum(body) != text[len(body):] {
		return Personal{}, invalid("its checksum is wrong: there is a typo in it, or somebody made it up")
	}
	return Personal{ID: id, text: text}, nil
}

// Text returns the whole token. It is for its owner, once.
func (p Personal) Text() string { return p.text }

// String hides the secret from logs and error messages.
func (p Personal) String() string { return "personal access token " + p.ID }

// GoString hides the secret from %#v.
func (p Personal) GoString() string { return p.String() }

// Hash returns what the database keeps: the SHA-256 of the text.
func (p Personal) Hash() string { return hashText(p.text) }

// Matches reports whether this is the token with the hash, in a time that tells nothing about the secret. No
// token has the hash "".
func (p Personal) Matches(hash string) bool { return SameHash(p.Hash(), hash) }

// randomText returns letters and digits, all equally likely.
func randomText(length int) string {
	const fair = 256 - 256%len(personalAlphabet) // bytes from here on would favour some
	text := make([]byte, 0, length)
	raw := make([]byte, length)
	for len(text) < length {
		_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
		for _, b := range raw {
			if int(b) < fair && len(text) < length {
				text = append(text, personalAlphabet[int(b)%len(personalAlphabet)])
			}
		}
	}
	return string(text)
}

// checksum is the CRC-32 (IEEE 802.3) of the text in base 62, as that of GitHub's tokens. Whoever finds a
// text of this form can tell without a network whether it may be a token.
func checksum(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	digits := make([]byte, personalChecksum)
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = personalAlphabet[sum%uint32(len(personalAlphabet))]
		sum /= uint32(len(personalAlphabet))
	}
	return string(digits)
}

func isBase62(text string) bool {
	for i := range len(text) {
		c := text[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}
