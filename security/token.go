package security

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

const (
	// Leeway is how far the clock of another replica may be ahead (the tutorial's library allows the same).
	Leeway = 10 * time.Second
	// maxToken is the most bytes of a token that are looked at; ours have about 300.
	maxToken = 4096
	// tokenHeader is {"alg":"HS256","typ":"JWT"} in base64url: the one header that we write and accept, which
	// leaves no room for another algorithm, a key of the sender's choice or a "crit" (RFC 8725, section 3.1).
	tokenHeader = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" //nolint:gosec // G101: no secret
)

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

// rawToken is a token in three parts that has the right shape and header; nothing in it is proven.
type rawToken struct {
	signed  string // header.payload
	payload []byte
	sum     []byte
}

// parseToken accepts exactly the texts that this service could have written (RFC 7515, section 7.1; RFC 8725bis,
// section 3.14): one text for one token, so that no altered copy of a token passes as another.
func parseToken(text string) (rawToken, error) {
	if len(text) > maxToken {
		return rawToken{}, tokenFault("it has more than %d characters", maxToken)
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return rawToken{}, tokenFault("it does not have the three parts of a JSON Web Token")
	}
	if parts[0] != tokenHeader {
		return rawToken{}, tokenFault("its header is not the one this service writes")
	}
	payload, payloadErr := decodeSegment(parts[1])
	sum, sumErr := decodeSegment(parts[2])
	if payloadErr != nil || sumErr != nil {
		return rawToken{}, tokenFault("it is not base64url as RFC 7515 has it")
	}
	return rawToken{signed: text[:len(parts[0])+1+len(parts[1])], payload: payload, sum: sum}, nil
}

// Verify returns the claims of an access token that a key of the ring signed, with all checked that does not change
// with time. Its times and its session are for Identity to check.
func (s *Service) Verify(text string) (Claims, error) {
	raw, err := parseToken(text)
	if err != nil {
		return Claims{}, err
	}
	if _, err := s.Keys.verify(raw); err != nil {
		return Claims{}, err
	}
	claims, err := raw.claims()
	if err != nil {
		return Claims{}, err
	}
	return claims, claims.check(s.Settings)
}

// verify returns the key that signed the token.
func (r KeyRing) verify(t rawToken) ([]byte, error) {
	key, ok := r.find(t.signed, t.sum)
	if !ok {
		return nil, tokenFault("its signature is not ours, or its key was retired")
	}
	return key, nil
}

// decodeSegment compares with the canonical text, because the decoder skips line ends and ignores stray bits.
func decodeSegment(segment string) ([]byte, error) {
	raw, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return nil, err
	}
	if base64.RawURLEncoding.EncodeToString(raw) != segment {
		return nil, fmt.Errorf("not canonical")
	}
	return raw, nil
}

// claims reads the payload strictly: duplicate members, text after the object and wrong types are refused.
func (t rawToken) claims() (Claims, error) {
	var c Claims
	if err := json.Unmarshal(t.payload, &c); err != nil {
		return Claims{}, &Error{
			Code: TokenInvalid, Err: err,
			Detail: "The token was refused: its claims are not the ones this service writes. " + logInAgain,
		}
	}
	return c, nil
}

const logInAgain = "Get a new one from POST /auth/refresh or POST /auth."

func tokenFault(format string, args ...any) *Error {
	return &Error{Code: TokenInvalid, Detail: fmt.Sprintf("The token was refused: "+format+". ", args...) + logInAgain}
}

// named reports whether the claims name a user, twice the same, and a session.
func (c *Claims) named() bool {
	return c.Identity > 0 && c.Subject == strconv.FormatInt(c.Identity, 10) && c.SessionID != ""
}

// check applies the rules that hold or fail for ever. A missing claim is a wrong one.
func (c *Claims) check(s Settings) error {
	switch {
	case c.Issuer != s.Issuer:
		return tokenFault("another service issued it")
	case c.Audience != s.Audience:
		return tokenFault("it is meant for another service")
	case !c.named():
		return tokenFault("it does not name a user and a session")
	case c.ExpiresAt == 0 || c.NotBefore == 0 || c.IssuedAt == 0:
		return tokenFault("it does not say when it was issued and when it expires")
	}
	return nil
}

// checkTimes applies the rules that change with time.
func (c *Claims) checkTimes(now time.Time) error {
	switch {
	case now.Unix() >= c.ExpiresAt:
		ago := time.Duration(now.Unix()-c.ExpiresAt) * time.Second
		return &Error{Code: TokenExpired, Detail: fmt.Sprintf("The token expired %v ago. %s", ago, logInAgain)}
	case now.Unix() < c.NotBefore, now.Add(Leeway).Unix() < c.IssuedAt:
		return tokenFault("it is not valid yet: the clocks of the servers differ")
	}
	return nil
}
