package token

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// knownPersonal was made once, so that a change of the format fails. Its checksum was computed with Python:
// zlib.crc32 of all before it, in base 62 with the digits 0-9A-Za-z.
const (
	knownPersonal = "sherpa_pat_0123456789ABCDEF_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg"
	knownChecksum = "04jd3z"
	knownHash     = "HN4vtfGqpY_2-JinNk8xKW6LF4JXhQ1foaprFEIsSRQ"
)

func TestPersonalTokenOfAKnownText(t *testing.T) {
	t.Parallel()
	const whole = knownPersonal + knownChecksum
	p, err := ParsePersonal(whole)
	if err != nil || p.ID != "0123456789ABCDEF" || p.Text() != whole {
		t.Errorf("%v, %v", p, err)
	}
	if want := knownHash; p.Hash() != want {
		t.Errorf("hash %s, want %s", p.Hash(), want)
	}
}

func TestNewPersonalTokens(t *testing.T) {
	t.Parallel()
	// The expression is in docs/tokens.md, for scanners.
	form := regexp.MustCompile(`^sherpa_pat_[0-9A-Za-z]{16}_[0-9A-Za-z]{49}$`)
	seen := map[string]bool{}
	for range 1000 {
		p := NewPersonal()
		again, err := ParsePersonal(p.Text())
		if err != nil || again != p || !form.MatchString(p.Text()) || !IsPersonal(p.Text()) {
			t.Fatalf("%s: %v", p.Text(), err)
		}
		if seen[p.ID] || seen[p.Hash()] {
			t.Fatal("the same twice")
		}
		seen[p.ID], seen[p.Hash()] = true, true
	}
}

// TestPersonalTokensUseTheirAlphabetEvenly: a byte taken modulo 62 would favour the first eight characters by
// a quarter.
func TestPersonalTokensUseTheirAlphabetEvenly(t *testing.T) {
	t.Parallel()
	const each = 10_000
	counts := map[rune]int{}
	for _, c := range randomText(each * len(personalAlphabet)) {
		counts[c]++
	}
	for _, c := range personalAlphabet {
		if n := counts[c]; n < each*93/100 || n > each*107/100 { // seven standard deviations
			t.Errorf("%c: %d of about %d", c, n, each)
		}
	}
}

func TestPersonalTokensThatAreNone(t *testing.T) {
	t.Parallel()
	good := NewPersonal().Text()
	flip := func(i int) string {
		c := byte('0')
		if good[i] == c {
			c = '1'
		}
		return good[:i] + string(c) + good[i+1:]
	}
	tests := []struct{ name, text, wrong string }{
		{"empty", "", "begins with sherpa_pat_"},
		{"prefix alone", PersonalPrefix, "begins with sherpa_pat_"},
		{"other prefix", "SHERPA" + good[6:], "begins with sherpa_pat_"},
		{"cut off", good[:len(good)-1], "has 77 characters"},
		{"one more", good + "0", "has 77 characters"},
		{"line end", good[:len(good)-1] + "\n", "the form"},
		{"no separator", strings.Replace(good, "_", "0", 3)[:len(good)], "begins with"},
		{"separator elsewhere", good[:27] + "0" + good[28:], "the form"},
		{"not ASCII", good[:40] + "é" + good[42:], "the form"},
		{"typo in the id", flip(15), "checksum"},
		{"typo in the secret", flip(40), "checksum"},
		{"typo in the checksum", flip(len(good) - 1), "checksum"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParsePersonal(tt.text)
			var invalid *InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(invalid.Reason, tt.wrong) {
				t.Errorf("got %v, want %q", err, tt.wrong)
			}
		})
	}
}

func TestPersonalTokenMatchesItsHashAlone(t *testing.T) {
	t.Parallel()
	p := NewPersonal()
	for _, hash := range []string{"", "A", NewPersonal().Hash(), p.Hash()[:42], strings.ToLower(p.Hash())} {
		if p.Matches(hash) {
			t.Errorf("it matches %q", hash)
		}
	}
	if !p.Matches(p.Hash()) {
		t.Error("it does not match its own hash")
	}
}

func TestPersonalTokenHidesItsSecret(t *testing.T) {
	t.Parallel()
	p := NewPersonal()
	secret := p.Text()[28:40]
	within := struct{ Token Personal }{p}
	text := fmt.Sprintf("%v %+v %#v %s %v %+v %#v", p, p, p, p, within, within, within)
	if strings.Contains(text, secret) {
		t.Errorf("printing shows the secret: %s", text)
	}
}

func FuzzPersonalToken(f *testing.F) {
	good := NewPersonal().Text()
	for _, seed := range []string{good, "", PersonalPrefix, good[:70], good + "0", strings.ToLower(good),
		good[:27] + "_" + good[27:], knownPersonal + knownChecksum} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePersonal(text)
		var invalid *InvalidError
		if err != nil {
			if !errors.As(err, &invalid) || strings.Contains(invalid.Reason, text) && len(text) > 20 {
				t.Errorf("%q: %v", text, err)
			}
			return
		}
		if p.Text() != text || !IsPersonal(text) || checksum(text[:len(text)-6]) != text[len(text)-6:] {
			t.Errorf("%q reads as %q", text, p.Text())
		}
	})
}
