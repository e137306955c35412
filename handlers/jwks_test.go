package handlers_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
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

// TestPublicKeyIsNoSecret: with what /.well-known/jwks.json says, nobody can write a token (RFC 8725, section
// 2.1). The ring also has a secret, so that HS256 is known.
func TestPublicKeyIsNoSecret(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, algorithm := range []string{token.ES256, token.EdDSA} {
		s.useKeys(newKey(t, algorithm), signingKey, newKey(t, token.ES256))
		good := s.login(username, password)
		payload := decoded(t, strings.Split(good, ".")[1])
		own := decoded(t, strings.Split(good, ".")[0])
		set := s.do("GET", "/.well-known/jwks.json", "").body
		var all struct{ Keys []map[string]string }
		if err := json.Unmarshal([]byte(set), &all); err != nil || len(all.Keys) != 2 {
			t.Fatal(set, err)
		}
		first := all.Keys[0]
		one, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		of := func(kid string) string { return `{"alg":"` + algorithm + `","typ":"JWT","kid":"` + kid + `"}` }
		signature := strings.Split(good, ".")[2]
		withHeader := func(header string) string {
			encoded := base64.RawURLEncoding.EncodeToString([]byte(header))
			return encoded + "." + strings.Split(good, ".")[1] + "." + signature
		}
		reordered := `{"typ":"JWT",` + strings.Replace(own[1:], `"typ":"JWT",`, "", 1)
		forged := map[string]string{
			"the kid of the other key": withHeader(of(all.Keys[1]["kid"])), "no kid": withHeader(of("")),
			"HS256 over the signature":     withHeader(jwtHeader),
			"none over the signature":      withHeader(`{"alg":"none","typ":"JWT"}`),
			"none with the kid":            withHeader(strings.Replace(own, algorithm, "none", 1)),
			"HS256 with the kid":           withHeader(strings.Replace(own, algorithm, "HS256", 1)),
			"another order of the members": withHeader(reordered),
		}
		for _, key := range append(publicForms(t, first), set, string(one)) {
			for _, header := range []string{jwtHeader, own, strings.Replace(own, algorithm, "HS256", 1)} {
				forged["HMAC with "+key+" under "+header] = sign(key, header, payload)
			}
		}
		for name, access := range forged {
			if a := s.mountain(access); a.status != 401 || a.problem(t).Code != "token_invalid" {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		if a := s.mountain(good); a.status != 200 {
			t.Errorf("the good token: %d %s", a.status, a.body)
		}
	}
}

// publicForms are the texts that a verifier makes of a public key.
func publicForms(t *testing.T, key map[string]string) []string {
	t.Helper()
	raw := func(name string) []byte {
		all, err := base64.RawURLEncoding.DecodeString(key[name])
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	var public any = ed25519.PublicKey(raw("x"))
	if key["kty"] == "EC" {
		point := append(append([]byte{4}, raw("x")...), raw("y")...)
		ec, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			t.Fatal(err)
		}
		public = ec
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return []string{
		block, strings.TrimSpace(block), string(der), base64.StdEncoding.EncodeToString(der), key["x"],
		string(raw("x")), key["kid"], "",
	}
}

// TestPublishedKeysVerify: a stranger with the public keys alone verifies the tokens, by the RFCs.
func TestPublishedKeysVerify(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, algorithm := range []string{token.ES256, token.EdDSA} {
		s.useKeys(newKey(t, algorithm))
		access := s.login(username, password)
		at := strings.LastIndex(access, ".")
		signature, err := base64.RawURLEncoding.DecodeString(access[at+1:])
		if err != nil {
			t.Fatal(err)
		}
		var all struct{ Keys []map[string]string }
		s.do("GET", "/.well-known/jwks.json", "").decode(t, &all)
		der, _ := pem.Decode([]byte(publicForms(t, all.Keys[0])[0]))
		public, err := x509.ParsePKIXPublicKey(der.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		ok := false
		switch key := public.(type) {
		case *ecdsa.PublicKey:
			sum := sha256.Sum256([]byte(access[:at]))
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			ok = ecdsa.Verify(key, sum[:], r, s)
		case ed25519.PublicKey:
			ok = ed25519.Verify(key, []byte(access[:at]), signature)
		}
		if !ok {
			t.Errorf("%s: the published key does not verify the token", algorithm)
		}
	}
}
