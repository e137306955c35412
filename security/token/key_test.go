package token

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var algorithms = []string{HS256, ES256, EdDSA}

func newText(t testing.TB, algorithm string) string {
	t.Helper()
	text, err := NewKey(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func ringOf(t testing.TB, texts ...string) KeyRing {
	t.Helper()
	ring, err := ParseKeyRing(strings.Join(texts, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func testClaims() map[string]any {
	return map[string]any{
		"identity": int64(7), "sub": "7", "sid": "S", "iss": "sherpa", "aud": "api",
		"iat": 100, "nbf": 90, "exp": 200, "roles": []string{"guide"},
	}
}

func newToken(t testing.TB, ring KeyRing) string {
	t.Helper()
	text, err := ring.NewAccess(testClaims())
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func accepts(ring KeyRing, text string) bool {
	claims, err := ring.Verify(text, "sherpa", "api")
	return err == nil && claims.Identity == 7
}

// TestEveryKindOfKey: each signs, all verify, in any order.
func TestEveryKindOfKey(t *testing.T) {
	t.Parallel()
	texts := []string{newText(t, HS256), newText(t, ES256), newText(t, EdDSA), newText(t, ES256)}
	all := ringOf(t, texts...)
	want := []string{HS256, ES256, EdDSA, ES256}
	for i, name := range all.Names() {
		if name.Number != i+1 || name.Algorithm != want[i] || (name.ID == "") != (want[i] == HS256) {
			t.Errorf("key %d is %v", i+1, name)
		}
	}
	for i, text := range texts {
		rest := slices.Delete(slices.Clone(texts), i, i+1)
		first := ringOf(t, append([]string{text}, rest...)...)
		token := newToken(t, first)
		if !accepts(first, token) || !accepts(all, token) || !accepts(ringOf(t, text), token) {
			t.Errorf("a token of %v is refused", all.Names()[i])
		}
		if accepts(ringOf(t, rest...), token) {
			t.Errorf("a token of %v is accepted without its key", all.Names()[i])
		}
		access, err := ParseAccess(token)
		if err != nil {
			t.Fatal(err)
		}
		if name, err := access.SignedBy(all); err != nil || name != all.Names()[i] {
			t.Errorf("signed by %v, want %v: %v", name, all.Names()[i], err)
		}
		id := all.Names()[i].ID
		header := map[bool]string{
			true:  `{"alg":"HS256","typ":"JWT"}`,
			false: `{"alg":"` + want[i] + `","typ":"JWT","kid":"` + id + `"}`,
		}[id == ""]
		if got, _ := base64.RawURLEncoding.DecodeString(access.header); string(got) != header {
			t.Errorf("the header is %s, want %s", got, header)
		}
		if algorithm, kid := access.Claimed(); algorithm != want[i] || kid != id {
			t.Errorf("claims %s, %s", algorithm, kid)
		}
	}
	if _, err := (KeyRing{}).NewAccess(testClaims()); err == nil {
		t.Error("an empty ring signs")
	}
}

// signedBy makes a token of any header with the key at this place of the ring.
func signedBy(t *testing.T, ring KeyRing, place int, header string) string {
	t.Helper()
	payload := strings.Split(newToken(t, ring), ".")[1]
	signed := encode(header) + "." + payload
	signature, err := ring.keys[place].method.sign(signed)
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// publicTexts are the forms in which an attacker can have a public key.
func publicTexts(t *testing.T, k key) map[string]string {
	t.Helper()
	var public any
	switch m := k.method.(type) {
	case ecKey:
		public = &m.private.PublicKey
	case edKey:
		public = m.private.Public()
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	set, err := publicSet([]key{k})
	if err != nil {
		t.Fatal(err)
	}
	x, _ := base64.RawURLEncoding.DecodeString(k.public.X)
	y, _ := base64.RawURLEncoding.DecodeString(k.public.Y)
	one := strings.TrimSuffix(strings.TrimPrefix(string(set), `{"keys":[`), `]}`)
	return map[string]string{
		"PEM": block, "PEM without its last line end": strings.TrimSpace(block), "DER": string(der),
		"base64 of DER": base64.StdEncoding.EncodeToString(der),
		"JWK Set":       string(set), "JWK": one, "kid": k.public.ID,
		"x": k.public.X, "bytes of x": string(x), "point": "\x04" + string(x) + string(y),
		"nothing": "",
	}
}

// TestAlgorithmConfusion: whoever has a public key cannot sign with it, and no header chooses another
// algorithm or another key (RFC 8725, sections 2.1 and 3.1). Each ring also has a secret, or none.
func TestAlgorithmConfusion(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{ES256, EdDSA} {
		for _, more := range []string{"", newText(t, HS256)} {
			text := newText(t, algorithm)
			ring := ringOf(t, text, newText(t, ES256), newText(t, EdDSA), more)
			id := ring.keys[0].public.ID
			header := func(algorithm, kid string) string {
				return `{"alg":"` + algorithm + `","typ":"JWT","kid":"` + kid + `"}`
			}
			own := header(algorithm, id)
			payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(newToken(t, ring), ".")[1])
			forged := map[string]string{}
			for form, public := range publicTexts(t, ring.keys[0]) {
				for _, h := range []string{ourHeader, own, header(HS256, id)} {
					forged["HMAC with the public key as "+form+", "+h] = sign(public, h, string(payload))
				}
			}
			for _, h := range []string{ // each signed with the private key
				ourHeader, header(HS256, id), `{"alg":"` + algorithm + `","typ":"JWT"}`,
				`{"typ":"JWT","alg":"` + algorithm + `","kid":"` + id + `"}`,
				`{"alg":"` + algorithm + `","kid":"` + id + `","typ":"JWT"}`,
				header("none", id), header("None", id), header("Ed25519", id), header("ES384", id),
				header("RS256", id), header(algorithm, strings.ToLower(id)), header(algorithm, ""),
				header(map[string]string{ES256: EdDSA, EdDSA: ES256}[algorithm], id),
				header(ring.keys[1].Algorithm, ring.keys[1].ID),
				header(ring.keys[2].Algorithm, ring.keys[2].ID),
				strings.Replace(own, `"typ"`, `"jwk":{},"typ"`, 1),
				strings.Replace(own, `"JWT"`, `"JWT" `, 1),
				strings.Replace(own, `"typ"`, `"crit":["x"],"x":1,"typ"`, 1),
				strings.Replace(own, `}`, `,"kid":"`+id+`"}`, 1),
			} {
				forged["the private key, "+h] = signedBy(t, ring, 0, h)
			}
			for place := 1; place < len(ring.keys); place++ {
				forged["another key, "+own] = signedBy(t, ring, place, own)
			}
			good := strings.Split(newToken(t, ring), ".")
			for _, h := range []string{`{"alg":"none"}`, header("none", id), own} {
				forged["unsigned, "+h] = encode(h) + "." + good[1] + "."
			}
			for name, token := range forged {
				if accepts(ring, token) {
					t.Errorf("%s, %s: accepted", algorithm, name)
				}
			}
			if len(forged) < 50 || !accepts(ring, signedBy(t, ring, 0, own)) {
				t.Errorf("%s: %d forged tokens, and the good one is refused", algorithm, len(forged))
			}
		}
	}
}

// rfcKeys are the private keys of RFC 7515, appendix A.3, and of RFC 8037, appendix A.1.
func rfcKeys(t *testing.T) (ec, ed key) {
	t.Helper()
	bytes := func(text string) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	d := bytes("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI")
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d)
	if err != nil {
		t.Fatal(err)
	}
	ec, err = newECKey(private)
	if err != nil {
		t.Fatal(err)
	}
	seed := ed25519.NewKeyFromSeed(bytes("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"))
	return ec, key{method: edKey{seed}, public: edJWK(seed.Public().(ed25519.PublicKey))}
}

func TestVectorsOfTheRFCs(t *testing.T) {
	t.Parallel()
	ec, ed := rfcKeys(t)
	if ec.public.X != "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU" ||
		ec.public.Y != "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" {
		t.Errorf("the public key of RFC 7515 is %+v", ec.public)
	}
	if ed.public.X != "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" ||
		ed.public.ID != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" { // RFC 8037, appendix A.3
		t.Errorf("the public key of RFC 8037 is %+v", ed.public)
	}
	signature, _ := ed.method.sign("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc")
	const known = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
	if got := base64.RawURLEncoding.EncodeToString(signature); got != known {
		t.Errorf("the signature of RFC 8037 is %s", got)
	}
	const message = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt" +
		"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	high, _ := base64.RawURLEncoding.DecodeString(
		"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
	if ec.method.signed(message, high) {
		t.Error("a signature with the higher s is accepted")
	}
	if low := otherS(high); !ec.method.signed(message, low) {
		t.Error("the signature of RFC 7515 with the lower s is refused")
	}
}

// otherS is the signature with n-s.
func otherS(signature []byte) []byte {
	s := new(big.Int).SetBytes(signature[coordinate:])
	s.Sub(elliptic.P256().Params().N, s)
	return append(slices.Clone(signature[:coordinate]), s.FillBytes(make([]byte, coordinate))...)
}

// TestSignatureHasOneForm: whoever has a token cannot write it in a second way.
func TestSignatureHasOneForm(t *testing.T) {
	t.Parallel()
	ec, ed := ringOf(t, newText(t, ES256)).keys[0], ringOf(t, newText(t, EdDSA)).keys[0]
	for range 100 { // half of them were high before
		signature, err := ec.method.sign("message")
		if err != nil || len(signature) != 64 || !ec.method.signed("message", signature) {
			t.Fatalf("%x, %v", signature, err)
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		der, err := asn1.Marshal([]*big.Int{r, s})
		if err != nil {
			t.Fatal(err)
		}
		for name, other := range map[string][]byte{
			"n-s": otherS(signature), "ASN.1": der, "a byte more": append(slices.Clone(signature), 0),
			"a byte less": signature[:63], "none": nil, "zeros": make([]byte, 64),
			"s is n": append(slices.Clone(signature[:32]), elliptic.P256().Params().N.Bytes()...),
		} {
			if ec.method.signed("message", other) {
				t.Errorf("ES256: %s is accepted", name)
			}
		}
	}
	signature, _ := ed.method.sign("message")
	order, _ := new(big.Int).SetString(
		"7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	little := slices.Clone(signature[32:])
	slices.Reverse(little)
	more := new(big.Int).Add(new(big.Int).SetBytes(little), order).FillBytes(make([]byte, 32))
	slices.Reverse(more)
	if ed.method.signed("message", append(slices.Clone(signature[:32]), more...)) {
		t.Error("EdDSA: s + L is accepted")
	}
	if !ed.method.signed("message", signature) || ed.method.signed("message", signature[:63]) {
		t.Error("EdDSA: a good signature is refused, or a short one is not")
	}
}

func pkcs8(t *testing.T, private any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func x25519(t *testing.T) any {
	t.Helper()
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return private
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// TestBadPEM: the error names the key by its number, and repeats no part of it.
func TestBadPEM(t *testing.T) {
	t.Parallel()
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	exchange, err := p256.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	sec1, _ := x509.MarshalECPrivateKey(p256)
	public, _ := x509.MarshalPKIXPublicKey(&p256.PublicKey)
	ec, ed := rfcKeys(t)
	good := strings.TrimSpace(block("PRIVATE KEY", pkcs8(t, p256)))
	lines := strings.Split(good, "\n")
	ones := ed25519.NewKeyFromSeed([]byte(strings.Repeat("\x01", 32)))
	tests := []struct{ name, text, wrong string }{
		{"P-384", block("PRIVATE KEY", pkcs8(t, p384)), "another curve than P-256"},
		{"RSA", block("PRIVATE KEY", pkcs8(t, large)), "an RSA key"},
		{"RSA in PKCS #1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(large)),
			"not in the form PKCS #8"},
		{"SEC 1", block("EC PRIVATE KEY", sec1), "not in the form PKCS #8"},
		{"X25519", block("PRIVATE KEY", pkcs8(t, x25519(t))), "cannot sign"},
		{"ECDH, which has the same form", block("PRIVATE KEY", pkcs8(t, exchange)), ""},
		{"public", block("PUBLIC KEY", public), "is public"},
		{"certificate", block("CERTIFICATE", public), "is public"},
		{"encrypted", block("ENCRYPTED PRIVATE KEY", sec1), "is encrypted"},
		{"encrypted in the old way", "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n" +
			lines[1] + "\n-----END EC PRIVATE KEY-----", "is encrypted"},
		{"no key", block("PRIVATE KEY", []byte("nothing")), "no private key"},
		{"empty", block("PRIVATE KEY", nil), "no private key"},
		{"cut off", lines[0] + "\n" + lines[1], "cannot be read"},
		{"a line less", lines[0] + "\n" + lines[1] + "\n" + lines[3], "cannot be read"},
		{"one line", strings.Join(lines, " "), "cannot be read"},
		{"escaped line ends", strings.Join(lines, `\n`), "cannot be read"},
		{"text after the end", good + "x", "cannot be read"},
		{"wrong end", strings.Replace(good, "END PRIVATE", "END PUBLIC", 1), "cannot be read"},
		{"no begin", strings.Join(lines[1:], "\n"), "piece of a key"},
		{"damaged begin", good[1:], "piece of a key"},
		{"lines alone", lines[1], "piece of a key"},
		{"public, in one line", base64.StdEncoding.EncodeToString(public), "piece of a key"},
		{"sample of RFC 7515", block("PRIVATE KEY", pkcs8(t, ec.method.(ecKey).private)), "sample"},
		{"sample of RFC 8037", block("PRIVATE KEY", pkcs8(t, ed.method.(edKey).private)), "sample"},
		{"ones", block("PRIVATE KEY", pkcs8(t, ones)), "too few"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ring, err := ParseKeyRing(goodKey + "\n" + tt.text + "\n" + good)
			if tt.wrong == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.wrong) ||
				!strings.Contains(err.Error(), "key 2: ") || !ring.Empty() {
				t.Fatalf("got %v, want %q", err, tt.wrong)
			}
			if strings.Contains(err.Error(), "key 1: ") {
				t.Errorf("the good key is wrong as well: %v", err)
			}
			for line := range strings.Lines(tt.text) {
				line = strings.TrimSpace(line)
				if !strings.Contains(line, "---") && len(line) > 12 &&
					strings.Contains(err.Error(), line[4:12]) {
					t.Errorf("the error repeats a part of the key: %v", err)
				}
			}
		})
	}
}

// TestMixedRings: secrets and private keys may stand in any order, as people separate them.
func TestMixedRings(t *testing.T) {
	t.Parallel()
	ec, ed := newText(t, ES256), newText(t, EdDSA)
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"lines":       {goodKey + "\n" + ec + "\n" + ed + "\n", []string{HS256, ES256, EdDSA}},
		"PEM first":   {ec + "\n" + goodKey, []string{ES256, HS256}},
		"empty lines": {"\n\n" + ed + "\n\n\n" + ec + "\n\n", []string{EdDSA, ES256}},
		"Windows": {
			strings.ReplaceAll(ec+"\n"+goodKey+"\n", "\n", "\r\n"), []string{ES256, HS256},
		},
		"commas, as in a variable": {
			goodKey + "," + ec + "," + ed + "," + goodKey + "x", []string{HS256, ES256, EdDSA, HS256},
		},
		"commas and blanks":  {ec + " , " + goodKey, []string{ES256, HS256}},
		"the same key twice": {ec + "\n" + ec, []string{ES256, ES256}},
	} {
		ring, err := ParseKeyRing(tt.text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, key := range ring.Names() {
			got = append(got, key.Algorithm)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		_, secret := ring.Secret()
		if secret != (tt.want[0] == HS256) {
			t.Errorf("%s: a secret signs: %v", name, secret)
		}
	}
}

func FuzzPublicKeySet(f *testing.F) {
	ec, ed := newText(f, ES256), newText(f, EdDSA)
	for _, seed := range []string{goodKey, ec, ed, ec + "\n" + goodKey, goodKey + "," + ed + "\n" + ec} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ring, err := ParseKeyRing(text)
		if err != nil {
			return
		}
		wantNothingSecret(t, ring)
	})
}
