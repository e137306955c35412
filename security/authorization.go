package security

import (
	"strings"
)

// Schemes of an access token, in any case (RFC 9110, section 11.1): today's name and the tutorial's.
const (
	SchemeBearer = "Bearer"
	SchemeJWT    = "JWT"
)

// ParseAuthorization returns the scheme and the token in the Authorization headers of one request. The error
// is *Error: token_missing, token_invalid, or invalid_authorization when there are two headers, because a
// proxy and this service might each believe another one.
func ParseAuthorization(values []string) (scheme, token string, err error) {
	if len(values) > 1 {
		return "", "", &Error{Code: InvalidAuthorization}
	}
	if len(values) == 0 || strings.Trim(values[0], " \t") == "" {
		return "", "", missingToken("The request has no Authorization header")
	}
	scheme, rest, _ := strings.Cut(strings.Trim(values[0], " \t"), " ")
	scheme, known := canonicalScheme(scheme)
	if !known {
		return "", "", missingToken("The scheme of the Authorization header was " + quoteScheme(scheme))
	}
	token = strings.Trim(rest, " \t")
	if token == "" {
		return scheme, "", missingToken("The Authorization header has no token after the scheme")
	}
	if token[0] == '"' {
		return scheme, "", &Error{Code: TokenInvalid, Fact: "it is in quotes, which are not part of it"}
	}
	if hasSeparator(token) {
		return scheme, "", &Error{Code: TokenInvalid, Fact: "there is more than one word after the scheme"}
	}
	return scheme, token, nil
}

// hasSeparator looks for each separator alone: on the length of a token, strings.ContainsAny takes ten times
// as long.
func hasSeparator(token string) bool {
	return strings.IndexByte(token, ' ') >= 0 || strings.IndexByte(token, '\t') >= 0 ||
		strings.IndexByte(token, ',') >= 0
}

func canonicalScheme(scheme string) (string, bool) {
	switch {
	case strings.EqualFold(scheme, SchemeBearer):
		return SchemeBearer, true
	case strings.EqualFold(scheme, SchemeJWT):
		return SchemeJWT, true
	}
	return scheme, false
}

// quoteScheme repeats only what looks like a scheme: the first word may be a credential without a scheme.
func quoteScheme(scheme string) string {
	if len(scheme) > 12 || strings.ContainsFunc(scheme, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-'
	}) {
		return "missing or unknown"
	}
	return "`" + scheme + "`"
}

func missingToken(what string) *Error { return &Error{Code: TokenMissing, Fact: what} }
