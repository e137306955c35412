package models

import (
	"database/sql"
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"sherpa/internal/pgtest"
)

// sessionsColumn takes a lock that nobody may share.
func sessionsColumn(t *testing.T, url string) *connection {
	t.Helper()
	return connectWith(t, url, withMigrations(t, fstest.MapFS{
		"00901_column.sql": migration("ALTER TABLE sessions ADD COLUMN device TEXT;"),
	}))
}

// TestMigrationLetsRequestsPass: somebody's long transaction uses a table that a migration wants to change.
// Requests queue behind the migration, which therefore must give up, and try again.
func TestMigrationLetsRequestsPass(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := openStore(t, url)
	addSession(t, s, "one", addUser(t, s, "ada").ID)
	c := sessionsColumn(t, url)
	long := useSessions(t, s)
	migrated := make(chan error, 1)
	go func() {
		_, err := c.engine.migrate(t.Context(), c)
		migrated <- err
	}()
	for range 2 {
		awaitLockWait(t, s.read)
		if _, err := s.Sessions(t.Context(), 1, 9); err != nil { // after readWait it would fail
			t.Errorf("a request fails while the migration waits: %v", err)
		}
	}
	select {
	case err := <-migrated:
		t.Fatalf("it was done in spite of the lock: %v", err)
	default:
	}
	if err := long.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-migrated; err != nil || !c.upToDate(t.Context()) {
		t.Error(err)
	}
}

// useSessions begins a transaction that reads the table and does not end.
func useSessions(t *testing.T, s *Store) *sql.Tx {
	t.Helper()
	tx, err := s.snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	if _, err := countRows(t.Context(), tx, table{name: "sessions"}); err != nil {
		t.Fatal(err)
	}
	return tx
}

// awaitLockWait waits until a migration waits for a lock.
func awaitLockWait(t *testing.T, db *sql.DB) {
	t.Helper()
	const query = `SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		var n int
		if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond) // the migration begins meanwhile
	}
	t.Fatal("no migration waits for a lock")
}

// TestMigrationThatNeverGetsItsLock gives up in the end, changes nothing, and says why.
func TestMigrationThatNeverGetsItsLock(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := openStore(t, url)
	c := sessionsColumn(t, url)
	long := useSessions(t, s)
	p, err := parsePostgres(url)
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*p.forMigrations())
	defer db.Close()
	provider, err := c.provider(db)
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	_, err = retry{2, time.Millisecond, locked}.migrate(t.Context(), func() ([]string, error) {
		tries++
		return up(t.Context(), provider)
	})
	if tries != 2 || sqlState(err) != lockNotAvailable {
		t.Errorf("after %d tries: %v", tries, err)
	}
	if err := long.Rollback(); err != nil {
		t.Fatal(err)
	}
	if !s.upToDate(t.Context()) {
		t.Error("the schema has changed")
	}
}

func TestRetryEndsAtOtherErrors(t *testing.T) {
	t.Parallel()
	fault, tries := errors.New("a fault"), 0
	applied, err := retry{9, time.Millisecond, locked}.migrate(t.Context(), func() ([]string, error) {
		tries++
		return []string{"a"}, fault
	})
	if tries != 1 || !errors.Is(err, fault) || strings.Join(applied, " ") != "a" {
		t.Errorf("%d tries, %v, %v", tries, applied, err)
	}
}
