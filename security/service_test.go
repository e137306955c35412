package security

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sherpa/internal/testclock"
	"sherpa/models"
	"sherpa/security/password"
	"sherpa/security/token"
)

const (
	goodKey      = "kQ7fW2mZx9Lr4TbV8nYc1JdH6sGp3EuA"
	goodPassword = "an analytical engine"
	nextPassword = "another engine entirely"
)

func cheap() password.Params { return password.Params{MemoryKiB: 64, Time: 1, Threads: 1} }

// bench is a service on a database of its own, with its clock.
type bench struct {
	*Service
	t     testing.TB
	clock *testclock.Clock
	url   string
}

func newBench(t testing.TB) *bench {
	t.Helper()
	url := "sqlite:" + filepath.Join(t.TempDir(), "sherpa.db")
	store, err := models.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	keys, err := token.ParseKeyRing(goodKey)
	if err != nil {
		t.Fatal(err)
	}
	c := testclock.New(time.Now().Truncate(time.Second))
	b := &bench{t: t, clock: c, url: url}
	b.Service, err = NewService(Parts{
		Store:  store,
		Hasher: password.NewHasher(cheap(), 2),
		Policy: password.Policy{MinLength: 15},
		Keys:   keys,
		Settings: Settings{
			Issuer: "sherpa", Audience: "sherpa", AccessTTL: 5 * time.Minute,
			SessionIdle: time.Hour, SessionAge: 3 * time.Hour, CacheSize: 100,
		},
		Logger: slog.New(slog.DiscardHandler),
		Now:    c.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) addUser(name string, roles ...string) models.User {
	b.t.Helper()
	user, err := b.CreateUser(b.t.Context(), name, goodPassword, roles)
	if err != nil {
		b.t.Fatal(err)
	}
	return user
}

// client is a new address, so that nobody is throttled.
func (b *bench) client() Client { return Client{Address: "192.0.2.1", UserAgent: "test"} }

func (b *bench) logIn(name string) Login {
	b.t.Helper()
	login, err := b.LogIn(b.t.Context(), Credentials{name, goodPassword}, b.client())
	if err != nil {
		b.t.Fatal(err)
	}
	return login
}

// claims are those of an access token of the login.
func (b *bench) claims(login Login) *token.Claims {
	now := b.clock.Now().Unix()
	return &token.Claims{
		Identity:  login.User.ID,
		SessionID: login.Session.ID,
		IssuedAt:  now,
		NotBefore: now,
		ExpiresAt: now + 300,
	}
}

// wantEnded checks that the session is refused at once, without a poll.
func (b *bench) wantEnded(login Login, reason models.EndedReason) {
	b.t.Helper()
	_, err := b.Identity(b.t.Context(), b.claims(login))
	var known *Error
	if !errors.As(err, &known) || known.Code != SessionEnded || known.Reason != reason {
		b.t.Errorf("the session: %v, want that it ended by %q", err, reason)
	}
}

func (b *bench) wantAlive(login Login) {
	b.t.Helper()
	if _, err := b.Identity(b.t.Context(), b.claims(login)); err != nil {
		b.t.Errorf("the session: %v", err)
	}
}

func wantCode(t testing.TB, err error, code Code) {
	t.Helper()
	if !HasCode(err, code) {
		t.Errorf("got %v, want %s", err, code)
	}
}

// breakFeed makes the revocation feed unreadable, as an outage does, until mend.
func (b *bench) breakFeed() (mend func()) {
	b.t.Helper()
	run := func(statement string) {
		b.t.Helper()
		err := b.Store.Transact(b.t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		})
		if err != nil {
			b.t.Fatal(err)
		}
	}
	run(`ALTER TABLE revocations RENAME TO hidden`)
	if err := b.Poll(b.t.Context()); !errors.Is(err, models.ErrUnavailable) {
		b.t.Fatalf("the feed can still be read: %v", err)
	}
	return func() { run(`ALTER TABLE hidden RENAME TO revocations`) }
}

func TestErrorsSayTheirParts(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	err := &Error{Code: SessionEnded, Fact: "fact", Reason: models.EndedByLogout, Err: cause}
	for _, part := range []string{"session_ended", "fact", "logout", "cause"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q has no %q", err.Error(), part)
		}
	}
	if !errors.Is(err, cause) || !HasCode(err, SessionEnded) || HasCode(cause, SessionEnded) {
		t.Error(err)
	}
}

func TestEveryEndHasWords(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, reason := range []models.EndedReason{
		models.EndedByLogout, models.EndedByUser, models.EndedByOperator, models.EndedByPasswordChange,
		models.EndedByDisable, models.EndedByReuse, models.EndedByIdle, models.EndedByAge, "",
	} {
		seen[DescribeEnd(reason)] = true
	}
	if len(seen) != 9 {
		t.Errorf("%d descriptions for 9 reasons: %v", len(seen), seen)
	}
}

func TestServiceWithoutKeysStartsNoSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.addUser("ada")
	b.Parts.Keys = token.KeyRing{}
	var err error
	if b.Service, err = NewService(b.Parts); err != nil {
		t.Fatal(err)
	}
	if _, err := b.LogIn(t.Context(), Credentials{"ada", goodPassword}, b.client()); err == nil {
		t.Error("a login without a key")
	}
	if _, err := NewGate(b.Service); err == nil {
		t.Error("a gate without a key")
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
