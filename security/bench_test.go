package security

import (
	"testing"

	"sherpa/security/password"
	"sherpa/security/token"
)

// BenchmarkLogIn is a login with the hash that users have, and with one that costs next to nothing, which
// shows what the database and the signature take.
func BenchmarkLogIn(b *testing.B) {
	for _, algorithm := range []string{token.HS256, token.ES256, token.EdDSA} {
		all := map[string]password.Params{"real hash": password.DefaultParams(), "no hash": cheap()}
		for name, params := range all {
			b.Run(algorithm+", "+name, func(b *testing.B) { benchmarkLogIn(b, algorithm, params) })
		}
	}
}

func benchmarkLogIn(b *testing.B, algorithm string, params password.Params) {
	s := newBench(b)
	s.useKeys(ringOf(b, newKey(b, algorithm)))
	s.Hasher = password.NewHasher(params, 2)
	s.addUser("ada")
	gate := s.gate()
	for b.Loop() {
		s.clock.Add(addressInterval)
		c, _ := request()
		if _, err := gate.LogIn(c, Credentials{"ada", goodPassword}); err != nil {
			b.Fatal(err)
		}
	}
}
