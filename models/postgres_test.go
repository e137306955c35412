package models

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"sherpa/internal/pgtest"
)

func TestPostgresURLs(t *testing.T) {
	t.Parallel()
	const secret = "hunter2-hunter2"
	tests := []struct{ name, url, fault string }{
		{"all", "postgres://u:" + secret + "@db.example:5433/n?sslmode=verify-full", ""},
		{"other scheme", "postgresql://u@localhost/n", ""},
		{"loopback", "postgres://u@127.0.0.1/n", ""},
		{"IPv6 loopback", "postgres://u@[::1]:5432/n", ""},
		{"socket", "postgres:///n?host=/run/postgresql", ""},
		{"plain text, asked for", "postgres://u@db.example/n?sslmode=disable", ""},
		{"plain text, by default", "postgres://u:" + secret + "@db.example/n",
			"say how the connection to db.example is protected"},
		{"empty sslmode", "postgres://u@db.example/n?sslmode=", "say how"},
		{"TLS only preferred", "postgres://u@db.example/n?sslmode=prefer", "say how"},
		{"TLS only allowed", "postgres://u@db.example/n?sslmode=allow", "say how"},
		{"ssl=false", "postgres://u@db.example/n?ssl=false", "say how"},
		{"ssl=true", "postgres://u@db.example/n?ssl=true", ""},
		{"empty pool", "postgres://u@localhost/n?pool_max_conns=", "pool_max_conns"},
		{"one of two hosts", "postgres://u@localhost,db.example/n", "db.example"},
		{"unknown sslmode", "postgres://u:" + secret + "@h/n?sslmode=maybe", "sslmode"},
		{"certificate that is not there",
			"postgres://u:" + secret + "@h/n?sslmode=verify-full&sslrootcert=/nonexistent", "/nonexistent"},
		{"bad escape", "postgres://u:" + secret + "%zz@h/n", "%XX"},
		{"bad port", "postgres://u:" + secret + "@h:port/n", "%XX"},
		{"pool", "postgres://u@localhost/n?pool_max_conns=2", ""},
		{"pool too small", "postgres://u@localhost/n?pool_max_conns=1", "pool_max_conns"},
		{"pool no number", "postgres://u@localhost/n?pool_max_conns=many", "pool_max_conns"},
		{"other scheme", "mysql://u:" + secret + "@h/n", "it must be sqlite:PATH or postgres://"},
	}
	for _, tt := range tests {
		err := CheckURL(tt.url)
		if (err == nil) != (tt.fault == "") || err != nil && !strings.Contains(err.Error(), tt.fault) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.fault)
		}
		if strings.Contains(fmt.Sprint(err), "hunter2") {
			t.Errorf("%s: the password is shown: %v", tt.name, err)
		}
	}
}

func TestPoolParameterLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	p, err := parsePostgres(
		"postgres://u@localhost/n?options=-c%20search_path%3Da&pool_max_conns=5" +
			"&password=a%20b%2Bc&application_name=x",
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.config.RuntimeParams["options"]; got != "-c search_path=a" || p.config.Password != "a b+c" ||
		p.connections != 5 {
		t.Errorf("%q %q %d", got, p.config.Password, p.connections)
	}
}

func TestReadOnlyServerIsNotReady(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	if err := openStore(t, url).Ready(t.Context()); err != nil {
		t.Error(err)
	}
	readOnly := openStore(t, url+"&default_transaction_read_only=on")
	if err := readOnly.Ready(
		t.Context(),
	); !errors.Is(err, ErrUnavailable) ||
		!strings.Contains(err.Error(), "read-only") {
		t.Error(err)
	}
	if _, err := Open(
		t.Context(), pgtest.Database(t)+"&default_transaction_read_only=on",
	); err == nil ||
		!strings.Contains(err.Error(), "read-only") {
		t.Errorf("the start: %v", err)
	}
}

// TestTablesInAnotherSchema: they are found as all statements find them.
func TestTablesInAnotherSchema(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := openStore(t, url)
	change(t, s, `CREATE SCHEMA app`)
	openStore(t, url+"&search_path=app,public")
	status, err := openDatabase(t, url+"&search_path=app,public").Status(t.Context())
	if err != nil || status.Bytes == 0 {
		t.Error(status, err)
	}
}

func TestPostgresNameHasNoPassword(t *testing.T) {
	t.Parallel()
	p, err := parsePostgres("postgres://u:hunter2@db.example:5433/n?sslmode=disable&application_name=x")
	if err != nil {
		t.Fatal(err)
	}
	if name := p.name(); name != "postgres://u@db.example:5433/n" {
		t.Error(name)
	}
}

func FuzzDatabaseURL(f *testing.F) {
	for _, url := range []string{"postgres://u:p@h:1/n?sslmode=disable",
		"postgres://h1:1,h2:2/n?pool_max_conns=3", "sqlite:x", "postgres://%zz", "postgresql:///?host=/x"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		const secret = "Zq8!secret"
		withPassword := strings.Replace(url, "postgres://", "postgres://u:"+secret+"@", 1)
		if err := CheckURL(withPassword); strings.Contains(fmt.Sprint(err), secret) {
			t.Errorf("%q: the password is shown: %v", url, err)
		}
	})
}

