package handlers_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"sherpa/security/token"
)

// newKey returns a fresh key for the algorithm.
func newKey(t testing.TB, algorithm string) string {
	t.Helper()
	text, err := token.NewKey(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (s *server) useKeys(keys ...string) {
	s.t.Helper()
	ring, err := token.ParseKeyRing(strings.Join(keys, "\n"))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.service.UseKeys(ring); err != nil {
		s.t.Fatal(err)
	}
}

// publicKeys are the members that a verifier reads.
type publicKeys struct {
	Keys []struct {
		Algorithm string `json:"alg"`
		ID        string `json:"kid"`
	}
}

func (s *server) publicKeys(t *testing.T) (all publicKeys, tag string) {
	t.Helper()
	a := s.do("GET", "/.well-known/jwks.json", "")
	a.decode(t, &all)
	if got := a.header.Get("Content-Type"); got != "application/jwk-set+json" {
		t.Errorf("the type is %s", got)
	}
	if got := a.header.Get("Cache-Control"); got != "public, max-age=300, must-revalidate" {
		t.Errorf("Cache-Control: %s", got)
	}
	return all, a.header.Get("Etag")
}

// TestPublicKeysOfARing: they are those of the ring that is in use, and a change of keys changes the tag.
func TestPublicKeysOfARing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	if all, _ := s.publicKeys(t); all.Keys == nil || len(all.Keys) > 0 {
		t.Errorf("a ring of secrets has the keys %v", all)
	}
	ec, ed := newKey(t, token.ES256), newKey(t, token.EdDSA)
	tags := map[string]bool{}
	for _, ring := range [][]string{{signingKey}, {signingKey, ec}, {ec, ed, signingKey}, {ed}} {
		s.useKeys(ring...)
		all, tag := s.publicKeys(t)
		var names []string
		for _, key := range all.Keys {
			names = append(names, key.Algorithm+" "+key.ID)
		}
		var want []string
		for _, name := range s.service.Keys().Names() {
			if name.ID != "" {
				want = append(want, name.Algorithm+" "+name.ID)
			}
		}
		if strings.Join(names, ",") != strings.Join(want, ",") {
			t.Errorf("published are %v, want %v", names, want)
		}
		same := s.do("GET", "/.well-known/jwks.json", "", "If-None-Match: "+tag)
		if same.status != 304 || same.body != "" || same.header.Get("Etag") != tag {
			t.Errorf("the same again: %d %v", same.status, same.header)
		}
		other := s.do("GET", "/.well-known/jwks.json", "", `If-None-Match: "x"`)
		if other.status != 200 || !json.Valid([]byte(other.body)) || tags[tag] {
			t.Errorf("after a change: %d %s", other.status, other.body)
		}
		tags[tag] = true
	}
}

// TestTokensNameTheirPublicKey: what the login and the refresh give can be found among the public keys.
func TestTokensNameTheirPublicKey(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, algorithm := range []string{token.ES256, token.EdDSA} {
		s.useKeys(newKey(t, algorithm), signingKey)
		first := s.post("/auth", credentials(username, password)).tokens(t)
		next := s.post("/auth/refresh", `{"refresh_token":"`+first.RefreshToken+`"}`).tokens(t)
		all, _ := s.publicKeys(t)
		for _, access := range []string{first.AccessToken, next.AccessToken} {
			var header struct{ Alg, Typ, Kid string }
			text := decoded(t, strings.Split(access, ".")[0])
			if err := json.Unmarshal([]byte(text), &header); err != nil {
				t.Fatal(err)
			}
			if header.Alg != algorithm || header.Typ != "JWT" || header.Kid != all.Keys[0].ID {
				t.Errorf("the header is %s, the keys are %v", text, all)
			}
			signature, err := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[2])
			if err != nil || len(signature) != 64 {
				t.Errorf("the signature has %d bytes, want 64", len(signature))
			}
			if a := s.mountain(access); a.status != 200 {
				t.Errorf("%s: %d %s", algorithm, a.status, a.body)
			}
		}
	}
}
