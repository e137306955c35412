package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	pemBegin = "-----BEGIN"
	pemEnd   = "-----END"
)

// pemLength returns the length of the PEM block with which the text begins: to the end of the line of its
// END. A block without one ends where the next block begins, so that it does not hide that.
func pemLength(text string) int {
	if next := strings.Index(text[len(pemBegin):], pemBegin); next >= 0 {
		text = text[:len(pemBegin)+next]
	}
	end := strings.Index(text, pemEnd)
	if end < 0 {
		return len(text)
	}
	if line := strings.IndexAny(text[end:], ",\n\r"); line >= 0 {
		return end + line
	}
	return len(text)
}

// parsePEM reads a private key in PKCS #8 (RFC 5958), as `sherpa key new` and OpenSSL write it. No error has
// the words of a library: they could repeat something.
func parsePEM(text string) (key, error) {
	block, _ := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return key{}, errors.New("is a PEM block that cannot be read; keep all of its lines as they are")
	case strings.HasPrefix(block.Type, "ENCRYPTED"), len(block.Headers) > 0:
		return key{}, errors.New("is encrypted; decrypt it with: openssl pkcs8")
	case block.Type == "PUBLIC KEY", block.Type == "CERTIFICATE":
		return key{}, errors.New("is public and cannot sign; the private key belongs here")
	case block.Type != "PRIVATE KEY":
		return key{}, errors.New("is not in the form PKCS #8 (BEGIN PRIVATE KEY); " +
			"convert it with: openssl pkcs8 -topk8 -nocrypt")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return key{}, errors.New("is no private key that can be read; " +
			"make one with: sherpa key new --alg ES256")
	}
	return privateKey(parsed)
}

// privateKey returns the key of the algorithm that fits.
func privateKey(parsed any) (k key, err error) {
	switch private := parsed.(type) {
	case *ecdsa.PrivateKey:
		k, err = newECKey(private)
	case ed25519.PrivateKey:
		k = key{
			KeyName: KeyName{Algorithm: EdDSA}, method: edKey{private}, raw: private.Seed(),
			public: edJWK(private.Public().(ed25519.PublicKey)),
		}
	case *rsa.PrivateKey:
		return key{}, errors.New("is an RSA key; make one with: sherpa key new --alg ES256")
	default:
		return key{}, errors.New("is a key that cannot sign; make one with: sherpa key new --alg ES256")
	}
	switch {
	case err != nil:
		return key{}, err
	case slices.Contains(sampleIDs(), k.public.ID):
		return key{}, errSample
	case variety(k.raw) < minKeyVariety:
		return key{}, errDull
	}
	return newKey(k)
}

func newECKey(private *ecdsa.PrivateKey) (key, error) {
	if private.Curve != elliptic.P256() {
		return key{}, errors.New("is on another curve than P-256; make one with: sherpa key new --alg ES256")
	}
	raw, err := private.Bytes()
	if err != nil {
		return key{}, errors.New("is no point of its curve")
	}
	public, err := ecJWK(&private.PublicKey)
	return key{KeyName: KeyName{Algorithm: ES256}, method: ecKey{private}, raw: raw, public: public}, err
}

// NewKey returns a fresh key for the algorithm: a secret for HS256, else a private key in PEM form.
func NewKey(algorithm string) (string, error) {
	var private any
	var err error
	switch algorithm {
	case HS256:
		return NewSecret(), nil
	case ES256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		return "", fmt.Errorf("%q is none of HS256, ES256, EdDSA", algorithm)
	}
	if err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", fmt.Errorf("make key: %w", err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return strings.TrimSpace(string(text)), nil
}