func TestPostgresLimits(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	for query, want := range map[string]string{
		"": "5s 5s sherpa", "&statement_timeout=7000&application_name=mine": "7s 5s mine",
	} {
		s := openStore(t, url+query+"&pool_max_conns=6")
		if a, b := s.read.Stats().MaxOpenConnections, s.write.Stats().MaxOpenConnections; a != 1 || b != 5 {
			t.Errorf("%d and %d connections, want 1 and 5", a, b)
		}
		for _, db := range []*sql.DB{s.read, s.write} {
			var statement, idle, name string
			err := db.QueryRowContext(
				t.Context(),
				`SELECT current_setting('statement_timeout'),
					current_setting('idle_in_transaction_session_timeout'),
					current_setting('application_name')`,
			).Scan(
				&statement, &idle, &name,
			)
			if got := statement + " " + idle + " " + name; got != want || err != nil {
				t.Errorf("%q: %s, want %s, %v", query, got, want, err)
			}
		}
	}
}

// TestLongReads: lists may take longer than a request.
func TestLongReads(t *testing.T) {
	t.Parallel()
	s := openStore(t, pgtest.Database(t)+"&statement_timeout=50")
	slow := `SELECT 1 FROM pg_sleep(0.2)`
	one := func(row scanner) (n int, err error) { err = row.Scan(&n); return n, err }
	for n, err := range stream(t.Context(), s.connection, "slow", one, slow) {
		if n != 1 || err != nil {
			t.Error(n, err)
		}
	}
	if _, err := list(t.Context(), s.connection, s.read, "slow", one, slow); !errors.Is(err, ErrUnavailable) {
		t.Errorf("the limit is gone from the connection: %v", err)
	}
}

func TestTransactRepeatsWhatWasUndone(t *testing.T) {
	t.Parallel()
	s := openStore(t, pgtest.Database(t))
	tests := []struct {
		name  string
		fault error
		calls int
	}{
		{"serialization failure", &pgconn.PgError{Code: serializationFailure}, 3},
		{"deadlock", fmt.Errorf("x: %w", &pgconn.PgError{Code: deadlockDetected}), 3},
		{"another error", &pgconn.PgError{Code: "23514"}, 1},
		{"no error of the database", errors.New("no"), 1},
		{"time is up", context.DeadlineExceeded, 1},
	}
	for _, tt := range tests {
		calls := 0
		err := s.Transact(t.Context(), func(context.Context, *sql.Tx) error { calls++; return tt.fault })
		if calls != tt.calls || !errors.Is(err, tt.fault) {
			t.Errorf("%s: %d calls, want %d, %v", tt.name, calls, tt.calls, err)
		}
	}
}

const cutItself = `SELECT pg_terminate_backend(pg_backend_pid())`

func TestCutConnections(t *testing.T) {
	t.Parallel()
	s := openStore(t, pgtest.Database(t))
	ctx := t.Context()
	t.Run("in a transaction: once more", func(t *testing.T) {
		calls := 0
		err := s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
			calls++
			if _, err := s.nextID(ctx, tx, "users"); err != nil || calls > 1 {
				return err
			}
			_, err := tx.ExecContext(ctx, cutItself)
			return s.wrap("cut", err)
		})
		if u := addUser(t, s, "ada"); calls != 2 || err != nil || u.ID != 2 {
			t.Errorf("%d calls, id %d, %v", calls, u.ID, err)
		}
	})
	t.Run("at the commit: nobody knows", func(t *testing.T) {
		for _, statement := range []string{
			`CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS
				'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'`,
			`CREATE CONSTRAINT TRIGGER cut AFTER INSERT ON login_rates DEFERRABLE INITIALLY DEFERRED
				FOR EACH ROW EXECUTE FUNCTION cut()`,
		} {
			change(t, s, statement)
		}
		calls := 0
		err := s.Transact(ctx, func(ctx context.Context, tx *sql.Tx) error {
			calls++
			_, err := tx.ExecContext(ctx, `INSERT INTO login_rates (key, whole_at) VALUES ('x', 1)`)
			return err
		})
		if calls != 1 || !errors.Is(err, ErrUnavailable) {
			t.Errorf("%d calls, %v", calls, err)
		}
	})
	t.Run("a read: once more", func(t *testing.T) {
		reads := 0
		err := s.reading(ctx, func(ctx context.Context) error {
			if reads++; reads < 3 {
				_, err := s.read.ExecContext(ctx, cutItself)
				return err
			}
			return nil
		})
		if reads != 3 || err != nil {
			t.Errorf("%d reads, %v", reads, err)
		}
	})
	t.Run("all of the pool", func(t *testing.T) {
		useAll(t, s)
		if err := s.Ready(ctx); err != nil {
			t.Error(err)
		}
		if _, err := s.CreateUser(ctx, User{Username: "bob", PasswordHash: "h"}); err != nil {
			t.Error(err)
		}
	})
}

