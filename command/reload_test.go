package command

import (
	"bytes"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/internal/testcert"
	"sherpa/internal/testclock"
	"sherpa/internal/testlog"
	"sherpa/models"
	"sherpa/security/token"
)

const (
	keyA = "kQ7fW2mZx9Lr4TbV8nYc1JdH6sGp3EuA"
	keyB = "Zr8dVq3NwYb6KtXj1PfLm9ChRs5GuAe2"
)

// newWatched is files in a folder of their own, under a clock that stands still.
func newWatched(t *testing.T, names ...string) (*reloaded, *testclock.Clock, *testlog.Buffer) {
	t.Helper()
	var log testlog.Buffer
	clock := testclock.New(time.Now())
	r := &reloaded{what: "test files", advice: "do this", now: clock.Now}
	r.logger = slog.New(slog.NewTextHandler(&log, nil))
	dir := t.TempDir()
	for _, name := range names {
		r.paths = append(r.paths, filepath.Join(dir, name))
	}
	return r, clock, &log
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestReloadOfKeysIsRecorded: each change of the ring leaves an event, with the kinds of keys mixed. Looks
// that find nothing new, and bad files, leave none.
func TestReloadOfKeysIsRecorded(t *testing.T) {
	t.Parallel()
	store, err := models.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "sherpa.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	config := &Config{SecretKeyFile: filepath.Join(t.TempDir(), "keys"), CacheSize: 100}
	write(t, config.SecretKeyFile, keyA)
	ring, err := config.keyRing()
	if err != nil {
		t.Fatal(err)
	}
	service, err := newService(config, store, ring, slog.New(slog.DiscardHandler), observers{})
	if err != nil {
		t.Fatal(err)
	}
	recordStart(t.Context(), service, "v1")
	watched := config.watchedKeys(service.Logger, service)
	if err := watched.start(); err != nil {
		t.Fatal(err)
	}
	private, err := token.NewKey(token.ES256)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		keyA, keyA + "\n" + private, private + "\n" + keyA, "short", private[:80], private, private + "\n",
	} {
		write(t, config.SecretKeyFile, text)
		watched.look(t.Context(), false)
		watched.look(t.Context(), false)
		watched.look(t.Context(), false)
	}
	var got []string
	filter := models.EventFilter{Kind: models.EventKeysChanged}
	for e, err := range service.Events(t.Context(), filter) {
		if err != nil || e.Actor != models.ActorSystem {
			t.Fatal(e, err)
		}
		got = append(got, e.Reason)
	}
	want := []string{
		"1 added, 0 removed", "0 added, 0 removed, another one signs", "0 added, 1 removed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (want -, got +):\n%s", diff)
	}
}

// TestReloadOfKeys changes the file of a running service, and then looks twice.
func TestReloadOfKeys(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(t *testing.T, path string)
		signs  string // the key that signs afterwards
		fault  string // what the log says
	}{
		{"nothing", func(*testing.T, string) {}, keyA, ""},
		{"a new key in front", to(keyB + "\n" + keyA + "\n"), keyB, ""},
		{"another key alone", to(keyB), keyB, ""},
		{"the same length and time", func(t *testing.T, path string) {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, path, keyB)
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, keyB, ""},
		{"a link to another folder", func(t *testing.T, path string) {
			other := filepath.Join(t.TempDir(), "keys")
			write(t, other, keyB)
			if err := errors.Join(os.Symlink(other, path+".new"), os.Rename(path+".new", path)); err != nil {
				t.Fatal(err)
			}
		}, keyB, ""},
		{"empty", to(""), keyA, "there is no key"},
		{"blank", to("\n\n"), keyA, "there is no key"},
		{"a short key", to(keyB[:31]), keyA, "has 31 bytes and needs 32 or more"},
		{"a good key and a short one", to(keyB + "\n" + keyA[:9]), keyA, "key 2: has 9 bytes"},
		{"half a private key", to("-----BEGIN PRIVATE KEY-----\n" + keyB), keyA, "key 1: is a PEM block"},
		{"a sample", to("please-change-this-please-change-this"), keyA, "looks like a sample"},
		{"gone", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, keyA, "no such file"},
		{"a folder", func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}, keyA, "is a directory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, _, log := newWatched(t, "keys")
			var ring token.KeyRing
			r.use = func(contents [][]byte) error {
				next, err := parseKeyRing(r.paths[0], string(contents[0]))
				if err == nil {
					ring = next
				}
				return err
			}
			write(t, r.paths[0], keyA)
			if err := r.start(); err != nil {
				t.Fatal(err)
			}
			tt.change(t, r.paths[0])
			r.look(t.Context(), false)
			r.look(t.Context(), false)
			if got, _ := ring.Secret(); string(got) != tt.signs {
				t.Errorf("the key that signs is %s, want %s", got, tt.signs)
			}
			changed := tt.signs != keyA
			wantLines(t, log, "files have changed and are in use", map[bool]int{true: 1}[changed])
			wantLines(t, log, "level=ERROR", map[bool]int{true: 1}[tt.fault != ""])
			if !strings.Contains(log.String(), tt.fault) {
				t.Errorf("the log does not say %q:\n%s", tt.fault, log)
			}
			for _, key := range []string{keyA[:9], keyB[:9]} {
				if strings.Contains(log.String(), key) {
					t.Errorf("a key is in the log:\n%s", log)
				}
			}
		})
	}
}

