package check

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

func loginRows() []row { //nolint:funlen // a table
	return []row{
		{
			name:   "login",
			checks: "a login answers with two tokens, their type and their lifetimes",
			means:  "Clients cannot know how to send the token, or when to refresh.",
			mend:   "Send the answer of POST /auth through as it is.",
			look: func(_ context.Context, p *probe) (string, error) {
				got := p.main.login
				return each(fmt.Sprintf("%s, %d s", got.Type, got.ExpiresIn),
					same("token_type", got.Type, "Bearer"),
					unless(got.ExpiresIn > 0, "expires_in is missing"),
					unless(got.RefreshExpiresIn > 0, "refresh_expires_in is missing"))
			},
		},
		{
			name:   "login-refused",
			checks: "an unknown name gets 401 `invalid_credentials`",
			means:  "Strangers can log in, or a client cannot tell a wrong password from another error.",
			mend:   "Send status and body of the service through; let no other program answer POST /auth.",
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.post(ctx, "/auth", credentials(impossibleName(), "x")).
					want(401, "invalid_credentials")
			},
		},
		{
			name:   "reset-refused",
			checks: "a token of a password reset that was never issued gets 401 `reset_token_invalid`",
			means:  "Strangers can set passwords, or a client cannot tell a used token from another error.",
			mend:   "Send status and body of the service through; let no other program answer below /auth.",
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.post(ctx, "/auth/password-reset", `{"token":"sherpa_reset_none","password":"x"}`).
					want(401, "reset_token_invalid")
			},
		},
		{
			name: "throttle",
			checks: "failed logins for one name are slowed down, with 429 and Retry-After; the name is " +
				"one that " +
				"nobody can have",
			means: "Passwords can be guessed at full speed, or clients do not learn how long to wait.",
			mend:  "Keep the throttle on, and let the proxy pass Retry-After.",
			look:  lookThrottle,
		},
		{
			name:   "login-by-post",
			checks: "GET /auth gets 405: no password can be in a URL",
			means:  "Passwords could be in URLs, which logs, histories and caches keep.",
			mend:   "Do not rewrite methods in the proxy, and serve no page of another program at /auth.",
			look: func(ctx context.Context, p *probe) (string, error) {
				return p.get(ctx, "/auth?username=nobody&password=x").want(405, "method_not_allowed")
			},
		},
		{
			name:   "no-compression",
			checks: "answers with tokens are not compressed, also for clients that accept gzip",
			means: "The length of a compressed answer tells something about the secrets in it " +
				"(BREACH), and a " +
				"proxy that compresses has rewritten the answer.",
			mend: "Switch compression off for /auth. nginx: gzip off.",
			look: func(ctx context.Context, p *probe) (string, error) {
				if _, err := p.open(ctx, "Accept-Encoding: gzip, br"); err != nil {
					return "", err
				}
				return "none", nil
			},
		},
	}
}

// lookThrottle fails on purpose, for a name of its own that nobody can have: no user has to wait. The address
// pays with a tenth of the hundred logins that it may send at once, and has them again within two seconds.
func lookThrottle(ctx context.Context, p *probe) (string, error) {
	const most = 10
	body := credentials(impossibleName(), "x")
	for try := 1; try <= most; try++ {
		a := p.post(ctx, "/auth", body)
		if a.status == http.StatusUnauthorized {
			continue
		}
		if _, err := a.want(http.StatusTooManyRequests, "throttled"); err != nil {
			return "", err
		}
		seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil || seconds < 1 {
			return "", fmt.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
		}
		return fmt.Sprintf("try %d has to wait %d s", try, seconds), nil
	}
	return "", fmt.Errorf("%d failures in a row, and no wait", most)
}

