package security

import (
	"errors"

	"sherpa/security/token"
)

// Keys returns the ring of signing keys that is in use. UseKeys may replace it at any time.
func (s *Service) Keys() *token.KeyRing { return s.keys.Load() }

// UseKeys replaces the ring of signing keys while requests go on. At its return, no new request is accepted
// with a token of a key that is not in the ring, not even with one that was verified before.
func (s *Service) UseKeys(ring token.KeyRing) error {
	if ring.Empty() {
		return errors.New("use keys: there is none") // fails closed: an empty ring must not sign
	}
	s.keys.Store(&ring)
	s.cache.tokens.InvalidateAll() // frees memory; claims compares the rings
	return nil
}

// PublicKeys returns the public keys of the ring that is in use, as a JWK Set (RFC 7517, section 5).
func (s *Service) PublicKeys() []byte { return s.Keys().PublicKeySet() }