func to(text string) func(*testing.T, string) {
	return func(t *testing.T, path string) { t.Helper(); write(t, path, text) }
}

func wantLines(t *testing.T, log *testlog.Buffer, text string, want int) {
	t.Helper()
	if got := strings.Count(log.String(), text); got != want {
		t.Errorf("%d lines with %q, want %d:\n%s", got, text, want, log)
	}
}

// TestReloadWaitsForAWholeFile: what is written in steps is used when it stands still, or when an operator
// asks.
func TestReloadWaitsForAWholeFile(t *testing.T) {
	t.Parallel()
	r, _, _ := newWatched(t, "file")
	var used []string
	r.use = func(contents [][]byte) error { used = append(used, string(contents[0])); return nil }
	write(t, r.paths[0], "first")
	if err := r.start(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"s", "sec", "secon"} {
		write(t, r.paths[0], text)
		r.look(t.Context(), false)
	}
	write(t, r.paths[0], "second")
	r.look(t.Context(), false)
	r.look(t.Context(), false)
	r.look(t.Context(), false)
	write(t, r.paths[0], "third")
	r.look(t.Context(), true)
	if got := strings.Join(used, " "); got != "first second third" {
		t.Errorf("used %s", got)
	}
}

// TestReloadRepeatsAFaultOnceAMinute looks once a second for three minutes.
func TestReloadRepeatsAFaultOnceAMinute(t *testing.T) {
	t.Parallel()
	r, clock, log := newWatched(t, "file")
	var used string
	r.use = func(contents [][]byte) error {
		if bytes.HasPrefix(contents[0], []byte("bad")) {
			return errors.New("it is bad")
		}
		used = string(contents[0])
		return nil
	}
	write(t, r.paths[0], "good")
	if err := r.start(); err != nil {
		t.Fatal(err)
	}
	look := func(seconds int) {
		for range seconds {
			clock.Add(time.Second)
			r.look(t.Context(), false)
		}
	}
	write(t, r.paths[0], "bad")
	look(90)
	write(t, r.paths[0], "bad in another way") // no line of its own within the minute
	look(90)
	wantLines(t, log, "it is bad", 3)
	wantLines(t, log, "do this", 3)
	r.look(t.Context(), true)
	wantLines(t, log, "it is bad", 4)
	if used != "good" {
		t.Errorf("in use is %q", used)
	}
	write(t, r.paths[0], "better")
	look(2)
	if used != "better" {
		t.Errorf("in use is %q", used)
	}
	look(120)
	wantLines(t, log, "it is bad", 4)
	r.look(t.Context(), true)
	wantLines(t, log, "the same as before", 1)
}

// TestReloadHealsWithTime: some faults go without another change of the file.
func TestReloadHealsWithTime(t *testing.T) {
	t.Parallel()
	r, clock, _ := newWatched(t, "file")
	var used string
	healed := false
	r.use = func(contents [][]byte) error {
		if string(contents[0]) == "early" && !healed {
			return errors.New("too early")
		}
		used = string(contents[0])
		return nil
	}
	write(t, r.paths[0], "good")
	if err := r.start(); err != nil {
		t.Fatal(err)
	}
	write(t, r.paths[0], "early")
	r.look(t.Context(), false)
	r.look(t.Context(), false)
	healed = true
	clock.Add(time.Minute)
	r.look(t.Context(), false)
	if used != "early" {
		t.Errorf("in use is %q", used)
	}
}

