package pgtest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// asVictim makes the test binary start two servers, say where they are, and wait for its death.
const asVictim = "SHERPA_TEST_AS_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(asVictim) != "" {
		fmt.Println(victim())
		return
	}
	os.Exit(Main(m))
}

func victim() error {
	running, err := start("")
	if err != nil {
		return err
	}
	stopped, err := start("")
	if err == nil {
		err = stopped.halt()
	}
	if err != nil {
		return err
	}
	fmt.Println(running.folder, running.port, stopped.folder, stopped.port)
	_, err = io.Copy(io.Discard, os.Stdin) // until it is killed, or TestKill is
	return err
}

func query(t testing.TB, connection *pgx.Conn, statement string) string {
	t.Helper()
	var answer string
	if err := connection.QueryRow(t.Context(), statement).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	first, second := Connect(t, Database(t)), Connect(t, Database(t))
	for _, connection := range []*pgx.Conn{first, second} {
		Execute(t, connection, "CREATE TABLE climbers (name text)")
	}
	Execute(t, first, "INSERT INTO climbers VALUES ('Tenzing')")
	if got := query(t, first, "SELECT count(*)::text FROM climbers"); got != "1" {
		t.Errorf("the first database has %s rows, want 1", got)
	}
	if got := query(t, second, "SELECT count(*)::text FROM climbers"); got != "0" {
		t.Errorf("the second database has %s rows, want 0", got)
	}
	if a, b := query(t, first, "SHOW data_directory"), query(t, second, "SHOW data_directory"); a != b {
		t.Errorf("data folders %s and %s, want one server", a, b)
	}
}

func TestDatabaseEndsWithItsTest(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("test", func(t *testing.T) {
		url = Database(t)
		connection, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		Execute(t, connection, "CREATE TABLE climbers (name text)") // and stay connected
	})
	if connection, err := pgx.Connect(t.Context(), url); err == nil {
		_ = connection.Close(t.Context())
		t.Error("the database is still there")
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	shared := Connect(t, Database(t))
	own := Connect(t, Start(t, "max_connections = 17").URL())
	for _, c := range []struct {
		name, setting, want string
		connection          *pgx.Conn
	}{
		{"shared", "fsync", "off", shared},
		{"shared", "synchronous_commit", "on", shared},
		{"shared", "max_connections", "300", shared},
		{"shared", "server_encoding", "UTF8", shared},
		{"own", "fsync", "on", own},
		{"own", "synchronous_commit", "on", own},
		{"own", "max_connections", "17", own},
	} {
		if got := query(t, c.connection, "SHOW "+c.setting); got != c.want {
			t.Errorf("%s server: %s is %s, want %s", c.name, c.setting, got, c.want)
		}
	}
}

func TestStopResume(t *testing.T) {
	t.Parallel()
	s := Start(t)
	url := s.URL()
	if want := fmt.Sprintf("postgres://sherpa@127.0.0.1:%d/sherpa?sslmode=disable", s.Port()); url != want {
		t.Fatalf("URL %s, want %s", url, want)
	}
	connection := Connect(t, url)
	Execute(t, connection, "CREATE TABLE climbers (name text)")
	for i := range 3 {
		Execute(t, connection, "INSERT INTO climbers VALUES ('Tenzing')")
		s.Stop(t)
		if _, err := connection.Exec(t.Context(), "SELECT 1"); err == nil {
			t.Error("an old connection outlives Stop")
		}
		if fresh, err := pgx.Connect(t.Context(), url); err == nil {
			_ = fresh.Close(t.Context())
			t.Error("a new connection after Stop")
		}
		s.Resume(t)
		connection = Connect(t, url)
		if got, want := query(
			t, connection, "SELECT count(*)::text FROM climbers",
		), strconv.Itoa(
			i+1,
		); got != want {
			t.Errorf("%s rows after Resume, want %s", got, want)
		}
	}
	if !strings.Contains(s.log(), "automatic recovery") {
		t.Errorf("Stop was not like a crash:\n%s", s.log())
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]bool{"running": false, "stopped": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *Server
			if !t.Run("test", func(t *testing.T) {
				s = Start(t)
				if stop {
					s.Stop(t)
				}
			}) || s == nil {
				return
			}
			if err := gone(s.folder, s.port); err != nil {
				t.Error(err)
			}
		})
	}
}

// gone reports what is left of a server.
func gone(folder string, port int) error {
	if _, err := os.Stat(folder); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there", folder)
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return l.Close()
}

