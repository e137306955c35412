package security

import (
	"strings"
	"testing"
)

func TestNormalizeUsername(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
		bad            bool
	}{
		{"plain", "sherpa", "sherpa", false},
		{"capitals", "Tenzing", "tenzing", false},
		{"full width", "ｔｅｎｚｉｎｇ", "tenzing", false},
		{"composed", "rene\u0301", "ren\u00e9", false},
		{"e-mail", "ada@example.org", "ada@example.org", false},
		{"64 characters", strings.Repeat("n", 64), strings.Repeat("n", 64), false},
		{"65 characters", strings.Repeat("n", 65), "", true},
		{"empty", "", "", true},
		{"blank", "a b", "", true},
		{"NUL", "a\x00", "", true},
		{"line end", "a\nb", "", true},
		{"not UTF-8", "\xff", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := NormalizeUsername(tt.in)
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func FuzzNormalizeUsername(f *testing.F) {
	for _, seed := range []string{"", "sherpa", "ＳＨＥＲＰＡ", "a b", "e\u0301", "\xff", "ﬃ", "İ", "ß",
		"\u202eabc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if name, err := NormalizeUsername(text); err == nil {
			again, err := NormalizeUsername(name)
			if err != nil || again != name {
				t.Errorf("%q becomes %q and then %q, %v", text, name, again, err)
			}
		}
	})
}
