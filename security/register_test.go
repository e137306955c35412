package security

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"sherpa/models"
	"sherpa/security/password"
)

func TestRegisterUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	user, err := b.RegisterUser(t.Context(), b.client(), "Ada", goodPassword)
	if err != nil || user.Username != "ada" || len(user.Roles) != 0 {
		t.Fatal(user, err)
	}
	b.wantAlive(b.logIn("ada"))
	if _, err := b.RegisterUser(
		t.Context(), b.client(), "ADA", nextPassword,
	); !errors.Is(err, models.ErrUsernameTaken) {
		t.Errorf("a taken name: %v", err)
	}
	if _, err := b.Authenticate(t.Context(), "ada", goodPassword); err != nil {
		t.Error("the first user was changed:", err)
	}
}

// TestRegistrationsOfAnAddress: ten at once, those of a taken name as well, and ten an hour.
func TestRegistrationsOfAnAddress(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	register := func(name, address string) error {
		_, err := b.RegisterUser(t.Context(), Client{Address: address}, name, goodPassword)
		return err
	}
	for i := range registrationBurst {
		err := register(fmt.Sprint("user", i), "192.0.2.9")
		if i%2 == 1 {
			err = register("ada", "192.0.2.8")
			if !errors.Is(err, models.ErrUsernameTaken) {
				t.Fatal(err)
			}
			err = register(fmt.Sprint("other", i), "192.0.2.8")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, address := range []string{"192.0.2.8", "192.0.2.9"} {
		before := b.Hasher.Computed()
		wantCode(t, register("zoe", address), Throttled)
		if n := b.Hasher.Computed() - before; n != 0 {
			t.Errorf("%d hashes for a request that is refused", n)
		}
	}
	if _, err := b.LogIn(t.Context(), Credentials{"ada", goodPassword},
		Client{Address: "192.0.2.9"}); err != nil {
		t.Errorf("a login from the same address: %v", err)
	}
	b.clock.Add(registrationInterval)
	if err := register("zoe", "192.0.2.9"); err != nil {
		t.Errorf("after the wait: %v", err)
	}
	wantCode(t, register("yan", "192.0.2.9"), Throttled)
}

// TestRefusedRegistrationsDoNotCount when a rule refuses them: they cost nothing, and tell nothing of others.
func TestRefusedRegistrationsDoNotCount(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	before := b.Hasher.Computed()
	var rejected *password.RejectedError
	for range registrationBurst + 1 {
		if _, err := b.RegisterUser(t.Context(), b.client(), "ada", "short"); !errors.As(err, &rejected) {
			t.Fatal(err)
		}
		if _, err := b.RegisterUser(t.Context(), b.client(), "a b", goodPassword); err == nil ||
			HasCode(err, Throttled) {
			t.Fatal(err)
		}
	}
	if n := b.Hasher.Computed() - before; n != 0 {
		t.Errorf("%d hashes", n)
	}
	if _, err := b.RegisterUser(t.Context(), b.client(), "bob", goodPassword); err != nil {
		t.Error(err)
	}
}

// TestNobodyIsLockedOutByRegistrations: they count for no name.
func TestNobodyIsLockedOutByRegistrations(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	for i := range 30 {
		client := Client{Address: fmt.Sprint("192.0.2.", i)}
		_, err := b.RegisterUser(t.Context(), client, "ada", nextPassword)
		if !errors.Is(err, models.ErrUsernameTaken) {
			t.Fatal(err)
		}
	}
	b.wantAlive(b.logIn("ada"))
}

// TestFloodOfRegistrations: when the queue of hashes is full, nobody is registered, and no token is used up.
func TestFloodOfRegistrations(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	reset := b.issueReset(b.addUser("bob").ID)
	release := b.fillHasher()
	_, err := b.RegisterUser(t.Context(), b.client(), "ada", goodPassword)
	wantCode(t, err, Overloaded)
	wantCode(t, b.RedeemReset(t.Context(), b.client(), reset.Token, nextPassword), Overloaded)
	release()
	if _, err := b.RegisterUser(t.Context(), b.client(), "ada", goodPassword); err != nil {
		t.Error(err)
	}
	if err := b.RedeemReset(t.Context(), b.client(), reset.Token, nextPassword); err != nil {
		t.Error(err)
	}
}

// fillHasher keeps every place of the hasher taken until release.
func (b *bench) fillHasher() (release func()) {
	b.t.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	hasher := password.NewHasher(cheap(), 1)
	hasher.Hashed = func(context.Context, time.Duration, time.Duration) { <-done }
	b.Hasher = hasher
	ctx := b.t.Context()
	for hasher.Room() == nil {
		for range 2 { // one more than there is room for does no harm
			wg.Go(func() { _, _ = hasher.Hash(ctx, "a") })
		}
		runtime.Gosched()
	}
	return func() { close(done); wg.Wait() }
}
