package token

import (
	"strings"
	"testing"
)

const exampleReset = "sherpa_reset_QKGDKPPDJHQ2XL5V4HTISGBOZW_" +
	"T4M5Q2WNRJ6ZK7YLBVDXCHUPF3T4M5Q2WNRJ6ZK7YLBVDXCHUPF3"

func FuzzParseReset(f *testing.F) {
	for _, seed := range []string{
		exampleReset, NewReset().String(), "", "sherpa_reset_", "sherpa_reset__", exampleReset + "A",
		exampleReset + "\n", exampleReset[:len(exampleReset)-1], strings.ToLower(exampleReset),
		strings.Replace(exampleReset, "_T4", "T4_", 1), "sherpa_pat" + exampleReset[len("sherpa_reset"):],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		reset, ok := ParseReset(text)
		if !ok {
			return
		}
		if reset.String() != text || len(text) != len(exampleReset) {
			t.Errorf("%q reads as %q", text, reset)
		}
	})
}

func TestParseReset(t *testing.T) {
	t.Parallel()
	made := NewReset()
	for name, tt := range map[string]struct {
		text string
		ok   bool
	}{
		"new":                 {made.String(), true},
		"the example":         {exampleReset, true},
		"another prefix":      {strings.Replace(exampleReset, "reset", "pat", 1), false},
		"a short secret":      {exampleReset[:len(exampleReset)-1], false},
		"a long secret":       {exampleReset + "A", false},
		"lower case":          {resetPrefix + strings.ToLower(exampleReset[len(resetPrefix):]), false},
		"a digit of no base":  {strings.Replace(exampleReset, "QKG", "QK1", 1), false},
		"a line end":          {exampleReset + "\n", false},
		"a blank in front":    {" " + exampleReset, false},
		"no secret":           {"sherpa_reset_QKGDKPPDJHQ2XL5V4HTISGBOZW", false},
		"a secret in between": {strings.Replace(exampleReset, "T4M5", "T4_5", 1), false},
	} {
		if reset, ok := ParseReset(tt.text); ok != tt.ok || ok && reset.String() != tt.text {
			t.Errorf("%s: %v, %v", name, reset, ok)
		}
	}
}

func TestResetsDiffer(t *testing.T) {
	t.Parallel()
	a, b := NewReset(), NewReset()
	if a.ID == b.ID || a.secret == b.secret || a.Hash() == b.Hash() {
		t.Errorf("%v, %v", a, b)
	}
	other := Reset{a.ID, b.secret}
	if other.Hash() == a.Hash() || strings.Contains(a.Hash(), a.secret) {
		t.Error("the hash does not stand for the whole token alone")
	}
}
