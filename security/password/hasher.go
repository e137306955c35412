// Package password hashes passwords and says which new ones are good enough.
//
// It knows nothing of users, sessions or HTTP. Its errors are plain; package security gives them codes.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

// ErrOverloaded says that too many passwords are being hashed already. A second later there may be room.
var ErrOverloaded = errors.New("too many passwords are being hashed")

// Params are the costs of argon2id (RFC 9106).
type Params struct {
	MemoryKiB uint32
	Time      uint32
	Threads   uint8
}

// DefaultParams is a parameter set of the OWASP Password Storage Cheat Sheet.
func DefaultParams() Params { return Params{MemoryKiB: 19456, Time: 2, Threads: 1} }

// queuePerSlot keeps the wait for a slot under about 200 ms, at 25 ms a hash.
const queuePerSlot = 8

// Hasher computes password hashes, a few at a time: a hash takes 19 MiB and a whole core, so a flood of
// logins would starve every other request. Create it with NewHasher. It is safe for concurrent use.
type Hasher struct {
	params   Params
	slots    chan struct{} // one place for each running hash
	queue    chan struct{} // one place for each hash that runs or waits
	computed atomic.Int64
	dummy    string

	// Hashed is told how long each hash waited for its turn, and how long it then took; nil is for nobody.
	// Set it before the first hash.
	Hashed func(ctx context.Context, waited, took time.Duration)
}

// Load says how busy a Hasher is.
type Load struct{ Running, Waiting, Slots int }

// Load returns how busy the hasher is at this moment.
func (h *Hasher) Load() Load {
	running := len(h.slots)
	return Load{Running: running, Waiting: max(0, len(h.queue)-running), Slots: cap(h.slots)}
}

// NewHasher returns a Hasher that computes at most slots hashes at a time; slots is at least 1.
func NewHasher(params Params, slots int) *Hasher {
	return &Hasher{
		params: params,
		slots:  make(chan struct{}, slots),
		queue:  make(chan struct{}, slots*(1+queuePerSlot)),
		dummy:  encodePHC(params, make([]byte, saltSize), make([]byte, hashSize)),
	}
}

// Computed returns how many hashes were computed since the start.
func (h *Hasher) Computed() int64 { return h.computed.Load() }

// Hash normalises the password and returns its PHC string with a new salt. The error is ErrOverloaded, the
// context's, or says what no password can be.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	normal, err := Normalize(password)
	if err != nil {
		return "", err
	}
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: crypto/rand ends the process instead
	sum, err := h.compute(ctx, normal, salt, h.params, hashSize)
	if err != nil {
		return "", err
	}
	return encodePHC(h.params, salt, sum), nil
}

// Verify reports whether password is the one in the PHC string, and whether the string was made with weaker
// parameters than today's. A text that no password can be costs the same hash and is wrong; so is every text
// when the string is empty, because there is no password.
func (h *Hasher) Verify(ctx context.Context, phc, password string) (ok, weak bool, err error) {
	normal, err := Normalize(password)
	if err != nil || phc == "" {
		return false, false, h.VerifyNobody(ctx, password)
	}
	return h.verify(ctx, phc, normal)
}

func (h *Hasher) verify(ctx context.Context, phc, normal string) (ok, weak bool, err error) {
	params, salt, want, err := decodePHC(phc)
	if err != nil {
		return false, false, err
	}
	got, err := h.compute(ctx, normal, salt, params, uint32(len(want))) //nolint:gosec // G115: bounded by decodePHC
	if err != nil {
		return false, false, err
	}
	weak = params.MemoryKiB < h.params.MemoryKiB || params.Time < h.params.Time
	return subtle.ConstantTimeCompare(got, want) == 1, weak, nil
}

// VerifyNobody costs what Verify costs and never succeeds. The time of an answer must not tell which
// usernames exist.
func (h *Hasher) VerifyNobody(ctx context.Context, password string) error {
	_, _, err := h.verify(ctx, h.dummy, password)
	return err
}

// Room returns ErrOverloaded when a hash would be rejected now. A flood is turned away before any work is
// done for it.
func (h *Hasher) Room() error {
	if len(h.queue) == cap(h.queue) {
		return ErrOverloaded
	}
	return nil
}

func (h *Hasher) compute(
	ctx context.Context, password string, salt []byte, p Params, size uint32,
) ([]byte, error) {
	select {
	case h.queue <- struct{}{}:
		defer func() { <-h.queue }()
	default:
		return nil, ErrOverloaded
	}
	began := time.Now()
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash password: %w", ctx.Err())
	}
	turn := time.Now()
	h.computed.Add(1)
	sum := argon2.IDKey([]byte(password), salt, p.Time, p.MemoryKiB, p.Threads, size)
	if h.Hashed != nil {
		h.Hashed(ctx, turn.Sub(began), time.Since(turn))
	}
	return sum, nil
}
