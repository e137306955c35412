package models

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func openTest(t *testing.T) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "sherpa.db"))
}

func openAt(t *testing.T, path string) *Store {
	t.Helper()
	return openStore(t, "sqlite:"+path)
}

func TestLookupsUseIndexes(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	for _, query := range []string{
		`SELECT id FROM users WHERE username = 'a'`, `SELECT id FROM users WHERE id = 1`,
		`SELECT s.id FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = 'x'`,
		`UPDATE sessions SET ended_at = 1 WHERE user_id = 1 AND ended_at IS NULL`,
	} {
		for _, step := range plan(t, s, query) {
			if strings.HasPrefix(step, "SCAN") {
				t.Errorf("%s: %s", query, step)
			}
		}
	}
}

func plan(t *testing.T, s *Store, query string) []string {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var steps []string
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if rows.Err() != nil || len(steps) == 0 {
		t.Fatal("no plan", rows.Err())
	}
	return steps
}

func TestOpenKeepsOthersOut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "folder", "sherpa.db")
	s := openAt(t, path)
	addUser(t, s, "ada")
	for file, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600,
		path + "-wal": 0o600} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: mode %o, want %o", file, got, want)
		}
	}
}

func TestEveryConnectionHasTheSettings(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	for pragma, want := range map[string]string{"synchronous": "2", "foreign_keys": "1",
		"journal_mode": "wal", "busy_timeout": "3000"} {
		for name, db := range map[string]*sql.DB{"read": s.read, "write": s.write} {
			var got string
			if err := db.QueryRowContext(
				t.Context(), "PRAGMA "+pragma,
			).Scan(
				&got,
			); got != want ||
				err != nil {
				t.Errorf("%s: %s = %q, want %q, %v", name, pragma, got, want, err)
			}
		}
	}
}

func TestOpenTakesAnyPath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"with blank.db", "50%.db", "a?mode=memory.db", "a#b.db", "é🏔.db",
		"a&_pragma=x.db"} {
		path := filepath.Join(t.TempDir(), name)
		s := openAt(t, path)
		addUser(t, s, "ada")
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOpenRefusesAndDamagesNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		make  func(t *testing.T, path string)
		fault string
	}{
		{"not a database", func(t *testing.T, path string) {
			write(t, path, strings.Repeat("my holiday notes\n", 1000))
		}, "not a readable SQLite database"},
		{"damaged", func(t *testing.T, path string) {
			closed(t, path)
			content := read(t, path)
			write(t, path, content[:100]+strings.Repeat("\xff", len(content)-100))
		}, "not a readable SQLite database"},
		{"another program's", func(t *testing.T, path string) {
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), "CREATE TABLE recipes (id INTEGER)"); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}, "belongs to another program"},
		{"newer", func(t *testing.T, path string) {
			s := openAt(t, path)
			change(t, s, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}, "a newer sherpa made it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "sherpa.db")
			tt.make(t, path)
			before := read(t, path)
			_, err := Open(t.Context(), "sqlite:"+path)
			if err == nil || !strings.Contains(err.Error(), tt.fault) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, tt.fault)
			}
			if read(t, path) != before {
				t.Error("the file was changed")
			}
		})
	}
}

func closed(t *testing.T, path string) {
	t.Helper()
	s := openAt(t, path)
	addUser(t, s, "ada")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSQLitePath(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "sqlite:", "postgres://localhost/x", "data/sherpa.db", "SQLITE:x"} {
		if path, err := SQLitePath(url); err == nil {
			t.Errorf("%q became %s", url, path)
		}
	}
}
