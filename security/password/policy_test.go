package password

import (
	"errors"
	"strings"
	"testing"
)

func TestPolicy(t *testing.T) {
	t.Parallel()
	words := []string{"sherpa", "everest"}
	strict := Policy{MinLength: DefaultMinLength, Words: words}
	mild := Policy{MinLength: MinLengthFloor, Words: words}
	tests := []struct {
		name, username, password string
		policy                   Policy
		wrong                    string
	}{
		{"14 characters", "ada", "vq8 zr2 mb5 kw", strict, "at least 15"},
		{"15 characters", "ada", "vq8 zr2 mb5 kw7", strict, ""},
		{"15 code points of 4 bytes", "ada", "🏔⛰🗻🌋🏕🏞🧗🥾🎒🧭🗺⛺🌄🌅❄", strict, ""},
		{"64 characters", "ada", strings.Repeat("vq8 zr2 ", 8)[:64], strict, ""},
		{"128 characters", "ada", strings.Repeat("vq8 zr2mb5", 13)[:128], strict, ""},
		{"129 characters", "ada", strings.Repeat("vq8 zr2mb5", 13)[:129], strict, "at most 128"},
		{"a MiB", "ada", strings.Repeat("v", 1<<20), strict, "at most 128"},
		{"only letters are fine", "ada", "correcthorsebatterystaple", strict, ""},
		{"empty", "ada", "", strict, "not empty"},
		{"control character", "ada", "vq8 zr2 mb5 kw7\x00", strict, "no control characters"},
		{"one character", "ada", strings.Repeat("a", 20), strict, "sequence"},
		{"four characters", "ada", strings.Repeat("avzk", 5), strict, "5 different"},
		{"digits in order", "ada", "123456789012345", strict, "sequence"},
		{"alphabet", "ada", "abcdefghijklmno", strict, "sequence"},
		{"rows of keys", "ada", "qwertyuiopasdfg", strict, "sequence"},
		{"common and digits", "ada", "password1234567", strict, "most used"},
		{"common twice and a digit", "ada", "passwordpassword1", strict, "most used"},
		{"short piece twice and digits", "ada", "letmeinletmein12", strict, "most used"},
		{"the service and the demo password", "ada", "sherpa-everest-1", strict, "service's name"},
		{"common, long", "ada", "polniypizdec110211", strict, "most used"},
		{"common, in capitals", "ada", "POLNIYPIZDEC110211", strict, "most used"},
		{"common, short", "ada", "sunshine", mild, "most used"},
		{"common, twice", "ada", "sunshinesunshine", strict, "most used"},
		{"the username", "adalovelace1815", "AdaLovelace1815", strict, "username"},
		{"the username and more", "adalovelace1815", "adalovelace1815!1", strict, "username"},
		{"the service's name", "ada", "sherpa-sherpa-xkq", strict, "service's name"},
		{"8 characters where allowed", "ada", "vq8zr2mb", mild, ""},
		{"7 characters", "ada", "vq8zr2m", mild, "at least 8"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.policy.Check(tt.username, tt.password)
			var rejected *RejectedError
			if (tt.wrong == "") != (err == nil) ||
				err != nil && (!errors.As(err, &rejected) || !strings.Contains(rejected.Reason, tt.wrong)) {
				t.Errorf("got %v, want %q", err, tt.wrong)
			}
		})
	}
}

func TestCommonPasswordsAreEnough(t *testing.T) {
	t.Parallel()
	n := 0
	for line := range strings.Lines(commonPasswords) {
		if !strings.HasPrefix(line, "#") {
			n++
		}
	}
	if n < 3000 { // OWASP ASVS 5.0, 6.2.4
		t.Errorf("%d passwords", n)
	}
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"", "sherpa", "a b", "e\u0301", "\xff", "ﬃ", "İ", "ß", "\u202eabc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if normal, err := Normalize(text); err == nil && normal == "" {
			t.Errorf("%q became an empty password", text)
		}
		_ = Policy{MinLength: 8}.Check("ada", text) // must not panic
	})
}
