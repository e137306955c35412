package security

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func FuzzRefreshToken(f *testing.F) {
	ring, err := ParseKeyRing(goodKey)
	if err != nil {
		f.Fatal(err)
	}
	good := ring.refreshToken("A2B3", 7)
	for _, seed := range []string{good.String(), "", ".", "A2B3.", good.String() + "=", good.String() + "\n", strings.ToLower(good.String()), "A2B3.AAAA"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, ok := parseRefreshToken(text)
		if !ok {
			return
		}
		if token.String() != text {
			t.Errorf("%q reads as %q", text, token)
		}
		if ring.made(token) && (token.count != good.count || token.sessionID != good.sessionID) {
			t.Errorf("a guess passed: %q", text)
		}
	})
}

func TestRefreshTokensOfOneRing(t *testing.T) {
	t.Parallel()
	ring, err := ParseKeyRing(goodKey + "," + goodKey + "x")
	if err != nil {
		t.Fatal(err)
	}
	other, err := ParseKeyRing(goodKey + "y")
	if err != nil {
		t.Fatal(err)
	}
	token := ring.refreshToken("S", 1)
	if !ring.made(token) || other.made(token) {
		t.Error("made")
	}
	if ring.refreshToken("S", 2).String() == token.String() || ring.refreshToken("T", 1).String() == token.String() {
		t.Error("two tokens are the same")
	}
	if same, ok := ring.remake("S", 1, hashRefresh(token.String())); !ok || same != token.String() {
		t.Error("remake")
	}
	if _, ok := other.remake("S", 1, hashRefresh(token.String())); ok {
		t.Error("another ring remade it")
	}
}

func TestAddressPrefix(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "": "", "unix": "unix",
	} {
		if got := addressPrefix(address); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

// TestRevocationOvertakesALoad: a request that read the session just before it ended must not put it back
// into memory.
func TestRevocationOvertakesALoad(t *testing.T) {
	t.Parallel()
	service, accounts := newService(t)
	service.Settings.SessionIdle, service.Settings.SessionAge = time.Hour, time.Hour
	keys, err := ParseKeyRing(goodKey)
	if err != nil {
		t.Fatal(err)
	}
	service.Keys = keys
	user, err := accounts.Create(t.Context(), "ada", "an analytical engine", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for round := range 50 {
		login, err := service.StartSession(t.Context(), user, Client{})
		if err != nil {
			t.Fatal(err)
		}
		var ended atomic.Bool
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 50 {
					gone := ended.Load()
					_, err := service.session(t.Context(), login.Session.ID, service.Now())
					if gone && err == nil {
						t.Errorf("round %d: a session passed after it had ended", round)
						return
					}
				}
			})
		}
		wg.Go(func() {
			if err := service.Logout(t.Context(), Principal{UserID: user.ID, SessionID: login.Session.ID}, ScopeLocal); err != nil {
				t.Error(err)
			}
			ended.Store(true)
		})
		wg.Wait()
		if _, err := service.session(t.Context(), login.Session.ID, service.Now()); !HasCode(err, SessionEnded) {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	keys, err := ParseKeyRing(goodKey)
	if err != nil {
		t.Fatal(err)
	}
	settings := Settings{Issuer: "sherpa", Audience: "sherpa"}
	for name, text := range map[string]string{"rubbish": "x", "no token": "", "a header": "Bearer x.y.z"} {
		checks := Explain(t.Context(), keys, settings, nil, time.Now(), text)
		if len(checks) != 1 || checks[0].OK || checks[0].Name != "shape" {
			t.Errorf("%s: %+v", name, checks)
		}
	}
}