func tokenRows() []row { //nolint:funlen // a table
	return []row{
		{
			name: "token-form",
			checks: "the access token is a JWT with HS256 and 256 bits of signature, or with ES256 or " +
				"EdDSA, 512 bits and a `kid`",
			means: "Another program made the token, or its signature is weaker than promised.",
			mend:  "Look for a program on the way that answers POST /auth itself.",
			look:  lookTokenForm,
		},
		{
			name:   "token-key",
			checks: "the token is not signed with a key of a tutorial or a template",
			means:  "Whoever tries the well-known keys can be any user.",
			mend:   "Make a key with `sherpa key new`, restart, and end all sessions.",
			look: func(_ context.Context, p *probe) (string, error) {
				t, err := split(p.main.access)
				if err != nil {
					return "", err
				}
				for _, key := range sampleKeys() {
					if t.isSignedWith([]byte(key)) {
						return "", errors.New("a well-known key made its signature")
					}
				}
				return fmt.Sprintf("%d well-known keys tried", len(sampleKeys())), nil
			},
		},
		{
			name: "public-keys",
			checks: "GET /.well-known/jwks.json has public keys and nothing private, each named by its " +
				"thumbprint (RFC 7638), to be kept for five minutes at most",
			means: "Somebody can read a private key and be any user; or verifiers take keys that are not " +
				"ours, or keep them for so long that a change of keys fails requests.",
			mend: "Send answer and Cache-Control of the service through. If a private key was in it, " +
				"change that key at once.",
			look: lookPublicKeys,
		},
		{
			name:   "public-key-verifies",
			checks: "with ES256 or EdDSA, the published key with the `kid` of the token verifies it",
			means:  "Verifiers refuse tokens that are good.",
			mend: "Give all replicas the same keys in the same order, and let no cache keep the public " +
				"keys for longer than it may.",
			look: lookPublicKeyVerifies,
		},
		{
			name:   "token-claims",
			checks: "`sub`, `identity` and `sid` of the token are those that GET /auth/me says",
			means:  "The service takes you for somebody else: an answer of another user was sent to you.",
			mend:   "Switch the cache of the proxy off for everything that needs a token.",
			look:   withToken(lookTokenClaims),
		},
		{
			name:   "token-lifetime",
			checks: "`exp` is `expires_in` after `iat`, give or take 5 s, and at most a day",
			means:  "Clients refresh too late or too early, or a stolen token works for long.",
			mend:   "Set SHERPA_ACCESS_TTL to minutes.",
			look: func(_ context.Context, p *probe) (string, error) {
				c := p.main.claims()
				lifetime := c.ExpiresAt - c.IssuedAt
				// The service reads its clock for each of the two.
				off := lifetime - int64(p.main.login.ExpiresIn)
				if off < -5 || off > 5 || lifetime > 86400 {
					return "", fmt.Errorf("%d s, and expires_in is %d", lifetime, p.main.login.ExpiresIn)
				}
				return fmt.Sprintf("%d s", lifetime), nil
			},
		},
		{
			name:   "token-clock",
			checks: "`iat` and the Date of the same answer differ by at most 10 s",
			means: "The clocks of proxy and service differ: other replicas refuse such tokens as not " +
				"yet valid.",
			mend: "Let a time server (NTP) set the clocks of all machines.",
			look: func(_ context.Context, p *probe) (string, error) {
				date, err := http.ParseTime(p.main.header.Get("Date"))
				if err != nil {
					return "", errors.New("the login has no Date header")
				}
				off := date.Sub(time.Unix(p.main.claims().IssuedAt, 0)).Abs()
				differ := fmt.Sprintf("they differ by %v", off)
				return each(differ, unless(off <= 10*time.Second, differ))
			},
		},
		{
			name:   "token-expired",
			checks: "an access token that has expired gets 401 `token_expired` (waits for it with --wait)",
			means:  "Stolen tokens work for ever, or clients do not learn that they must refresh.",
			mend:   "Let the service verify every request; let the proxy cache no answer.",
			look:   lookExpired,
		},
	}
}

func lookTokenForm(_ context.Context, p *probe) (string, error) {
	t, err := split(p.main.access)
	if err != nil {
		return "", err
	}
	header := t.read()
	bits, public := signatureBits(header.Algorithm)
	signature, err := base64.RawURLEncoding.DecodeString(t.signature)
	return each(fmt.Sprintf("%s, %d bits", header.Algorithm, 8*len(signature)), err,
		unless(bits > 0, fmt.Sprintf("alg is %q, want HS256, ES256 or EdDSA", header.Algorithm)),
		same("bits of the signature", 8*len(signature), bits),
		unless(!public || header.ID != "", "the header has no kid"))
}

func lookTokenClaims(ctx context.Context, p *probe, access string) (string, error) {
	var me struct {
		ID        int64  `json:"id"`
		SessionID string `json:"session_id"`
	}
	a := p.me(ctx, bearer(access))
	if _, err := a.want(http.StatusOK, ""); err != nil {
		return "", err
	}
	if err := a.read(&me); err != nil {
		return "", err
	}
	c := p.main.claims()
	return each(fmt.Sprintf("user %d", me.ID), same("sub", c.Subject, strconv.FormatInt(me.ID, 10)),
		same("identity", c.Identity, me.ID), same("sid", c.SessionID, me.SessionID))
}

// lookExpired needs a token whose time is over: nobody but the service can make one. It has a session of its
// own, because the token of the main one is renewed.
func lookExpired(ctx context.Context, p *probe) (string, error) {
	const short = 3 // seconds
	if lives := p.main.login.ExpiresIn; lives > short && !p.Wait {
		return "", skipped(fmt.Sprintf("tokens live for %d s; --wait waits for it", lives))
	}
	s, err := p.open(ctx)
	if err != nil {
		return "", err
	}
	const margin = time.Second // of the clocks
	if err := p.Sleep(ctx, s.expires.Sub(p.Now())+margin); err != nil {
		return "", err
	}
	return p.me(ctx, bearer(s.access)).want(http.StatusUnauthorized, "token_expired")
}
