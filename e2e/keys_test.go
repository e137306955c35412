package e2e

import (
	"strings"
	"testing"

	"sherpa/internal/pgtest"
)

// newKey replaces testKey.
const newKey = "Zr8dVq3NwYb6KtXj1PfLm9ChRs5GuAe2"

func keys(all ...string) string { return "SHERPA_SECRET_KEY=" + strings.Join(all, ",") }

// TestKeyMustBeKnownBeforeItSigns is why a key changes in three steps.
func TestKeyMustBeKnownBeforeItSigns(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		a, b   string // a signs, b verifies
		status int
		code   string
	}{
		{"added last on a", keys(testKey, newKey), keys(testKey), 200, ""},
		{"put first on a, unknown to b", keys(newKey, testKey), keys(testKey), 401, "token_invalid"},
		{"put first on a, last on b", keys(newKey, testKey), keys(testKey, newKey), 200, ""},
		{"removed on a, still known to b", keys(newKey), keys(newKey, testKey), 200, ""},
		{"removed on b, still signing on a", keys(testKey, newKey), keys(newKey), 401, "token_invalid"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			a, b := startReplica(t, url, row.a), startReplica(t, url, row.b)
			session := want(t, 200)(a.login())
			if r := want(t, row.status)(b.me(session.Access)); r.Code != row.code {
				t.Errorf("code %s, want %s", r.Code, row.code)
			}
			want(t, 200)(a.me(session.Access))
		})
	}
}

// TestRollingChangeOfKeys follows the documentation: the new key goes last, then first, then it is the only
// one. Each time the replicas restart one after the other, under load, and no request may fail.
func TestRollingChangeOfKeys(t *testing.T) {
	t.Parallel()
	_, replicas := startReplicas(t, 2, "SHERPA_ACCESS_TTL=10s", quiet, keys(testKey))
	a, b := replicas[0], replicas[1]
	kept := want(t, 200)(a.login()) // refreshed only when the old key is gone
	clients := newCrowd(t, a, b)
	clients.steady = true
	clients.add(4, pooled)
	roll := func(setting string) {
		t.Helper()
		for _, p := range replicas {
			clients.without(p, func() {
				if err := p.stop(); err != nil {
					t.Fatal(err)
				}
				p.env = append(p.env, setting)
				p.start()
			})
			clients.workAt(p)
		}
	}
	roll(keys(testKey, newKey))
	roll(keys(newKey, testKey))

	last := want(t, 200)(b.login()) // later than all that the old key has signed
	eventually(t, "the tokens of the old key have expired", func() bool { return expired(last.Access) })
	refused := func(code string) {
		t.Helper()
		for _, p := range replicas {
			if r := want(t, 401)(p.me(kept.Access)); r.Code != code {
				t.Errorf("a token of the old key: %s, want %s", r.Code, code)
			}
		}
	}
	refused("token_expired")
	roll(keys(newKey))
	refused("token_invalid")
	if r := want(t, 401)(b.refresh(kept.Refresh)); r.Code != "refresh_token_invalid" {
		t.Errorf("a refresh token of the old key: %s", r.Code)
	}
	clients.end()
	clients.report()
}
