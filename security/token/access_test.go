package token

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func FuzzParseAccess(f *testing.F) {
	header := encode(ourHeader)
	good := header + ".eyJpZGVudGl0eSI6MX0.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, seed := range []string{
		good, "", ".", "..", "...", good + ".AAAA", header + "." + strings.Repeat("A",
			maxLength) + ".AAAA", good + "=", good + "\n", good[:len(good)-1] + "B", strings.ToLower(good),
		header + "..", header + ".e30.", "eyJhbGciOiJub25lIn0.e30.", header + "." + strings.Repeat("A",
			maxLength),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := ParseAccess(text)
		if err != nil {
			return
		}
		if len(text) > maxLength || strings.Count(text, ".") != 2 {
			t.Errorf("accepted %q", text)
		}
		if strings.ContainsFunc(text, func(r rune) bool {
			return r > unicode.MaxASCII ||
				!unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.", r)
		}) {
			t.Errorf("accepted a character outside base64url: %q", text)
		}
		if !strings.HasPrefix(text, raw.signed+".") || !strings.HasPrefix(raw.signed, raw.header+".") {
			t.Errorf("signed part %q of %q", raw.signed, text)
		}
		_, _ = raw.Claims()  // must not panic
		_, _ = raw.Claimed() // nor this
	})
}

func FuzzClaims(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `null`, ``,
		`{"identity":1,"sub":"1","sid":"x","iss":"sherpa","aud":"sherpa","iat":1,"nbf":1,"exp":9}`,
		`{"exp":1,"exp":2}`, `{"exp":1} {}`, `{"exp":1e400}`, `{"identity":9007199254740993}`, `{"exp":"1"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, payload string) {
		claims, err := Access{payload: []byte(payload)}.Claims()
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

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// sign makes a token of any header and payload, as somebody who has the key could.
func sign(key, header, payload string) string {
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(signed))
	return signed + "." + b64.EncodeToString(mac.Sum(nil))
}

const ourHeader = `{"alg":"HS256","typ":"JWT"}`

func TestVerify(t *testing.T) {
	t.Parallel()
	const second = "Zt5Rw8Xb2Nq6Mc9Kv3Jf7Hd1Gs4Pa0Ly"
	ring, err := ParseKeyRing(goodKey + "," + second)
	if err != nil {
		t.Fatal(err)
	}
	const claims = `{"identity":7,"sub":"7","sid":"S","iss":"sherpa","aud":"api",` +
		`"iat":100,"nbf":90,"exp":200}`
	replace := func(old, new string) string { return strings.Replace(claims, old, new, 1) }
	good := sign(goodKey, ourHeader, claims)
	for name, tt := range map[string]struct{ text, wrong string }{
		"good":            {good, ""},
		"second key":      {sign(second, ourHeader, claims), ""},
		"empty":           {"", "three parts"},
		"two parts":       {good[:strings.LastIndex(good, ".")], "three parts"},
		"four parts":      {good + ".", "three parts"},
		"too long":        {good + strings.Repeat("A", maxLength), "more than 4096"},
		"other header":    {sign(goodKey, `{"typ":"JWT","alg":"HS256"}`, claims), "its header"},
		"no algorithm":    {sign(goodKey, `{"alg":"none"}`, claims), "its header"},
		"padded":          {good + "=", "base64url"},
		"stray bits":      {good[:len(good)-1] + string(good[len(good)-1]+1), "base64url"},
		"other key":       {sign(goodKey+"x", ourHeader, claims), "its signature"},
		"changed payload": {sign(goodKey, ourHeader, claims)[:40] + "A" + good[41:], "its signature"},
		"no object":       {sign(goodKey, ourHeader, `[]`), "its claims"},
		"duplicate member": {sign(goodKey, ourHeader, replace(`"exp":200`, `"exp":200,"exp":900`)),
			"its claims"},
		"text after": {sign(goodKey, ourHeader, claims+"{}"), "its claims"},
		"wrong type": {sign(goodKey, ourHeader, replace(`"exp":200`, `"exp":"200"`)), "its claims"},
		"other issuer": {sign(goodKey, ourHeader, replace(`"iss":"sherpa"`, `"iss":"x"`)),
			"another service"},
		"other audience": {sign(goodKey, ourHeader, replace(`"aud":"api"`, `"aud":"x"`)),
			"for another service"},
		"no user":             {sign(goodKey, ourHeader, replace(`"identity":7,`, ``)), "name a user"},
		"two users":           {sign(goodKey, ourHeader, replace(`"sub":"7"`, `"sub":"8"`)), "name a user"},
		"no session":          {sign(goodKey, ourHeader, replace(`"sid":"S",`, ``)), "name a user"},
		"no time of issue":    {sign(goodKey, ourHeader, replace(`"iat":100,`, ``)), "when it was issued"},
		"no start":            {sign(goodKey, ourHeader, replace(`"nbf":90,`, ``)), "when it was issued"},
		"no end":              {sign(goodKey, ourHeader, replace(`,"exp":200`, ``)), "when it was issued"},
		"claims of no object": {sign(goodKey, ourHeader, `null`), "another service"},
	} {
		got, err := ring.Verify(tt.text, "sherpa", "api")
		var invalid *InvalidError
		switch {
		case tt.wrong == "" &&
			(err != nil || got.Identity != 7 || got.SessionID != "S" || got.ExpiresAt != 200):
			t.Errorf("%s: %+v, %v", name, got, err)
		case tt.wrong != "" && (!errors.As(err, &invalid) || !strings.Contains(invalid.Reason, tt.wrong)):
			t.Errorf("%s: %v, want %q", name, err, tt.wrong)
		}
	}
}

func TestCheckTimes(t *testing.T) {
	t.Parallel()
	claims := Claims{IssuedAt: 100, NotBefore: 90, ExpiresAt: 200}
	for name, tt := range map[string]struct {
		now     int64
		expired time.Duration
		invalid bool
	}{
		"in between":          {150, -1, false},
		"last second":         {199, -1, false},
		"expired now":         {200, 0, false},
		"expired":             {205, 5 * time.Second, false},
		"clock is behind":     {90, -1, false},
		"clock is far behind": {89, -1, true},
	} {
		err := claims.CheckTimes(time.Unix(tt.now, 0))
		var expired *ExpiredError
		var invalid *InvalidError
		switch {
		case tt.expired >= 0:
			if !errors.As(err, &expired) || expired.Ago != tt.expired {
				t.Errorf("%s: %v", name, err)
			}
		case errors.As(err, &invalid) != tt.invalid || (err != nil) != tt.invalid:
			t.Errorf("%s: %v", name, err)
		}
	}
	early := Claims{IssuedAt: 111, NotBefore: 90, ExpiresAt: 200}
	if err := early.CheckTimes(time.Unix(100, 0)); err == nil {
		t.Error("a token from more than the leeway ahead passes")
	}
}