// TestReloadOfCertificate changes the two files of a running server, and then looks twice.
func TestReloadOfCertificate(t *testing.T) {
	t.Parallel()
	now := time.Now()
	first, next := testcert.New(t, now.AddDate(0, 1, 0)), testcert.New(t, now.AddDate(0, 2, 0))
	expired := testcert.New(t, now.Add(-time.Hour))
	early := testcert.Between(t, now.Add(time.Hour), now.AddDate(0, 3, 0))
	tests := []struct {
		name  string
		pair  testcert.Pair
		used  bool
		fault string
	}{
		{"a new pair", next, true, ""},
		{"the certificate alone", testcert.Pair{Cert: next.Cert, Key: first.Key}, false, "does not match"},
		{"the key alone", testcert.Pair{Cert: first.Cert, Key: next.Key}, false, "does not match"},
		{"half a certificate", testcert.Pair{Cert: next.Cert[:200], Key: next.Key}, false,
			"failed to find any PEM"},
		{"half a key", testcert.Pair{Cert: next.Cert, Key: next.Key[:100]}, false, "failed to find any PEM"},
		{"empty", testcert.Pair{}, false, "failed to find any PEM"},
		{"the two exchanged", testcert.Pair{Cert: next.Key, Key: next.Cert}, false, "certificate input"},
		{"expired", expired, false, "the certificate expired at"},
		{"not valid yet", early, false, "the certificate is not valid before"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r, clock, log := newWatched(t, "cert", "key")
			held := &certificate{now: clock.Now}
			r.use = held.use
			first.Write(t, r.paths[0], r.paths[1])
			if err := r.start(); err != nil {
				t.Fatal(err)
			}
			tt.pair.Write(t, r.paths[0], r.paths[1])
			r.look(t.Context(), false)
			r.look(t.Context(), false)
			want := first
			if tt.used {
				want = next
			}
			wantHeld(t, held, want)
			wantLines(t, log, "level=ERROR", map[bool]int{true: 1}[tt.fault != ""])
			if !strings.Contains(log.String(), tt.fault) {
				t.Errorf("the log does not say %q:\n%s", tt.fault, log)
			}
		})
	}
}

func wantHeld(t *testing.T, held *certificate, want testcert.Pair) {
	t.Helper()
	pair, err := tls.X509KeyPair(want.Cert, want.Key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := held.get(nil)
	if err != nil || !got.Leaf.Equal(pair.Leaf) {
		t.Errorf("another certificate is in use (%v)", err)
	}
	if !held.NotAfter().Equal(pair.Leaf.NotAfter) {
		t.Errorf("it expires at %v, want %v", held.NotAfter(), pair.Leaf.NotAfter)
	}
}

// TestStartWithABadPair: a start has nothing else to show, so it refuses all but a wrong time.
func TestStartWithABadPair(t *testing.T) {
	t.Parallel()
	now := time.Now()
	good, other := testcert.New(t, now.AddDate(0, 1, 0)), testcert.New(t, now.AddDate(0, 1, 0))
	for name, tt := range map[string]struct {
		pair testcert.Pair
		err  string
	}{
		"good":      {good, ""},
		"expired":   {testcert.New(t, now.Add(-time.Hour)), ""},
		"early":     {testcert.Between(t, now.Add(time.Hour), now.AddDate(1, 0, 0)), ""},
		"no pair":   {testcert.Pair{Cert: good.Cert, Key: other.Key}, "key does not match public key"},
		"empty":     {testcert.Pair{}, "failed to find any PEM data"},
		"exchanged": {testcert.Pair{Cert: good.Key, Key: good.Cert}, "certificate input"},
	} {
		r, clock, _ := newWatched(t, "cert", "key")
		r.use = (&certificate{now: clock.Now}).use
		tt.pair.Write(t, r.paths[0], r.paths[1])
		err := r.start()
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v, want %q", name, err, tt.err)
		}
	}
}

// TestWarningOfExpiry looks once an hour, from 15 days before the end until 2 days after it.
func TestWarningOfExpiry(t *testing.T) {
	t.Parallel()
	var log testlog.Buffer
	clock := testclock.New(time.Now())
	notAfter := clock.Now().AddDate(0, 0, 15)
	w := &expiryWarning{
		logger: slog.New(slog.NewTextHandler(&log, nil)), now: clock.Now, advice: "renew it",
	}
	look := func(hours int) {
		for range hours {
			w.check(t.Context(), notAfter, expiryNotice)
			clock.Add(time.Hour)
		}
	}
	w.check(t.Context(), time.Time{}, expiryNotice)
	look(24)
	wantLines(t, &log, "renew it", 0)
	look(14 * 24)
	wantLines(t, &log, "level=WARN", 14)
	wantLines(t, &log, "level=ERROR", 0)
	look(48)
	wantLines(t, &log, "level=WARN", 15) // at the last moment too
	wantLines(t, &log, "level=ERROR", 47)
	notAfter = clock.Now().AddDate(0, 0, 90)
	look(48)
	notAfter = clock.Now().AddDate(0, 0, 13)
	look(1)
	wantLines(t, &log, "level=WARN", 16)
}
