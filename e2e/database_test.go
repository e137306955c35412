package e2e

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sherpa/internal/pgtest"
)

// number runs a query that returns one.
func number(t *testing.T, connection *pgx.Conn, query string, args ...any) (n int64) {
	t.Helper()
	if err := connection.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

// backends returns how many connections to the database are in a state.
func backends(t *testing.T, operator *pgx.Conn, state string) int64 {
	t.Helper()
	return number(t, operator,
		"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "+state)
}

// await waits until a connection to the database is in a state.
func await(t *testing.T, operator *pgx.Conn, state string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); backends(t, operator, state) == 0; {
		if time.Now().After(deadline) {
			t.Fatalf("no connection with %s", state)
		}
		time.Sleep(5 * time.Millisecond) // it gets there meanwhile
	}
}

// lockTable begins a transaction, in which nobody else may use the table in a way that the mode forbids.
func lockTable(t *testing.T, operator *pgx.Conn, table, mode string) {
	t.Helper()
	pgtest.Execute(t, operator, "BEGIN")
	pgtest.Execute(t, operator, "LOCK TABLE "+table+" IN "+mode+" MODE")
}

const ours = "application_name = 'sherpa'"

// cutConnections ends all connections of the program to the database.
func cutConnections(t *testing.T, operator *pgx.Conn) {
	t.Helper()
	pgtest.Execute(t, operator,
		"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND "+ours)
}
