package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"strings"
)

// The algorithms that sign access tokens, by their names in JSON Web Algorithms.
const (
	HS256 = "HS256" // HMAC with a secret (RFC 7518, section 3.2)
	ES256 = "ES256" // ECDSA on the curve P-256 (RFC 7518, section 3.4)
	EdDSA = "EdDSA" // Ed25519 (RFC 8037, section 3.1)
)

// key is one of a ring. Its kind is that of its material, so no token can choose the algorithm (RFC 8725,
// section 3.1).
type key struct {
	KeyName
	method  method
	header  string // in base64url: the one header that the key writes and accepts
	raw     []byte // the secret, or the bytes of the private key
	refresh []byte // the key of refresh tokens, derived from raw
	public  *jwk   // nil for a secret
}

// KeyName names a key and gives nothing of it away.
type KeyName struct {
	Number    int // its place in the ring, from 1
	Algorithm string
	ID        string // the kid of its tokens (RFC 7517, section 4.5); "" for a secret
}

// String says it in words.
func (n KeyName) String() string {
	if n.ID == "" {
		return fmt.Sprintf("key %d (%s)", n.Number, n.Algorithm)
	}
	return fmt.Sprintf("key %d (%s, kid %s)", n.Number, n.Algorithm, n.ID)
}

// method is an algorithm with its key.
type method interface {
	sign(message string) ([]byte, error)
	signed(message string, signature []byte) bool
}

func parseKey(text string) (key, error) {
	if strings.HasPrefix(text, pemBegin) {
		return parsePEM(text)
	}
	if err := checkSecret(text); err != nil {
		return key{}, err
	}
	return newKey(key{
		KeyName: KeyName{Algorithm: HS256}, method: secret(text), raw: []byte(text),
	})
}

// newKey completes a key.
func newKey(k key) (key, error) {
	header := `{"alg":"` + k.Algorithm + `","typ":"JWT"}`
	if k.public != nil {
		k.ID = k.public.ID
		header = `{"alg":"` + k.Algorithm + `","typ":"JWT","kid":"` + k.ID + `"}`
	}
	k.header = base64.RawURLEncoding.EncodeToString([]byte(header))
	var err error
	k.refresh, err = deriveKey(k.raw, "sherpa refresh token")
	return k, err
}

// secret is the key of HS256.
type secret []byte

func (s secret) sign(message string) ([]byte, error) {
	mac := hmac.New(sha256.New, s)
	mac.Write([]byte(message))
	return mac.Sum(nil), nil
}

func (s secret) signed(message string, signature []byte) bool {
	sum, err := s.sign(message)
	return err == nil && hmac.Equal(sum, signature)
}

// coordinate is the size in bytes of each of the two numbers that make an ES256 signature.
const coordinate = 32

// ecKey is the key of ES256.
type ecKey struct{ private *ecdsa.PrivateKey }

func (k ecKey) sign(message string) ([]byte, error) {
	sum := sha256.Sum256([]byte(message))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if isHigh(s) {
		s.Sub(elliptic.P256().Params().N, s)
	}
	signature := make([]byte, 2*coordinate)
	r.FillBytes(signature[:coordinate])
	s.FillBytes(signature[coordinate:])
	return signature, nil
}

// signed accepts the lower one of s and n-s alone. ECDSA takes both, and whoever holds a token could write it
// in a second way.
func (k ecKey) signed(message string, signature []byte) bool {
	if len(signature) != 2*coordinate {
		return false
	}
	r := new(big.Int).SetBytes(signature[:coordinate])
	s := new(big.Int).SetBytes(signature[coordinate:])
	sum := sha256.Sum256([]byte(message))
	return !isHigh(s) && ecdsa.Verify(&k.private.PublicKey, sum[:], r, s)
}

func isHigh(s *big.Int) bool {
	half := new(big.Int).Rsh(elliptic.P256().Params().N, 1)
	return s.Cmp(half) > 0
}

// edKey is the key of EdDSA with Ed25519. Its signatures have one form: the verifier refuses another s (RFC
// 8032, section 5.1.7).
type edKey struct{ private ed25519.PrivateKey }

func (k edKey) sign(message string) ([]byte, error) {
	return ed25519.Sign(k.private, []byte(message)), nil
}

func (k edKey) signed(message string, signature []byte) bool {
	return ed25519.Verify(k.private.Public().(ed25519.PublicKey), []byte(message), signature)
}
