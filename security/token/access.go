package token

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// Leeway is how far the clock of another replica may be ahead. The tutorial's library allows the same.
	Leeway = 10 * time.Second
	// maxLength is the length in bytes of the longest token that is read; ours have about 300 to 500.
	maxLength = 4096
)

// InvalidError says why a token is not one of ours. Reason completes "The token was refused: …" and is safe
// to show.
type InvalidError struct{ Reason string }

func (e *InvalidError) Error() string { return e.Reason }

func invalid(format string, args ...any) error { return &InvalidError{fmt.Sprintf(format, args...)} }

// ExpiredError says that a token of ours expired, and how long ago.
type ExpiredError struct{ Ago time.Duration }

func (e *ExpiredError) Error() string { return fmt.Sprintf("it expired %v ago", e.Ago) }

// Claims are what an access token says (RFC 7519, section 4).
type Claims struct {
	Identity  int64  `json:"identity"` // user id; the tutorial's claim
	Subject   string `json:"sub"`      // the same as a string
	SessionID string `json:"sid"`
	Issuer    string `json:"iss"`
	Audience  string `json:"aud"`
	IssuedAt  int64  `json:"iat"` // seconds since 1970 UTC, as the two below
	NotBefore int64  `json:"nbf"`
	ExpiresAt int64  `json:"exp"`
}

// Access is an access token of the right shape. Nothing in it is proven before SignedBy.
type Access struct {
	header    string // in base64url
	signed    string // header.payload
	payload   []byte
	signature []byte
}

// ParseAccess accepts three parts in the one base64url form that this service writes (RFC 7515, section 7.1;
// RFC 8725bis, section 3.14). Each token has one text, so no altered copy of a token passes as another. The
// error is *InvalidError.
func ParseAccess(text string) (Access, error) {
	if len(text) > maxLength {
		return Access{}, invalid("it has more than %d characters", maxLength)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return Access{}, invalid("it does not have the three parts of a JSON Web Token")
	}
	_, headerErr := decodeSegment(parts[0])
	payload, payloadErr := decodeSegment(parts[1])
	signature, signatureErr := decodeSegment(parts[2])
	if errors.Join(headerErr, payloadErr, signatureErr) != nil {
		return Access{}, invalid("it is not in the base64url form of RFC 7515")
	}
	signed := text[:len(parts[0])+1+len(parts[1])]
	return Access{header: parts[0], signed: signed, payload: payload, signature: signature}, nil
}

// decodeSegment compares with the canonical text, because the decoder skips line ends and ignores stray bits.
func decodeSegment(segment string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return nil, err
	}
	if base64.RawURLEncoding.EncodeToString(raw) != segment {
		return nil, errors.New("not canonical")
	}
	return raw, nil
}

// SignedBy returns the key of the ring that signed the token. It looks at the header first, as a text: each
// key accepts the one that it writes. That leaves no room for another algorithm, a key that the sender chose,
// or a "crit" (RFC 8725, section 3.1). The error is *InvalidError.
func (a Access) SignedBy(ring KeyRing) (KeyName, error) {
	known := false
	for _, key := range ring.keys {
		if key.header != a.header {
			continue
		}
		known = true
		if key.method.signed(a.signed, a.signature) {
			return key.KeyName, nil
		}
	}
	if !known {
		return KeyName{}, invalid("its header is not the one of a key here: it is not ours, " +
			"or its key was retired")
	}
	return KeyName{}, invalid("its signature is not ours, or its key was retired")
}

// Claimed returns the algorithm and the kid that the header claims. They are for people: nothing is decided
// by them.
func (a Access) Claimed() (algorithm, id string) {
	var header struct {
		Algorithm string `json:"alg"`
		ID        string `json:"kid"`
	}
	raw, err := decodeSegment(a.header)
	if err != nil || json.Unmarshal(raw, &header) != nil {
		return "", ""
	}
	return header.Algorithm, header.ID
}

// NewAccess returns an access token with these claims, which the first key of the ring signs.
func (r KeyRing) NewAccess(claims map[string]any) (string, error) {
	if r.Empty() {
		return "", errors.New("there is no signing key")
	}
	payload, err := json.Marshal(claims, json.Deterministic(true))
	if err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	first := r.keys[0]
	signed := first.header + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := first.method.sign(signed)
	if err != nil {
		return "", err
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// Claims reads the payload strictly: it rejects duplicate members, text after the object and wrong types. The
// error wraps an *InvalidError.
func (a Access) Claims() (Claims, error) {
	var c Claims
	if err := json.Unmarshal(a.payload, &c); err != nil {
		reason := invalid("its claims are not the ones that this service writes")
		return Claims{}, fmt.Errorf("%w: %w", reason, err)
	}
	return c, nil
}

// Verify returns the claims of an access token that a key of the ring signed for this issuer and audience. It
// parses the token and checks its signature once. The times change, so the caller checks them with
// CheckTimes. The error wraps an *InvalidError.
func (r KeyRing) Verify(text, issuer, audience string) (Claims, error) {
	access, err := ParseAccess(text)
	if err != nil {
		return Claims{}, err
	}
	if _, err := access.SignedBy(r); err != nil {
		return Claims{}, err
	}
	claims, err := access.Claims()
	if err != nil {
		return Claims{}, err
	}
	return claims, claims.Check(issuer, audience)
}

// Check applies the rules that do not depend on the time. A missing claim is a wrong one. The error is
// *InvalidError.
func (c *Claims) Check(issuer, audience string) error {
	switch {
	case c.Issuer != issuer:
		return invalid("another service issued it")
	case c.Audience != audience:
		return invalid("it is meant for another service")
	case !c.NamesUser():
		return invalid("it does not name a user and a session")
	case c.ExpiresAt == 0 || c.NotBefore == 0 || c.IssuedAt == 0:
		return invalid("it does not say when it was issued and when it expires")
	}
	return nil
}

// NamesUser reports whether the claims name a session and a user, who is the same in both of their claims.
func (c *Claims) NamesUser() bool {
	return c.Identity > 0 && c.Subject == strconv.FormatInt(c.Identity, 10) && c.SessionID != ""
}

// CheckTimes applies the rules that depend on the time. The error is *ExpiredError or *InvalidError.
func (c *Claims) CheckTimes(now time.Time) error {
	switch {
	case now.Unix() >= c.ExpiresAt:
		return &ExpiredError{time.Duration(now.Unix()-c.ExpiresAt) * time.Second}
	case now.Unix() < c.NotBefore, now.Add(Leeway).Unix() < c.IssuedAt:
		return invalid("it is not valid yet: the clocks of the servers differ")
	}
	return nil
}
