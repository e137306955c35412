package security

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"sherpa/models"
)

// An address may make 100 login requests at once and 400 a minute.
const (
	addressBurst    = 100
	addressInterval = time.Minute / 400
)

// countAttempt counts a login before any costly work is done for it. The error is *Error with code throttled
// or overloaded, or wraps models.ErrUnavailable.
func (s *Service) countAttempt(
	ctx context.Context, attempt models.LoginAttempt,
) (models.LoginCount, error) {
	if err := s.Hasher.Room(); err != nil {
		return models.LoginCount{}, hashError(err)
	}
	count, err := s.Store.CountLogin(ctx, attempt)
	if err != nil {
		return count, fmt.Errorf("count login: %w", err)
	}
	return count, s.throttled(count.Wait)
}

// countAddress counts a request for which no name stands, as countAttempt does. The errors are the same.
func (s *Service) countAddress(
	ctx context.Context, attempt models.LoginAttempt,
) (models.LoginCount, error) {
	if err := s.Hasher.Room(); err != nil {
		return models.LoginCount{}, hashError(err)
	}
	wait, err := s.Store.CountAddress(ctx, attempt)
	count := models.LoginCount{Wait: wait, ByAddress: true}
	if err != nil {
		return count, fmt.Errorf("count request: %w", err)
	}
	return count, s.throttled(wait)
}

// throttled returns nil when there is nothing to wait for.
func (s *Service) throttled(wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	s.Metrics.Throttled()
	return &Error{Code: Throttled, RetryAfter: (wait + time.Second - 1).Truncate(time.Second)}
}

// attempt returns the counters of a login. A name that nobody has counts like any other, so the throttle does
// not tell which names exist. The keys are hashes, because people type passwords into the wrong field.
func (s *Service) attempt(username, address string) models.LoginAttempt {
	name, _ := countedName(username)
	prefix := addressPrefix(address)
	return models.LoginAttempt{
		NameKey: throttleKey("name", name), NameAddressKey: throttleKey("name and address", name, prefix),
		AddressKey: throttleKey("address", prefix),
		At:         s.Now(), Interval: addressInterval, Burst: addressBurst,
	}
}

// countedName also reports whether somebody could have the name.
func countedName(username string) (name string, possible bool) {
	name, err := NormalizeUsername(username)
	if err != nil {
		return strings.ToLower(username), false
	}
	return name, true
}

func throttleKey(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// addressPrefix is what one client controls: an IPv4 address, or the /64 network of an IPv6 address.
func addressPrefix(address string) string {
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return address
	}
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return address
	}
	return prefix.String()
}