// useAll opens every connection of the pools, and then cuts them all.
func useAll(t *testing.T, s *Store) {
	t.Helper()
	for _, db := range []*sql.DB{s.read, s.write} {
		var wg sync.WaitGroup
		for range db.Stats().MaxOpenConnections {
			wg.Go(func() { _, _ = db.ExecContext(t.Context(), `SELECT pg_sleep(0.1)`) })
		}
		wg.Wait()
	}
	const others = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE datname = current_database() AND pid <> pg_backend_pid()`
	if _, err := s.read.ExecContext(t.Context(), others); err != nil {
		t.Fatal(err)
	}
	if _, err := s.read.ExecContext(t.Context(), cutItself); err == nil {
		t.Fatal("the connection survived")
	}
}

func TestServerThatIsNotThere(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), "postgres://u:hunter2@"+address+"/n")
	if err == nil || !strings.Contains(err.Error(), address) || strings.Contains(err.Error(), "hunter2") ||
		strings.Contains(err.Error(), "\n") {
		t.Error(err)
	}
}

// TestServerThatDoesNotAnswer accepts connections and says nothing, as a machine does that hangs.
func TestServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := Open(ctx, "postgres://u@"+l.Addr().String()+"/n"); err == nil || ctx.Err() != nil {
		t.Errorf("%v, %v", err, ctx.Err())
	}
}

func TestPostgresRefusesAndDamagesNothing(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, before, fault string }{
		{"another program's", `CREATE TABLE users (id int)`, "tables of another program (users)"},
		{"another program's sessions", `CREATE TABLE sessions (id int)`,
			"tables of another program (sessions)"},
		{"newer", `INSERT INTO sherpa_db_version (version_id, is_applied) VALUES (99999, true)`,
			"a newer sherpa made it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			if tt.name == "newer" {
				_ = openStore(t, url).Close()
			}
			db, err := sql.Open("pgx", url)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.ExecContext(t.Context(), tt.before); err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), url)
			if err == nil || !strings.Contains(err.Error(), tt.fault) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tt.fault)
			}
		})
	}
}

func TestOpenExistingMakesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		for range 2 {
			if _, err := OpenExisting(t.Context(), url); !errors.Is(err, ErrNoDatabase) {
				t.Fatal(err)
			}
		}
		addUser(t, openStore(t, url), "ada")
		s, err := OpenExisting(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.UserByName(t.Context(), "ada"); err != nil {
			t.Error(err)
		}
	})
}

// TestTLSOfTheURL: what sslmode asks for is kept, on a server with a certificate of an authority of its own.
func TestTLSOfTheURL(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	authority := serveTLS(t, server)
	other := certificateFile(t, newCertificate(t).certificate)
	for _, tt := range []struct{ name, query, used, fault string }{
		{"verify-full", "sslmode=verify-full&sslrootcert=" + authority, "true", ""},
		{"verify-ca", "sslmode=verify-ca&sslrootcert=" + authority, "true", ""},
		{"require", "sslmode=require", "true", ""},
		{"disable", "sslmode=disable", "false", ""},
		{"another authority", "sslmode=verify-full&sslrootcert=" + other, "", "certificate"},
		{"the system's authorities", "sslmode=verify-full", "", "certificate"},
	} {
		s, err := Open(t.Context(), strings.Replace(server.URL(), "sslmode=disable", tt.query, 1))
		if tt.fault != "" {
			if err == nil || !strings.Contains(err.Error(), tt.fault) {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var used string
		err = s.read.QueryRowContext(
			t.Context(), `SELECT CAST(ssl AS TEXT) FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
		).Scan(
			&used,
		)
		if err := errors.Join(err, s.Close()); used != tt.used || err != nil {
			t.Errorf("%s: TLS %s, want %s, %v", tt.name, used, tt.used, err)
		}
	}
}

// serveTLS restarts the server with a new certificate, and returns the file that vouches for it.
func serveTLS(t *testing.T, server *pgtest.Server) (authority string) {
	t.Helper()
	pair := newCertificate(t)
	server.WriteFile(t, "server.crt", pair.certificate)
	server.WriteFile(t, "server.key", pair.key)
	db, err := sql.Open("pgx", server.URL())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `ALTER SYSTEM SET ssl = on`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	server.Stop(t)
	server.Resume(t)
	return certificateFile(t, pair.certificate)
}

type keyPair struct{ certificate, key []byte }

// newCertificate vouches for itself as 127.0.0.1.
func newCertificate(t *testing.T) keyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(
			1,
		),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		IPAddresses: []net.IP{
			net.IPv4(127, 0, 0, 1),
		},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}
}

func certificateFile(t *testing.T, certificate []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(path, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
