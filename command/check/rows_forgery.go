package check

import (
	"context"
	"time"
)

// forged is a row whose tokens must each be refused with 401 token_invalid. make forges them from a good one.
func forged(make func(p *probe, good parts) []string) func(ctx context.Context, p *probe) (string, error) {
	return refusedAs("token_invalid",
		func(ctx context.Context, p *probe, access string) (answers []answer, err error) {
			good, err := split(access)
			if err != nil {
				return nil, err
			}
			for _, token := range make(p, good) {
				answers = append(answers, p.me(ctx, bearer(token)))
			}
			return answers, nil
		})
}

// other is forged for one text that needs nothing but the token.
func other(make func(good parts) string) func(ctx context.Context, p *probe) (string, error) {
	return forged(func(_ *probe, good parts) []string { return []string{make(good)} })
}

func forgeryRows() []row { //nolint:funlen // a table
	const (
		anyone = "Whoever can write a token can be any user."
		verify = "Let Sherpa itself verify every token. Look for another verifier in front of it, and " +
			"remove it."
	)
	return []row{
		{
			name:   "token-garbage",
			checks: "what is no token gets 401 `token_invalid`",
			means:  anyone,
			mend:   verify,
			look:   refused("token_invalid", "Bearer garbage", "Bearer a.b.c", "Bearer a.b.c.d.e"),
		},
		{
			name:   "alg-none",
			checks: "`alg: none` is refused, with and without the signature (RFC 8725, section 2.1)",
			means:  anyone,
			mend:   verify,
			look: forged(func(_ *probe, good parts) []string {
				none := good.withHeader(`{"alg":"none","typ":"JWT"}`)
				odd := good.withHeader(`{"alg":"NonE","typ":"JWT"}`)
				signed := none.String()
				none.signature = ""
				return []string{none.String(), signed, odd.String()}
			}),
		},
		{
			name:   "alg-other",
			checks: "other algorithms in the header are refused (RFC 8725, section 3.1)",
			means:  anyone,
			mend:   verify,
			look: forged(func(_ *probe, good parts) (tokens []string) {
				for _, name := range []string{"HS256", "HS512", "RS256", "ES256", "ES384", "EdDSA"} {
					if name != good.read().Algorithm {
						tokens = append(tokens, good.withAlgorithm(name).String(),
							good.withHeader(`{"alg":"`+name+`","typ":"JWT"}`).String())
					}
				}
				return tokens
			}),
		},
		{
			name:   "public-key-as-secret",
			checks: "HS256 is refused when its secret is a published key (RFC 8725, section 2.1)",
			means:  anyone,
			mend:   verify,
			look:   lookPublicKeyAsSecret,
		},
		{
			name:   "header-changed",
			checks: "a header with another `kid`, with `jwk` or with `crit` is refused",
			means:  "A token can name the key that verifies it.",
			mend:   verify,
			look: forged(func(_ *probe, good parts) (tokens []string) {
				members := []string{
					`"kid":"../../dev/null"`, `"jwk":{"kty":"oct","k":"AA"}`, `"crit":["x"],"x":1`,
				}
				own := `{"alg":"` + good.read().Algorithm + `","typ":"JWT",`
				for _, more := range members {
					tokens = append(tokens, good.withHeader(own+more+`}`).String())
				}
				return tokens
			}),
		},
		{
			name:   "payload-changed",
			checks: "another user under the old signature is refused",
			means:  anyone,
			mend:   verify,
			look: other(func(good parts) string {
				return good.withClaims(map[string]any{"sub": "1000001", "identity": 1000001}).String()
			}),
		},
		{
			name:   "expiry-changed",
			checks: "another `exp` under the old signature, past or future, is refused",
			means:  "Whoever has a token can make it last for ever.",
			mend:   verify,
			look: forged(func(p *probe, good parts) []string {
				past, future := p.Now().Add(-time.Hour).Unix(), p.Now().Add(24*time.Hour).Unix()
				return []string{
					good.withClaims(map[string]any{"exp": past}).String(),
					good.withClaims(map[string]any{"exp": future}).String(),
				}
			}),
		},
		{
			name:   "signature-changed",
			checks: "a changed signature is refused",
			means:  anyone,
			mend:   verify,
			look: other(func(good parts) string {
				good.signature = flipped(good.signature)
				return good.String()
			}),
		},
		{
			name:   "signature-missing",
			checks: "a token without a signature is refused",
			means:  anyone,
			mend:   verify,
			look: forged(func(_ *probe, good parts) []string {
				return []string{good.header + "." + good.payload, good.header + "." + good.payload + "."}
			}),
		},
		{
			name:   "token-truncated",
			checks: "a token that was cut off is refused",
			means:  anyone,
			mend:   verify,
			look: other(func(good parts) string {
				good.signature = good.signature[:len(good.signature)/2]
				return good.String()
			}),
		},
		{
			name:   "token-extended",
			checks: "text after a token is refused",
			means:  "One token has many texts, so that lists of refused tokens miss it.",
			mend:   verify,
			look: forged(func(_ *probe, good parts) []string {
				return []string{good.String() + "A", good.String() + "." + good.signature}
			}),
		},
		{
			name:   "token-base64",
			checks: "padding, stray bits and other forms of base64 are refused (RFC 7515, section 2)",
			means:  "One token has many texts, so that lists of refused tokens miss it.",
			mend:   verify,
			look: forged(func(_ *probe, good parts) []string {
				return []string{
					good.strayBits().String(), good.String() + "=",
					good.header + "." + good.payload + ".+/" + good.signature,
				}
			}),
		},
		{
			name:   "token-foreign",
			checks: "a token that another key signed is refused",
			means:  anyone,
			mend:   verify,
			look:   other(func(good parts) string { return good.foreign().String() }),
		},
		{
			name:   "refresh-as-access",
			checks: "a refresh token is not accepted as an access token",
			means:  "The access of a stolen refresh token does not end after minutes.",
			mend:   verify,
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.me(ctx, bearer(p.main.refresh)).want(401, "token_invalid")
			},
		},
	}
}
