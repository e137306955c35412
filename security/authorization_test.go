package security

import (
	"errors"
	"strings"
	"testing"
)

func FuzzParseAuthorization(f *testing.F) {
	for _, seed := range []string{"", " ", "Bearer x", "jwt x", "Bearer", "Bearer ", "bearer  x", "Basic abc",
		"Bearer a b", "Bearer a,b", "x", "\t", "Ünicode x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		scheme, token, err := ParseAuthorization([]string{value})
		if err != nil {
			if token != "" {
				t.Errorf("an error and the token %q", token)
			}
			return
		}
		if scheme != SchemeBearer && scheme != SchemeJWT {
			t.Errorf("scheme %q", scheme)
		}
		if token == "" || strings.ContainsAny(token, " \t,") ||
			!strings.HasSuffix(strings.TrimRight(value, " \t"), token) {
			t.Errorf("token %q in %q", token, value)
		}
	})
}

func TestParseAuthorization(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		values        []string
		scheme, token string
		code          Code
		fact          string
	}{
		"bearer":         {[]string{"Bearer x"}, SchemeBearer, "x", "", ""},
		"the tutorial's": {[]string{"jwt x"}, SchemeJWT, "x", "", ""},
		"blanks":         {[]string{" \tBEARER \t x "}, SchemeBearer, "x", "", ""},
		"none":           {nil, "", "", TokenMissing, "no Authorization header"},
		"empty":          {[]string{" "}, "", "", TokenMissing, "no Authorization header"},
		"two":            {[]string{"Bearer x", "Bearer x"}, "", "", InvalidAuthorization, ""},
		"scheme alone":   {[]string{"Bearer "}, SchemeBearer, "", TokenMissing, "no token after the scheme"},
		"other scheme":   {[]string{"Token x"}, "Token", "", TokenMissing, "`Token`"},
		"a token alone": {[]string{"eyJhbGciOiJIUzI1NiJ9.e30.x"}, "", "", TokenMissing,
			"missing or unknown"},
		"two words": {[]string{"Bearer a b"}, SchemeBearer, "", TokenInvalid, "more than one word"},
		"in quotes": {[]string{`Bearer "x"`}, SchemeBearer, "", TokenInvalid, "in quotes"},
		"a list":    {[]string{"Bearer a,b"}, SchemeBearer, "", TokenInvalid, "more than one word"},
	} {
		scheme, access, err := ParseAuthorization(tt.values)
		var known *Error
		errors.As(err, &known)
		switch {
		case tt.code == "" && (err != nil || scheme != tt.scheme || access != tt.token):
			t.Errorf("%s: %q %q %v", name, scheme, access, err)
		case tt.code != "" && (known == nil || known.Code != tt.code || !strings.Contains(known.Fact,
			tt.fact) || access != ""):
			t.Errorf("%s: %q %v", name, access, err)
		}
	}
}
