package check

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"strings"

	"github.com/go-json-experiment/json"
)

// parts are those of an access token (RFC 7515, section 7.1), still encoded.
type parts struct{ header, payload, signature string }

var errNotThreeParts = errors.New("the access token does not have the three parts of a JSON Web Token")

func split(token string) (parts, error) {
	all := strings.Split(token, ".")
	if len(all) != 3 {
		return parts{}, errNotThreeParts
	}
	return parts{all[0], all[1], all[2]}, nil
}

func (t parts) String() string { return t.header + "." + t.payload + "." + t.signature }

func encode(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// tokenHeader is what the header says (RFC 7515, section 4.1).
type tokenHeader struct {
	Algorithm string `json:"alg"`
	ID        string `json:"kid"`
}

// read returns the header; what cannot be read is empty.
func (t parts) read() (h tokenHeader) {
	raw, err := base64.RawURLEncoding.DecodeString(t.header)
	if err != nil || json.Unmarshal(raw, &h) != nil {
		return tokenHeader{}
	}
	return h
}

// signatureBits returns the size of a signature of the algorithm, 0 for one that the service does not have,
// and whether others can verify it with a public key.
func signatureBits(algorithm string) (bits int, public bool) {
	switch algorithm {
	case "HS256":
		return 256, false
	case "ES256", "EdDSA":
		return 512, true
	}
	return 0, false
}

// withAlgorithm names another algorithm in the same header.
func (t parts) withAlgorithm(name string) parts {
	raw, _ := base64.RawURLEncoding.DecodeString(t.header) // what cannot be read is replaced as well
	return t.withHeader(strings.Replace(string(raw), `"`+t.read().Algorithm+`"`, `"`+name+`"`, 1))
}

// withHeader has another header under the old signature.
func (t parts) withHeader(header string) parts {
	t.header = encode(header)
	return t
}

// withClaims has other claims under the old signature.
func (t parts) withClaims(change map[string]any) parts {
	claims := map[string]any{}
	if raw, err := base64.RawURLEncoding.DecodeString(t.payload); err == nil {
		_ = json.Unmarshal(raw, &claims) // a payload that is no JSON is replaced as well
	}
	maps.Copy(claims, change)
	raw, _ := json.Marshal(claims) // what came from JSON goes there
	t.payload = encode(string(raw))
	return t
}

// signedWith has a signature of its own.
func (t parts) signedWith(key []byte) parts {
	t.signature = encode(string(t.sum(key)))
	return t
}

// foreign is signed with a key of the same algorithm that no service has.
func (t parts) foreign() parts {
	message := []byte(t.header + "." + t.payload)
	switch t.read().Algorithm {
	case "ES256":
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		sum := sha256.Sum256(message)
		if err == nil {
			t.signature = encode(string(ecSignature(private, sum[:])))
		}
		return t
	case "EdDSA":
		seed := newKey()[:ed25519.SeedSize]
		t.signature = encode(string(ed25519.Sign(ed25519.NewKeyFromSeed(seed), message)))
		return t
	}
	return t.signedWith(newKey())
}

// ecSignature is in the form of RFC 7518, section 3.4.
func ecSignature(private *ecdsa.PrivateKey, sum []byte) []byte {
	signature := make([]byte, 2*coordinate)
	if r, s, err := ecdsa.Sign(rand.Reader, private, sum); err == nil {
		r.FillBytes(signature[:coordinate])
		s.FillBytes(signature[coordinate:])
	}
	return signature
}

func (t parts) sum(key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(t.header + "." + t.payload))
	return mac.Sum(nil)
}

// isSignedWith reports whether the key made the signature.
func (t parts) isSignedWith(key []byte) bool {
	return t.signature == encode(string(t.sum(key)))
}

// strayBits changes a bit of the last character that no byte needs: a lenient decoder reads the same
// signature.
func (t parts) strayBits() parts {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(t.signature) - 1
	if last < 0 {
		return t
	}
	if i := strings.IndexByte(alphabet, t.signature[last]); i >= 0 {
		t.signature = t.signature[:last] + string(alphabet[i^1])
	}
	return t
}

// flipped changes one character in the middle of a text in base64url.
func flipped(text string) string {
	if text == "" {
		return "A"
	}
	middle, other := len(text)/2, "A"
	if text[middle] == 'A' {
		other = "B"
	}
	return text[:middle] + other + text[middle+1:]
}

// newKey is one that no service has.
func newKey() []byte { return []byte(rand.Text() + rand.Text()) }

// claims are those that the check compares.
type claims struct {
	Identity  int64  `json:"identity"`
	Subject   string `json:"sub"`
	SessionID string `json:"sid"`
	IssuedAt  int64  `json:"iat"`
	ExpiresAt int64  `json:"exp"`
}

// claims reads the access token; what cannot be read is empty.
func (s *session) claims() (c claims) {
	t, err := split(s.access)
	if err != nil {
		return claims{}
	}
	raw, err := base64.RawURLEncoding.DecodeString(t.payload)
	if err != nil || json.Unmarshal(raw, &c) != nil {
		return claims{}
	}
	return c
}

// sampleKeys are those of tutorials, documents and templates. Whoever guesses the key can be anyone.
func sampleKeys() []string {
	return []string{
		"", "secret", "secretkey", "secret-key", "secret_key", "secret key", "my-secret", "mysecret",
		"my_secret_key", "mysecretkey", "super-secret", "supersecret", "super secret", "super-secret-key",
		"changeme", "change-me", "changeit", "password", "key", "jwt", "jwt_secret", "jwt-secret", "test",
		"your-256-bit-secret", "your-384-bit-secret", "your-512-bit-secret", "your-secret-key",
		"your_secret_key",
		"a-string-secret-at-least-256-bits-long", "qwertyuiopasdfghjklzxcvbnm123456",
		"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
		"404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
		"super-secret-jwt-token-with-at-least-32-characters-long", "jose", "everest", "sherpa", "dev",
	}
}
