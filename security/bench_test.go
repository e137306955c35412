package security

import (
	"testing"

	"sherpa/security/password"
)

// BenchmarkLogIn is a login with the hash that users have, and with one that costs next to nothing, which
// shows what the database takes.
func BenchmarkLogIn(b *testing.B) {
	all := map[string]password.Params{"real hash": password.DefaultParams(), "no hash": cheap()}
	for name, params := range all {
		b.Run(name, func(b *testing.B) {
			s := newBench(b)
			s.Hasher = password.NewHasher(params, 2)
			s.addUser("ada")
			client := s.client()
			for b.Loop() {
				s.clock.Add(addressInterval)
				if _, err := s.LogIn(b.Context(), Credentials{"ada", goodPassword}, client); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
