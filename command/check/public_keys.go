package check

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// coordinate is the size in bytes of a number on the curve P-256, and of a key on Ed25519.
const coordinate = 32

// jwk is a public key of the service (RFC 7517, section 4).
type jwk map[string]any

func (k jwk) text(name string) string {
	text, _ := k[name].(string) // another type is as good as missing
	return text
}

// publicKeys asks for the public keys (RFC 7517, section 5).
func (p *probe) publicKeys(ctx context.Context) (keys []jwk, a answer, err error) {
	var set struct {
		Keys []jwk `json:"keys"`
	}
	a = p.get(ctx, "/.well-known/jwks.json")
	if _, err := a.want(http.StatusOK, ""); err != nil {
		return nil, a, err
	}
	err = a.read(&set)
	return set.Keys, a, err
}

// fault returns what is wrong with the key. It repeats no member of it: one could be secret.
func (k jwk) fault() error {
	for _, private := range []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth"} {
		if _, has := k[private]; has {
			return fmt.Errorf("a key has the private member %q", private)
		}
	}
	if _, err := k.public(); err != nil {
		return err
	}
	return errors.Join(same("use", k.text("use"), "sig"), same("kid", k.text("kid"), k.thumbprint()))
}

// thumbprint is the name that the key should have (RFC 7638, section 3).
func (k jwk) thumbprint() string {
	members := fmt.Sprintf(`{"crv":%q,"kty":%q,"x":%q`, k.text("crv"), k.text("kty"), k.text("x"))
	if k.text("kty") == "EC" {
		members += fmt.Sprintf(`,"y":%q`, k.text("y"))
	}
	sum := sha256.Sum256([]byte(members + "}"))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// public returns the key of one of the two algorithms that there are.
func (k jwk) public() (any, error) {
	x, xErr := base64.RawURLEncoding.DecodeString(k.text("x"))
	y, yErr := base64.RawURLEncoding.DecodeString(k.text("y"))
	kind := strings.Join([]string{k.text("alg"), k.text("kty"), k.text("crv")}, " ")
	switch {
	case errors.Join(xErr, yErr) != nil, len(x) != coordinate:
	case kind == "EdDSA OKP Ed25519":
		return ed25519.PublicKey(x), nil
	case kind == "ES256 EC P-256" && len(y) == coordinate:
		point := append(append([]byte{4}, x...), y...)
		if key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("a key is neither one for ES256 on P-256 nor one for EdDSA on Ed25519")
}

// made reports whether the private key of this one made the signature.
func (k jwk) made(t parts) bool {
	public, err := k.public()
	signature, decodeErr := base64.RawURLEncoding.DecodeString(t.signature)
	if err != nil || decodeErr != nil || len(signature) != 2*coordinate {
		return false
	}
	message := []byte(t.header + "." + t.payload)
	if key, ok := public.(ed25519.PublicKey); ok {
		return ed25519.Verify(key, message, signature)
	}
	sum := sha256.Sum256(message)
	r, s := new(big.Int).SetBytes(signature[:coordinate]), new(big.Int).SetBytes(signature[coordinate:])
	return ecdsa.Verify(public.(*ecdsa.PublicKey), sum[:], r, s)
}

// forms are the texts that a verifier may have of the key, and so an attacker.
func (k jwk) forms() (texts []string) {
	public, err := k.public()
	if err != nil {
		return nil
	}
	x, _ := base64.RawURLEncoding.DecodeString(k.text("x")) // public has decoded it
	texts = []string{k.text("x"), string(x)}
	if der, err := x509.MarshalPKIXPublicKey(public); err == nil {
		block := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
		texts = append(texts, string(der), block, strings.TrimSpace(block))
	}
	return texts
}

var maxAge = regexp.MustCompile(`(?:^|[ ,])(?:s-maxage|max-age)=(\d+)`)

// longestKept is how long a public key may be kept, in seconds. After that a new key may sign.
const longestKept = 300

func lookPublicKeys(ctx context.Context, p *probe) (string, error) {
	keys, a, err := p.publicKeys(ctx)
	if err != nil {
		return "", err
	}
	faults := []error{unless(keys != nil, "the answer has no list of keys")}
	for _, k := range keys {
		faults = append(faults, k.fault())
	}
	for _, age := range maxAge.FindAllStringSubmatch(a.header.Get("Cache-Control"), -1) {
		seconds, err := strconv.Atoi(age[1])
		long := fmt.Sprintf("they may be kept for %s s, want at most %d", age[1], longestKept)
		faults = append(faults, unless(err == nil && seconds <= longestKept, long))
	}
	return each(fmt.Sprintf("%d keys", len(keys)), faults...)
}

// lookPublicKeyVerifies does what a verifier does that has nothing but the public keys.
func lookPublicKeyVerifies(ctx context.Context, p *probe) (string, error) {
	access, err := p.token(ctx)
	if err != nil {
		return "", err
	}
	t, err := split(access)
	if err != nil {
		return "", err
	}
	header := t.read()
	if _, public := signatureBits(header.Algorithm); !public {
		return header.Algorithm + ", which nobody else can verify", nil
	}
	keys, _, err := p.publicKeys(ctx)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(keys, func(k jwk) bool { return k.text("kid") == header.ID })
	if i < 0 {
		return "", fmt.Errorf("none of %d keys has the kid of the token", len(keys))
	}
	return each(fmt.Sprintf("%s, kid %.8s…", header.Algorithm, header.ID),
		same("alg of the key", keys[i].text("alg"), header.Algorithm),
		unless(keys[i].made(t), "the key with the kid of the token did not make its signature"))
}

// lookPublicKeyAsSecret forges tokens with what everybody knows.
func lookPublicKeyAsSecret(ctx context.Context, p *probe) (string, error) {
	keys, set, err := p.publicKeys(ctx)
	if err != nil {
		return "", err
	}
	known := []string{string(set.body)}
	for _, k := range keys {
		known = append(known, k.forms()...)
	}
	return forged(func(_ *probe, good parts) (tokens []string) {
		for _, text := range known {
			secret := good.withHeader(`{"alg":"HS256","typ":"JWT"}`)
			tokens = append(tokens, secret.signedWith([]byte(text)).String(),
				good.signedWith([]byte(text)).String())
		}
		return tokens
	})(ctx, p)
}