func TestKill(t *testing.T) {
	t.Parallel()
	Require(t)
	victim := exec.CommandContext(t.Context(), os.Args[0])
	victim.Env = append(os.Environ(), asVictim+"=1")
	if _, err := victim.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	var folders [2]string
	var ports [2]int
	line, _ := bufio.NewReader(output).ReadString('\n')
	if _, err := fmt.Sscan(line, &folders[0], &ports[0], &folders[1], &ports[1]); err != nil {
		t.Fatalf("the victim says %q", line)
	}
	if _, err := os.Stat(folders[0]); err != nil {
		t.Fatal(err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = victim.Wait() // "signal: killed"
	for i, name := range []string{"running", "stopped"} {
		err := gone(folders[i], ports[i])
		for deadline := time.Now().Add(30 * time.Second); err != nil && time.Now().Before(deadline); {
			time.Sleep(20 * time.Millisecond) // the guard tidies up meanwhile
			err = gone(folders[i], ports[i])
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStartShowsTheLog(t *testing.T) {
	t.Parallel()
	Require(t)
	s, err := start("", "no_such_setting = 1")
	if err == nil {
		_ = s.remove()
		t.Fatal("no error")
	}
	if !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Errorf("the error lacks the log: %v", err)
	}
}

// TestWriteFile does what a test of TLS needs.
func TestWriteFile(t *testing.T) {
	t.Parallel()
	s := Start(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s.WriteFile(t, "server.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	s.WriteFile(t, "server.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	Execute(t, Connect(t, s.URL()), "ALTER SYSTEM SET ssl = on")
	s.Stop(t)
	s.Resume(t)
	connection := Connect(t, strings.Replace(s.URL(), "sslmode=disable", "sslmode=require", 1))
	if got := query(
		t, connection, "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
	); got != "true" {
		t.Errorf("TLS is %s", got)
	}
}

// verdict records what a test was told.
type verdict struct {
	testing.TB
	skipped, failed string
}

func (*verdict) Helper()                             {}
func (v *verdict) Skipf(format string, args ...any)  { v.skipped = fmt.Sprintf(format, args...) }
func (v *verdict) Fatalf(format string, args ...any) { v.failed = fmt.Sprintf(format, args...) }

func TestRequire(t *testing.T) {
	t.Parallel()
	missing := errors.New("nothing there")
	for _, c := range []struct {
		name         string
		missing      error
		ci           bool
		skips, fails bool
	}{
		{"installed", nil, false, false, false},
		{"installed in CI", nil, true, false, false},
		{"missing", missing, false, true, false},
		{"missing in CI", missing, true, false, true},
	} {
		var v verdict
		require(&v, c.missing, c.ci)
		if (v.skipped != "") != c.skips || (v.failed != "") != c.fails {
			t.Errorf("%s: skipped %q, failed %q", c.name, v.skipped, v.failed)
		}
		if said := v.skipped + v.failed; c.missing != nil &&
			!strings.Contains(said, "apt-get install postgresql") {
			t.Errorf("%s: %q does not say what to install", c.name, said)
		}
	}
}

func TestFindBinaries(t *testing.T) {
	if !supported {
		t.Skip("not on this system")
	}
	root := t.TempDir()
	install := func(folder string, names ...string) {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.WriteFile(
				filepath.Join(root, folder, name), []byte("#!/bin/sh\n"), 0o755,
			); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("PATH", filepath.Join(root, "path"))
	install("path", "initdb") // and no postgres
	patterns := []string{filepath.Join(root, "*/bin"), filepath.Join(root, "opt/postgresql*/bin")}
	if folder, err := findBinaries(patterns...); err == nil {
		t.Errorf("found %s, want an error", folder)
	}
	for _, c := range []struct{ folder, binaries, want string }{
		{"opt/postgresql/bin", "initdb postgres", "opt/postgresql/bin"},
		{"9.5/bin", "initdb postgres", "9.5/bin"},
		{"9.6/bin", "initdb postgres", "9.6/bin"},
		{"15/bin", "initdb postgres", "15/bin"},
		{"17/bin", "postgres", "15/bin"},
		{"opt/postgresql@16/bin", "initdb postgres", "opt/postgresql@16/bin"},
		{"path", "postgres", "path"},
	} {
		install(c.folder, strings.Fields(c.binaries)...)
		folder, err := findBinaries(patterns...)
		if want := filepath.Join(root, c.want); err != nil || folder != want {
			t.Errorf("with %s: %s, %v, want %s", c.folder, folder, err, want)
		}
	}
}

func BenchmarkDatabase(b *testing.B) {
	Database(b)
	for b.Loop() {
		Database(b)
	}
}

func BenchmarkStart(b *testing.B) {
	for b.Loop() {
		Start(b)
	}
}
