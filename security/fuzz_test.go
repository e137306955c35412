package security

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func FuzzParseToken(f *testing.F) {
	good := tokenHeader + ".eyJpZGVudGl0eSI6MX0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, seed := range []string{
		good, "", ".", "..", "...", good + ".AAAA", tokenHeader + "." + strings.Repeat("A", maxToken) + ".AAAA", good + "=", good + "\n", good[:len(good)-1] + "B", strings.ToLower(good),
		tokenHeader + "..", tokenHeader + ".e30.", "eyJhbGciOiJub25lIn0.e30.", tokenHeader + "." + strings.Repeat("A", maxToken),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := parseToken(text)
		if err != nil {
			return
		}
		if len(text) > maxToken || !strings.HasPrefix(text, tokenHeader+".") || strings.Count(text, ".") != 2 {
			t.Errorf("accepted %q", text)
		}
		if strings.ContainsFunc(text, func(r rune) bool {
			return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
		}) {
			t.Errorf("accepted a character outside base64url: %q", text)
		}
		if !strings.HasPrefix(text, raw.signed+".") {
			t.Errorf("signed part %q of %q", raw.signed, text)
		}
		_, _ = raw.claims() // must not panic
	})
}

func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `null`, ``, `{"identity":1,"sub":"1","sid":"x","iss":"sherpa","aud":"sherpa","iat":1,"nbf":1,"exp":9}`,
		`{"exp":1,"exp":2}`, `{"exp":1} {}`, `{"exp":1e400}`, `{"identity":9007199254740993}`, `{"exp":"1"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		claims, err := rawToken{payload: []byte(payload)}.claims()
		if err != nil {
			return
		}
		if !utf8.ValidString(payload) {
			t.Errorf("accepted %q", payload)
		}
		if strings.TrimSpace(payload) == "null" && claims != (Claims{}) {
			t.Errorf("null became %+v", claims)
		}
	})
}

func FuzzParseAuthorization(f *testing.F) {
	for _, seed := range []string{"", " ", "Bearer x", "jwt x", "Bearer", "Bearer ", "bearer  x", "Basic abc", "Bearer a b", "Bearer a,b", "x", "\t", "Ünicode x"} {
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
		if token == "" || strings.ContainsAny(token, " \t,") || !strings.HasSuffix(strings.TrimRight(value, " \t"), token) {
			t.Errorf("token %q in %q", token, value)
		}
	})
}

func FuzzDecodePHC(f *testing.F) {
	for _, seed := range []string{
		"", "$", "$$$$$", "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=-1,t=1,p=999$x$y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, phc string) {
		p, salt, sum, err := decodePHC(phc)
		if err != nil {
			return
		}
		if p.MemoryKiB > maxMemoryKiB || p.Time > maxTime || p.Time < 1 || p.Threads < 1 || len(salt) < 8 || len(sum) < 16 {
			t.Errorf("accepted %q", phc)
		}
	})
}

func FuzzKeyRing(f *testing.F) {
	for _, seed := range []string{"", goodKey, goodKey + "," + goodKey, ",\n\r", strings.Repeat("a", 32), "change-me" + goodKey} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := ParseKeyRing(text)
		if err != nil {
			return
		}
		if len(ring.keys) == 0 {
			t.Error("no key and no error")
		}
		for _, key := range ring.keys {
			if len(key) < minKey {
				t.Errorf("a key of %d bytes", len(key))
			}
		}
	})
}

func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"", "sherpa", "ＳＨＥＲＰＡ", "a b", "e\u0301", "\xff", "ﬃ", "İ", "ß", "\u202eabc"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if name, err := NormalizeUsername(text); err == nil {
			again, err := NormalizeUsername(name)
			if err != nil || again != name {
				t.Errorf("%q becomes %q and then %q, %v", text, name, again, err)
			}
		}
		if password, err := normalizePassword(text); err == nil && password == "" {
			t.Errorf("%q became an empty password", text)
		}
		_ = PasswordPolicy{MinLength: 8}.Check("ada", text) // must not panic
	})
}
