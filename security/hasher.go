package security

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

// HashParams are the costs of argon2id (RFC 9106).
type HashParams struct {
	MemoryKiB uint32
	Time      uint32
	Threads   uint8
}

// DefaultHashParams is a parameter set of the OWASP Password Storage Cheat Sheet.
func DefaultHashParams() HashParams { return HashParams{MemoryKiB: 19456, Time: 2, Threads: 1} }

const (
	saltSize = 16
	hashSize = 32
	// queuePerSlot keeps the wait for a slot under about 200 ms at 25 ms a hash.
	queuePerSlot = 8
	// The most that a stored hash may demand, so that a row somebody tampered with cannot stop the service.
	maxMemoryKiB = 1 << 20
	maxTime      = 64
)

// Hasher computes password hashes, a few at a time: a hash takes 19 MiB and a whole core, so that a flood of
// logins would otherwise starve every other request. Create it with NewHasher.
type Hasher struct {
	params   HashParams
	slots    chan struct{} // one place for each hash under way
	queue    chan struct{} // one place for each hash under way or waiting
	computed atomic.Int64
	dummy    string
}

// NewHasher returns a Hasher that computes at most as many hashes at a time as it has slots, from 1.
func NewHasher(params HashParams, slots int) *Hasher {
	h := &Hasher{
		params: params,
		slots:  make(chan struct{}, slots),
		queue:  make(chan struct{}, slots*(1+queuePerSlot)),
	}
	h.dummy = encodePHC(params, make([]byte, saltSize), make([]byte, hashSize))
	return h
}

// Computed returns how many hashes were computed since the start.
func (h *Hasher) Computed() int64 { return h.computed.Load() }

// Hash returns the PHC string of the password with a new salt. The error is *Error with code overloaded when the
// queue is full, or the context's.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	sum, err := h.compute(ctx, password, salt, h.params, hashSize)
	if err != nil {
		return "", err
	}
	return encodePHC(h.params, salt, sum), nil
}

// hashNormal normalises the password and hashes it.
func (h *Hasher) hashNormal(ctx context.Context, password string) (string, error) {
	normal, err := normalizePassword(password)
	if err != nil {
		return "", err
	}
	return h.Hash(ctx, normal)
}

// Verify reports whether password is the one in the PHC string, and whether the string was made with weaker
// parameters than today's.
func (h *Hasher) Verify(ctx context.Context, phc, password string) (ok, weak bool, err error) {
	params, salt, want, err := decodePHC(phc)
	if err != nil {
		return false, false, err
	}
	got, err := h.compute(ctx, password, salt, params, uint32(len(want))) //nolint:gosec // G115: bounded by decodePHC
	if err != nil {
		return false, false, err
	}
	weak = params.MemoryKiB < h.params.MemoryKiB || params.Time < h.params.Time
	return subtle.ConstantTimeCompare(got, want) == 1, weak, nil
}

// VerifyNobody costs what Verify costs and never succeeds. It keeps the time of an answer from telling which
// usernames exist.
func (h *Hasher) VerifyNobody(ctx context.Context, password string) error {
	_, _, err := h.Verify(ctx, h.dummy, password)
	return err
}

// Room returns *Error with code overloaded when a hash would be refused at this moment. It lets a flood be turned away
// before anything is done for it.
func (h *Hasher) Room() error {
	if len(h.queue) == cap(h.queue) {
		return overloaded()
	}
	return nil
}

func overloaded() error {
	return &Error{
		Code: Overloaded, RetryAfter: time.Second,
		Detail: "Too many logins are being checked at this moment. Try again in a second.",
	}
}

func (h *Hasher) compute(ctx context.Context, password string, salt []byte, p HashParams, size uint32) ([]byte, error) {
	select {
	case h.queue <- struct{}{}:
		defer func() { <-h.queue }()
	default:
		return nil, overloaded()
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash password: %w", ctx.Err())
	}
	h.computed.Add(1)
	return argon2.IDKey([]byte(password), salt, p.Time, p.MemoryKiB, p.Threads, size), nil
}

// encodePHC writes the string format of the Password Hashing Competition.
func encodePHC(p HashParams, salt, sum []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.MemoryKiB, p.Time, p.Threads,
		b64.EncodeToString(salt), b64.EncodeToString(sum))
}

func decodePHC(phc string) (p HashParams, salt, sum []byte, err error) {
	fail := func(what string) (HashParams, []byte, []byte, error) {
		return HashParams{}, nil, nil, fmt.Errorf("stored password hash: %s", what)
	}
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return fail("not an argon2id PHC string")
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.MemoryKiB, &p.Time, &p.Threads); err != nil {
		return fail("unreadable parameters")
	}
	if p.MemoryKiB < 8 || p.MemoryKiB > maxMemoryKiB || p.Time < 1 || p.Time > maxTime || p.Threads < 1 {
		return fail("parameters out of bounds")
	}
	b64 := base64.RawStdEncoding.Strict()
	salt, saltErr := b64.DecodeString(parts[4])
	sum, sumErr := b64.DecodeString(parts[5])
	if saltErr != nil || sumErr != nil || len(salt) < 8 || len(sum) < 16 || len(sum) > 64 {
		return fail("unreadable salt or sum")
	}
	return p, salt, sum, nil
}
