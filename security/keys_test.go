package security

import (
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/security/token"
)

const (
	newerKey = "Zr8dVq3NwYb6KtXj1PfLm9ChRs5GuAe2"
	otherKey = "hT4cXw8Pq2Ln6Vb9Jk3Fs7Ym1Gd5RzAe"
)

func ringOf(t testing.TB, keys string) token.KeyRing {
	t.Helper()
	ring, err := token.ParseKeyRing(keys)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func newKey(t testing.TB, algorithm string) string {
	t.Helper()
	text, err := token.NewKey(algorithm)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (b *bench) useKeys(ring token.KeyRing) {
	b.t.Helper()
	if err := b.UseKeys(ring); err != nil {
		b.t.Fatal(err)
	}
}

// enter logs in through the gate, as the handler does.
func (b *bench) enter(gate *Gate, name string) Tokens {
	b.t.Helper()
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest("POST", "/auth", nil)
	tokens, err := gate.LogIn(c, Credentials{name, goodPassword})
	if err != nil {
		b.t.Fatal(err)
	}
	return tokens
}

// TestChangeOfKeys changes the ring of a running service. The user has tokens of the first ring.
func TestChangeOfKeys(t *testing.T) {
	t.Parallel()
	private := newKey(t, token.ES256)
	tests := []struct {
		name     string
		next     string
		known    bool // the service verified the access token before
		accepted bool
	}{
		{"the same key", goodKey, false, true},
		{"a new key in front", newerKey + "," + goodKey, false, true},
		{"a new key in front, known token", newerKey + "," + goodKey, true, true},
		{"a new key at the end", goodKey + "," + newerKey, true, true},
		{"the key removed", newerKey, false, false},
		{"the key removed, known token", newerKey, true, false},
		{"the key replaced by two", newerKey + "," + otherKey, true, false},
		{"a private key in front", private + "\n" + goodKey, true, true},
		{"a private key at the end", goodKey + "\n" + private, true, true},
		{"the key replaced by a private one", private, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.addUser("ada")
			gate := b.gate()
			old := b.enter(gate, "ada")
			if tt.known {
				b.wantAccess(old.AccessToken, true)
			}
			b.useKeys(ringOf(t, tt.next))
			b.wantAccess(old.AccessToken, tt.accepted)
			if _, err := b.Refresh(t.Context(), old.RefreshToken); (err == nil) != tt.accepted {
				t.Errorf("refresh: %v, want accepted: %v", err, tt.accepted)
			}
			fresh := b.enter(gate, "ada")
			b.wantAccess(fresh.AccessToken, true)
			b.wantSignedBy(fresh.AccessToken, b.Keys())
		})
	}
}

// TestMoveToAPrivateKey follows docs/keys.md, there and back again. One session goes on through all of it.
func TestMoveToAPrivateKey(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{token.ES256, token.EdDSA} {
		b := newBench(t)
		b.addUser("ada")
		gate := b.gate()
		session := b.enter(gate, "ada")
		private := newKey(t, algorithm)
		for _, step := range []struct{ keys, signs string }{
			{goodKey + "\n" + private, token.HS256}, {private + "\n" + goodKey, algorithm},
			{private, algorithm},
			{private + "\n" + newerKey, algorithm}, {newerKey + "\n" + private, token.HS256},
			{newerKey, token.HS256},
		} {
			b.useKeys(ringOf(t, step.keys))
			b.wantAccess(session.AccessToken, true)
			c, _ := request()
			next, err := gate.Refresh(c, session.RefreshToken)
			if err != nil {
				t.Fatalf("%s, %s signs: %v", algorithm, step.signs, err)
			}
			b.wantAccess(next.AccessToken, true)
			b.wantSignedBy(next.AccessToken, b.Keys())
			if got := b.Keys().Names()[0].Algorithm; got != step.signs {
				t.Errorf("%s signs, want %s", got, step.signs)
			}
			session = next
		}
	}
}

// TestGinJWTCannotSignForAPrivateKey: what it makes beside a private key is accepted nowhere, and no client
// gets it.
func TestGinJWTCannotSignForAPrivateKey(t *testing.T) {
	t.Parallel()
	for _, keys := range []string{
		newKey(t, token.ES256), newKey(t, token.EdDSA), newKey(t, token.ES256) + "\n" + goodKey,
	} {
		b := newBench(t)
		b.addUser("ada")
		b.useKeys(ringOf(t, keys))
		gate := b.gate()
		signer, err := gate.signer()
		if err != nil {
			t.Fatal(err)
		}
		var worthless string
		answer := signer.jwt.LoginResponse
		signer.jwt.LoginResponse = func(c *gin.Context, status int, access string, expires time.Time) {
			worthless = access
			answer(c, status, access, expires)
		}
		c, recorder := request()
		tokens, err := gate.LogIn(c, Credentials{"ada", goodPassword})
		if err != nil || strings.Count(worthless, ".") != 2 {
			t.Fatalf("%q, %v", worthless, err)
		}
		if tokens.AccessToken == worthless || recorder.Body.Len() > 0 || len(recorder.Header()) > 0 {
			t.Errorf("a client gets it: %v", recorder.Header())
		}
		b.wantAccess(tokens.AccessToken, true)
		b.wantSignedBy(tokens.AccessToken, b.Keys())
		for _, ring := range []token.KeyRing{*b.Keys(), ringOf(t, goodKey), ringOf(t, goodKey+","+newerKey)} {
			b.useKeys(ring)
			b.wantAccess(worthless, false)
			_, err = b.LogOut(t.Context(), worthless, ScopeLocal)
			wantCode(t, err, TokenInvalid)
			_, err = b.Refresh(t.Context(), worthless)
			wantCode(t, err, RefreshInvalid)
		}
		if other := b.gate().signs.Load().jwt.Key; string(other) == string(signer.jwt.Key) ||
			len(signer.jwt.Key) < 32 {
			t.Error("gin-jwt has a key that is not random")
		}
	}
}

// TestClaimsAreTheSameForEveryKey: clients see another header, and nothing else.
func TestClaimsAreTheSameForEveryKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada", "guide")
	login := b.logIn("ada")
	var all []string
	for _, algorithm := range []string{token.HS256, token.ES256, token.EdDSA} {
		b.useKeys(ringOf(t, newKey(t, algorithm)))
		signer, err := b.gate().signer()
		if err != nil {
			t.Fatal(err)
		}
		access, err := signer.access(&login)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, strings.Split(access, ".")[1])
	}
	if all[0] != all[1] || all[0] != all[2] {
		t.Errorf("the claims differ: %v", all)
	}
}

