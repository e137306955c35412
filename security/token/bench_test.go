package token

import "testing"

// BenchmarkAccess is what a key costs a login, and a token the first time that it comes.
func BenchmarkAccess(b *testing.B) {
	for _, algorithm := range algorithms {
		ring := ringOf(b, newText(b, algorithm))
		text := newToken(b, ring)
		b.Run("sign/"+algorithm, func(b *testing.B) {
			for b.Loop() {
				newToken(b, ring)
			}
		})
		b.Run("verify/"+algorithm, func(b *testing.B) {
			for b.Loop() {
				if !accepts(ring, text) {
					b.Fatal("refused")
				}
			}
		})
	}
}
