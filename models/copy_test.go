package models

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sherpa/internal/pgtest"
)

// fixture fills every table, with NULLs and without, in more rows than one statement inserts.
func fixture(t *testing.T, url string) {
	t.Helper()
	s := openStore(t, url)
	ctx := t.Context()
	for i := range 600 {
		u := addUser(t, s, fmt.Sprint("ada 🏔 ", i), "cook", "guide")
		addSession(t, s, fmt.Sprint("s", i), u.ID)
		addToken(t, s, fmt.Sprint("t", i), u.ID)
		switch i % 4 {
		case 0:
			if _, err := s.DisableUser(ctx, u.ID, epoch.Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		case 1:
			if _, err := s.RotateSession(
				ctx,
				Rotation{
					SessionID:  fmt.Sprint("s", i),
					FromHash:   "hash 0",
					Hash:       "x",
					At:         epoch,
					IdleEndsAt: epoch.Add(week),
				},
			); err != nil {
				t.Fatal(err)
			}
		case 2:
			if i > 500 {
				if _, err := s.DeleteUser(ctx, u.ID, epoch); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	addReset(t, s, "r", 2)
	if err := s.RecordUses(ctx, map[string]time.Time{"t1": epoch}); err != nil {
		t.Fatal(err)
	}
	attempt := LoginAttempt{
		NameKey:        "n",
		NameAddressKey: "na",
		AddressKey:     "a",
		At:             epoch,
		Interval:       time.Second,
		Burst:          9,
	}
	if count, err := s.CountLogin(ctx, attempt); count.Wait != 0 || err != nil {
		t.Fatal(count, err)
	}
	if err := s.RememberKeys(ctx, epoch, []string{"key"}); err != nil {
		t.Fatal(err)
	}
	attempt.NameKey = "other"
	if err := s.ResetFailures(ctx, attempt); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// dump is every row of every table as text.
func dump(t *testing.T, url string) map[string][]string {
	t.Helper()
	s := openStore(t, url)
	all := map[string][]string{}
	for _, table := range tables() {
		for row, err := range each(t.Context(), s.read, table.scan,
			`SELECT `+table.columns+` FROM `+table.name) {
			if err != nil {
				t.Fatal(err)
			}
			all[table.name] = append(all[table.name], fmt.Sprintf("%T %v", row[len(row)-1], row))
		}
		slices.Sort(all[table.name])
	}
	return all
}

func TestCopy(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		from := database(t)
		fixture(t, from)
		want := dump(t, from)
		for name, to := range map[string]string{
			"to SQLite": "sqlite:" + filepath.Join(t.TempDir(), "new",
				"copy.db"), "to PostgreSQL": pgtest.Database(t),
		} {
			copied, err := Copy(t.Context(), from, to)
			if err != nil {
				t.Fatal(name, err)
			}
			if diff := cmp.Diff(want, dump(t, to)); diff != "" {
				t.Error(name, diff)
			}
			for _, rows := range copied {
				if n := int64(len(want[rows.Table])); rows.Rows != n || n == 0 {
					t.Errorf("%s: %d rows of %s, want %d", name, rows.Rows, rows.Table, n)
				}
			}
			if _, err := Copy(
				t.Context(), from, to,
			); err == nil ||
				!strings.Contains(err.Error(), "is not empty") {
				t.Errorf("%s, a second time: %v", name, err)
			}
			if u, err := openStore(
				t, to,
			).CreateUser(
				t.Context(), User{Username: "next", PasswordHash: "h"},
			); u.ID != 601 ||
				err != nil {
				t.Errorf("%s: the next user has the id %d, %v", name, u.ID, err)
			}
		}
	})
}

func TestCopyOntoItself(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		fixture(t, url)
		want := dump(t, url)
		if _, err := Copy(t.Context(), url, url); err == nil {
			t.Error("no error")
		}
		if diff := cmp.Diff(want, dump(t, url)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestCopyThatFailsLeavesNothing(t *testing.T) {
	from := "sqlite:" + filepath.Join(t.TempDir(), "from.db")
	fixture(t, from)
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		refuseOne := map[string][]string{
			"sqlite": {
				`CREATE TRIGGER lose BEFORE INSERT ON sessions WHEN NEW.id = 's7'
					BEGIN SELECT RAISE(IGNORE); END`,
			},
			"postgr": {
				`CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS
					'BEGIN IF NEW.id = ''s7'' THEN RETURN NULL; END IF; RETURN NEW; END'`,
				`CREATE TRIGGER lose BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION lose()`,
			},
		}
		t.Run("a row is lost", func(t *testing.T) {
			to := database(t)
			s := openStore(t, to)
			for _, statement := range refuseOne[to[:6]] {
				change(t, s, statement)
			}
			_, err := Copy(t.Context(), from, to)
			if err == nil ||
				!regexp.MustCompile(
					`copy sessions: \d+ rows arrived, but there are \d+`,
				).MatchString(
					err.Error(),
				) {
				t.Error(err)
			}
			wantEmpty(t, to)
		})
		t.Run("interrupted", func(t *testing.T) {
			to := database(t)
			_ = openStore(t, to)
			ctx, cancel := context.WithCancel(t.Context())
			_, err := copyAll(ctx, from, to, func(begun table) {
				if begun.name == "revocations" {
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			wantEmpty(t, to)
		})
		t.Run("no source", func(t *testing.T) {
			to := database(t)
			if _, err := Copy(t.Context(), database(t), to); !errors.Is(err, ErrNoDatabase) {
				t.Error(err)
			}
		})
		t.Run("source of another version", func(t *testing.T) {
			old := database(t)
			s := openStore(t, old)
			change(t, s, `DELETE FROM `+s.engine.versionTable+` WHERE version_id > 0`)
			if _, err := Copy(
				t.Context(), old, database(t),
			); err == nil ||
				!strings.Contains(err.Error(), "another version of sherpa") {
				t.Error(err)
			}
		})
	})
}

func wantEmpty(t *testing.T, url string) {
	t.Helper()
	if rows := dump(t, url); len(rows) != 0 {
		t.Errorf("%d tables have rows", len(rows))
	}
}

// TestTablesAreAll: a column or table that a migration adds must be copied as well.
func TestTablesAreAll(t *testing.T) {
	queries := map[string]string{
		"sqlite": `SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
			WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'`,
		"postgr": `SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT)
			FROM information_schema.columns WHERE table_schema = current_schema()`,
	}
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		s := openStore(t, url)
		got, want := map[string][]string{}, map[string][]string{}
		for _, table := range tables() {
			want[table.name] = strings.Split(table.columns, ", ")
			slices.Sort(want[table.name])
		}
		pair := func(row scanner) (p [2]string, err error) { err = row.Scan(&p[0], &p[1]); return p, err }
		for p, err := range each(t.Context(), s.read, pair, queries[url[:6]]) {
			if err != nil {
				t.Fatal(err)
			}
			if p[0] != s.engine.versionTable && p[0] != promiseTable {
				got[p[0]] = append(got[p[0]], p[1])
				slices.Sort(got[p[0]])
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestStatus(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		fixture(t, url)
		s := openDatabase(t, url)
		got, err := s.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		rows := map[string]int64{}
		for _, table := range got.Tables {
			rows[table.Table] = table.Rows
		}
		for table, all := range dump(t, url) {
			if rows[table] != int64(len(all)) {
				t.Errorf("%s: %d rows, want %d", table, rows[table], len(all))
			}
		}
		if got.Schema != got.Known || got.Schema == 0 || got.Bytes < 100_000 || got.Bytes > 10_000_000 ||
			got.Database != s.Name() ||
			got.Version == "" {
			t.Errorf("%+v", got)
		}
	})
}

func TestBackup(t *testing.T) {
	t.Parallel()
	url := "sqlite:" + filepath.Join(t.TempDir(), "sherpa.db")
	fixture(t, url)
	s := openStore(t, url)
	path := filepath.Join(t.TempDir(), "backup.db")
	stop := make(chan struct{})
	wrote := make(chan int)
	go func() { // a server that goes on writing
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				wrote <- n
				return
			default:
				if _, err := s.CreateUser(
					t.Context(), User{Username: fmt.Sprint("late", n), PasswordHash: "h"},
				); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	size, err := openDatabase(t, url).Backup(t.Context(), path)
	close(stop)
	if n := <-wrote; n == 0 {
		t.Error("nobody wrote meanwhile")
	}
	info, statErr := os.Stat(path)
	if err != nil || statErr != nil || size != info.Size() || info.Mode().Perm() != 0o600 {
		t.Fatal(size, info, err, statErr)
	}
	users, counted := dump(t, "sqlite:"+path)["users"], dump(t, "sqlite:"+path)["counters"]
	if want := fmt.Sprintf(
		"[users %d]", len(users)+25,
	); !strings.HasSuffix(
		counted[0], want,
	) { // 25 were deleted
		t.Errorf("the copy is of two moments: %s, want %s", counted[0], want)
	}
	if _, err := openDatabase(
		t, url,
	).Backup(
		t.Context(), path,
	); err == nil ||
		!strings.Contains(err.Error(), "exists already") {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(left) != 0 || err != nil {
		t.Error(left, err)
	}
	if _, err := openDatabase(
		t, url,
	).Backup(
		t.Context(), "/nonexistent/backup.db",
	); !errors.Is(
		err, os.ErrNotExist,
	) {
		t.Error(err)
	}
}

func TestBackupOfPostgresIsNotOurs(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	openStore(t, url)
	if _, err := openDatabase(
		t, url,
	).Backup(
		t.Context(), filepath.Join(t.TempDir(), "x"),
	); !errors.Is(
		err, ErrNoBackup,
	) {
		t.Error(err)
	}
}

func openDatabase(t *testing.T, url string) *Database {
	t.Helper()
	d, err := OpenDatabase(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}
