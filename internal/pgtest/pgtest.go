// Package pgtest starts private PostgreSQL servers for tests, without root and without set-up. However a test
// process ends, its servers and their folders end with it. Only tests import it.
package pgtest

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"unicode"

	"github.com/jackc/pgx/v5"
)

// shared is the server behind Database.
//
//nolint:gochecknoglobals // the tests of a process and its TestMain share nothing else
var shared struct {
	once      sync.Once
	server    *Server
	err       error
	databases atomic.Int64
}

// Main is for TestMain: it runs the tests, stops the server that they shared, and returns the exit code.
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server == nil {
		return code
	}
	if err := shared.server.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return max(code, 1)
	}
	return code
}

// Database returns the URL of a new, empty database, which ends with the test. It is on a server that all
// tests of the process share, and which would not survive a power cut: for that, see Start.
func Database(t testing.TB) string {
	t.Helper()
	Require(t)
	shared.once.Do(func() {
		// On a disk a new database may take ten times as long, and the log would keep 1 GB.
		shared.server, shared.err = start(
			"/dev/shm", "fsync = off", "max_connections = 300", "max_wal_size = 128MB",
		)
	})
	if shared.err != nil {
		t.Fatalf("shared PostgreSQL server: %v", shared.err)
	}
	name := fmt.Sprintf("test_%d", shared.databases.Add(1))
	if err := shared.server.execute("CREATE DATABASE " + name + " TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.server.execute("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return shared.server.url(name)
}

// Connect returns a connection with all rights, which ends with the test.
func Connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	connection, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close(context.Background()) })
	return connection
}

// Execute runs a statement that must succeed.
func Execute(t testing.TB, connection *pgx.Conn, statement string, args ...any) {
	t.Helper()
	if _, err := connection.Exec(t.Context(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// Require skips the test if no PostgreSQL server is installed. With CI=true the test fails instead: otherwise
// nobody would notice that it no longer runs.
func Require(t testing.TB) {
	t.Helper()
	_, err := findBinaries(usualFolders()...)
	//nolint:forbidigo // no setting of the program
	require(t, err, supported && os.Getenv("CI") == "true")
}

func require(t testing.TB, missing error, ci bool) {
	t.Helper()
	switch {
	case missing == nil:
	case ci:
		t.Fatalf("no PostgreSQL server, and CI must have one (apt-get install postgresql): %v", missing)
	default:
		t.Skipf("no PostgreSQL server (apt-get install postgresql): %v", missing)
	}
}

// usualFolders are where packages put the server's binaries, which distributions keep off PATH.
func usualFolders() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
	}
}

// findBinaries returns the folder of initdb and postgres: from PATH, or else the highest version that a
// pattern matches.
func findBinaries(patterns ...string) (string, error) {
	if !supported {
		return "", fmt.Errorf("pgtest needs Unix")
	}
	if initdb, err := exec.LookPath("initdb"); err == nil && hasBinaries(filepath.Dir(initdb)) {
		return filepath.Dir(initdb), nil
	}
	var found []string
	for _, pattern := range patterns {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		found = append(found, matches...)
	}
	found = slices.DeleteFunc(found, func(folder string) bool { return !hasBinaries(folder) })
	if len(found) == 0 {
		return "", fmt.Errorf(
			"initdb and postgres are neither on PATH nor in %s", strings.Join(patterns, ", "),
		)
	}
	return slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) }), nil
}

func hasBinaries(folder string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(folder, name)); err != nil {
			return false
		}
	}
	return true
}

// version is the number that the name of the folder above bin ends with: 17 of postgresql@17, 0 without one.
func version(bin string) float64 {
	name := filepath.Base(filepath.Dir(bin))
	number, err := strconv.ParseFloat(
		strings.TrimLeftFunc(name, func(r rune) bool { return !unicode.IsDigit(r) }), 64,
	)
	if err != nil {
		return 0
	}
	return number
}
