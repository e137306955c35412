package password

import (
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	saltSize = 16
	hashSize = 32
	// The most that a stored hash may demand. A row that somebody tampered with must not stop the service.
	maxMemoryKiB = 1 << 20
	maxTime      = 64
)

// encodePHC writes the string format of the Password Hashing Competition.
func encodePHC(p Params, salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.MemoryKiB, p.Time, p.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(sum))
}

func decodePHC(phc string) (p Params, salt, sum []byte, err error) {
	invalid := func(what string) (Params, []byte, []byte, error) {
		return Params{}, nil, nil, fmt.Errorf("stored password hash: %s", what)
	}
	parts := strings.Split(phc, "$")
	version := fmt.Sprintf("v=%d", argon2.Version)
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != version {
		return invalid("not an argon2id PHC string")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.MemoryKiB, &p.Time, &p.Threads); err != nil {
		return invalid("unreadable parameters")
	}
	if p.MemoryKiB < 8 || p.MemoryKiB > maxMemoryKiB || p.Time < 1 || p.Time > maxTime || p.Threads < 1 {
		return invalid("parameters out of bounds")
	}
	b64 := base64.RawStdEncoding.Strict()
	salt, saltErr := b64.DecodeString(parts[4])
	sum, sumErr := b64.DecodeString(parts[5])
	if saltErr != nil || sumErr != nil || len(salt) < 8 || len(sum) < 16 || len(sum) > 64 {
		return invalid("unreadable salt or sum")
	}
	return p, salt, sum, nil
}
