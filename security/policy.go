package security

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// The bounds of a password, in code points. DefaultMinPassword is NIST SP 800-63B-4, section 3.1.1.2, for a
// password that is the only factor.
const (
	DefaultMinPassword = 15
	LeastMinPassword   = 8
	MaxPassword        = 128

	leastDistinct  = 5 // characters that differ
	leastSurprises = 6 // characters that do not follow from the one before
	leastUnrelated = 8 // characters beside the username and the service's name
	serviceName    = "sherpa"
)

// commonPasswords has one password a line, in lower case, sorted.
//
//go:embed common-passwords.txt
var commonPasswords string

// PasswordPolicy decides which new passwords are good enough. There are no composition rules.
type PasswordPolicy struct {
	MinLength int // code points
}

// Check returns why the password is refused for this user, or nil. The reason is safe to show.
func (p PasswordPolicy) Check(username, password string) error {
	normal, err := normalizePassword(password)
	if err != nil {
		return err
	}
	if n := utf8.RuneCountInString(normal); n < p.MinLength {
		return fmt.Errorf("a password needs at least %d characters; this one has %d", p.MinLength, n)
	}
	folded := strings.ToLower(normal)
	switch {
	case surprises(folded) < leastSurprises:
		return fmt.Errorf("this password is little more than a sequence or a row of keys")
	case distinct(folded) < leastDistinct:
		return fmt.Errorf("a password needs at least %d different characters", leastDistinct)
	case isCommon(folded):
		return fmt.Errorf("this password is among the most used ones, and the first to be tried")
	case utf8.RuneCountInString(without(folded, username, serviceName, DemoPassword)) < leastUnrelated:
		return fmt.Errorf("this password is little more than the username or the service's name")
	}
	return nil
}

// normalizePassword applies the PRECIS profile OpaqueString (RFC 8265, section 4.2), so that a password typed on
// another keyboard or system gives the same bytes, and the upper bound, which keeps hashing cheap.
func normalizePassword(password string) (string, error) {
	if utf8.RuneCountInString(password) > MaxPassword {
		return "", fmt.Errorf("a password has at most %d characters", MaxPassword)
	}
	normal, err := precis.OpaqueString.String(password)
	if err != nil {
		return "", fmt.Errorf("a password is not empty and has no control characters")
	}
	return normal, nil
}

// isCommon also sees a common password that is written several times over, or has digits and marks behind it, and a
// short piece written several times over.
func isCommon(folded string) bool {
	core := strings.TrimRightFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, candidate := range []string{folded, period(folded), core, period(core)} {
		if strings.Contains(commonPasswords, "\n"+candidate+"\n") {
			return true
		}
	}
	return len(period(core)) < LeastMinPassword && len(period(core)) < len(core)
}

// surprises counts the characters that are neither the one before again nor its neighbour in the alphabet, among the
// digits or on a keyboard.
func surprises(folded string) int {
	const rows = "abcdefghijklmnopqrstuvwxyz 01234567890 qwertyuiop asdfghjkl zxcvbnm"
	n := 0
	var before rune
	for _, r := range folded {
		pair, reverse := string([]rune{before, r}), string([]rune{r, before})
		if r != before && (r == ' ' || before == ' ' || !strings.Contains(rows, pair) && !strings.Contains(rows, reverse)) {
			n++
		}
		before = r
	}
	return n
}

// period returns the shortest piece that s repeats.
func period(s string) string {
	if s == "" {
		return ""
	}
	n := strings.Index((s + s)[1:], s) + 1
	return s[:n]
}

func distinct(s string) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}

func without(s string, words ...string) string {
	for _, w := range words {
		s = strings.ReplaceAll(s, w, "")
	}
	return s
}
