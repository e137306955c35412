package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/go-json-experiment/json"
)

// jwk is a public key (RFC 7517, section 4). It has no member for anything private.
type jwk struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y,omitempty"`
	Algorithm string `json:"alg"`
	Use       string `json:"use"`
	ID        string `json:"kid"`
}

// ecJWK describes a key on P-256 (RFC 7518, section 6.2.1).
func ecJWK(public *ecdsa.PublicKey) (*jwk, error) {
	point, err := public.Bytes() // 4, X, Y
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	k := &jwk{
		KeyType: "EC", Curve: "P-256", X: encode(point[1 : 1+coordinate]), Y: encode(point[1+coordinate:]),
		Algorithm: ES256, Use: "sig",
	}
	k.ID = thumbprint(`{"crv":"P-256","kty":"EC","x":"` + k.X + `","y":"` + k.Y + `"}`)
	return k, nil
}

// edJWK describes a key on Ed25519 (RFC 8037, section 2).
func edJWK(public ed25519.PublicKey) *jwk {
	k := &jwk{
		KeyType: "OKP", Curve: "Ed25519", X: base64.RawURLEncoding.EncodeToString(public),
		Algorithm: EdDSA, Use: "sig",
	}
	k.ID = thumbprint(`{"crv":"Ed25519","kty":"OKP","x":"` + k.X + `"}`)
	return k
}

// thumbprint returns the hash of the members that make the key (RFC 7638, section 3).
func thumbprint(members string) string {
	sum := sha256.Sum256([]byte(members))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sampleIDs are the thumbprints of private keys that stand in documents.
func sampleIDs() []string {
	return []string{
		"oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U", // RFC 7515, appendix A.3
		"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", // RFC 8037, appendix A
		"19J8y7Zprt2-QKLjF2I5pVk0OELX6cY2AfaAv1LC_w8", // the example for ES256 of jwt.io
	}
}

// publicSet returns the JWK Set of the public keys (RFC 7517, section 5), each once.
func publicSet(keys []key) ([]byte, error) {
	public := []*jwk{}
	for _, k := range keys {
		known := func(other *jwk) bool { return other.ID == k.ID }
		if k.public != nil && !slices.ContainsFunc(public, known) {
			public = append(public, k.public)
		}
	}
	text, err := json.Marshal(struct {
		Keys []*jwk `json:"keys"`
	}{public})
	if err != nil {
		return nil, fmt.Errorf("public keys: %w", err)
	}
	return text, nil
}

// PublicKeySet returns the public keys of the ring as a JWK Set (RFC 7517, section 5), in the order of the
// ring. A secret has none, so a ring of secrets has an empty set.
func (r KeyRing) PublicKeySet() []byte {
	if r.publicSet == nil {
		return []byte(`{"keys":[]}`)
	}
	return r.publicSet
}