func (b *bench) wantAccess(access string, accepted bool) {
	b.t.Helper()
	if _, err := b.Identify(b.t.Context(), access); (err == nil) != accepted {
		b.t.Errorf("identify: %v, want accepted: %v", err, accepted)
	} else if !accepted {
		wantCode(b.t, err, TokenInvalid)
	}
}

// wantSignedBy demands that the first key of the ring signed the token.
func (b *bench) wantSignedBy(access string, ring *token.KeyRing) {
	b.t.Helper()
	parsed, err := token.ParseAccess(access)
	if err != nil {
		b.t.Fatal(err)
	}
	if name, err := parsed.SignedBy(*ring); err != nil || name.Number != 1 {
		b.t.Errorf("the first key did not sign it: %v, %v", name, err)
	}
}

// TestRefreshSignsWithTheNewKey: the gate's other way to a token.
func TestRefreshSignsWithTheNewKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	gate := b.gate()
	old := b.enter(gate, "ada")
	b.useKeys(ringOf(t, newerKey+","+goodKey))
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequest("POST", "/auth/refresh", nil)
	next, err := gate.Refresh(c, old.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	b.wantSignedBy(next.AccessToken, b.Keys())
	b.useKeys(ringOf(t, newerKey))
	b.wantAccess(next.AccessToken, true)
	if _, err := b.Refresh(t.Context(), next.RefreshToken); err != nil {
		t.Errorf("its refresh token: %v", err)
	}
}

// TestVerifiedDuringAChangeOfKeys: a request verifies with the old ring and keeps what it found when the new
// ring is in use already.
func TestVerifiedDuringAChangeOfKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	access := b.tokens("ada").AccessToken
	old := b.Keys()
	claims, err := b.verify(access, old)
	if err != nil {
		t.Fatal(err)
	}
	b.useKeys(ringOf(t, newerKey))
	b.cache.put(access, old, claims)
	b.wantAccess(access, false)
}

func TestAnEmptyRingIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	access := b.tokens("ada").AccessToken
	if err := b.UseKeys(token.KeyRing{}); err == nil {
		t.Error("an empty ring is in use")
	}
	b.wantAccess(access, true)
}

// TestKeysChangeUnderRequests is for the race detector. The kept key is in every ring, so nothing may fail.
func TestKeysChangeUnderRequests(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	gate := b.gate()
	kept := b.enter(gate, "ada").AccessToken
	private := newKey(t, token.ES256)
	rings := []token.KeyRing{ringOf(t, private+"\n"+goodKey), ringOf(t, goodKey+"\n"+private)}
	var work sync.WaitGroup
	over := make(chan struct{})
	work.Go(func() {
		defer close(over)
		for i := range 200 {
			b.useKeys(rings[i%2])
		}
	})
	for range 2 {
		refresh := b.logIn("ada").RefreshToken
		work.Go(func() { b.requests(gate, kept, refresh, over) })
	}
	work.Wait()
}

// requests refreshes and identifies until it is over.
func (b *bench) requests(gate *Gate, kept, refresh string, over chan struct{}) {
	for {
		select {
		case <-over:
			return
		default:
		}
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest("POST", "/auth/refresh", nil)
		next, err := gate.Refresh(c, refresh)
		if err != nil {
			b.t.Error(err)
			return
		}
		refresh = next.RefreshToken
		b.wantAccess(kept, true)
		b.wantAccess(next.AccessToken, true)
	}
}
