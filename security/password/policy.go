package password

import (
	_ "embed"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/secure/precis"
)

// The bounds of a password in code points. DefaultMinLength is that of NIST SP 800-63B-4, section 3.1.1.2,
// for a password that is the only factor.
const (
	DefaultMinLength = 15
	MinLengthFloor   = 8
	MaxLength        = 128

	minDistinct  = 5 // characters that differ
	minSurprises = 6 // characters that do not follow from the one before
	minUnrelated = 8 // characters that remain without the username and the words of this service
)

// commonPasswords has one password a line, in lower case, sorted.
//
//go:embed common-passwords.txt
var commonPasswords string

// Policy decides which new passwords are good enough. It has no composition rules.
type Policy struct {
	MinLength int      // code points
	Words     []string // words of the service, such as its name, that make a password easy to guess
}

// RejectedError says why a new password is not good enough. Reason is safe to show.
type RejectedError struct{ Reason string }

func (e *RejectedError) Error() string { return e.Reason }

func reject(format string, args ...any) error { return &RejectedError{fmt.Sprintf(format, args...)} }

// Check returns a *RejectedError when the password is not good enough for this user, else nil.
func (p Policy) Check(username, password string) error {
	normal, err := Normalize(password)
	if err != nil {
		return err
	}
	if n := utf8.RuneCountInString(normal); n < p.MinLength {
		return reject("a password needs at least %d characters; this one has %d", p.MinLength, n)
	}
	folded := strings.ToLower(normal)
	related := append([]string{username}, p.Words...)
	switch {
	case surprises(folded) < minSurprises:
		return reject("this password is little more than a sequence or a row of keys")
	case distinct(folded) < minDistinct:
		return reject("a password needs at least %d different characters", minDistinct)
	case isCommon(folded):
		return reject("this password is one of the most used ones, which attackers try first")
	case utf8.RuneCountInString(without(folded, related...)) < minUnrelated:
		return reject("this password is little more than the username or the service's name")
	}
	return nil
}

// Normalize applies the PRECIS profile OpaqueString (RFC 8265, section 4.2): a password typed on another
// keyboard or system gives the same bytes. It also applies MaxLength, which keeps hashing cheap. The error is
// a *RejectedError.
func Normalize(password string) (string, error) {
	if utf8.RuneCountInString(password) > MaxLength {
		return "", reject("a password has at most %d characters", MaxLength)
	}
	normal, err := precis.OpaqueString.String(password)
	if err != nil {
		return "", reject("a password is not empty and has no control characters")
	}
	return normal, nil
}

// isCommon also finds a common password that is repeated or has digits and marks after it, and a short piece
// that is repeated.
func isCommon(folded string) bool {
	core := strings.TrimRightFunc(folded, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, candidate := range []string{folded, period(folded), core, period(core)} {
		if strings.Contains(commonPasswords, "\n"+candidate+"\n") {
			return true
		}
	}
	return len(period(core)) < MinLengthFloor && len(period(core)) < len(core)
}

// surprises counts the characters that neither repeat the one before nor follow it in the alphabet, among the
// digits or on a keyboard.
func surprises(folded string) int {
	const rows = "abcdefghijklmnopqrstuvwxyz 01234567890 qwertyuiop asdfghjkl zxcvbnm"
	n := 0
	var before rune
	for _, r := range folded {
		pair, reverse := string([]rune{before, r}), string([]rune{r, before})
		neighbours := strings.Contains(rows, pair) || strings.Contains(rows, reverse)
		if r != before && (r == ' ' || before == ' ' || !neighbours) {
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
