package security

import (
	"net/http/httptest"
	"sync"
	"testing"

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
	rings := []token.KeyRing{ringOf(t, newerKey+","+goodKey), ringOf(t, goodKey+","+newerKey)}
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
