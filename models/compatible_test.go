package models

import (
	"database/sql"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// promising is a migration that adds a table, and promises something to older programs.
func promising(table, since string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- compatible-since: " + since +
		"\n\n-- +goose Up\nCREATE TABLE " + table + " (id BIGINT NOT NULL PRIMARY KEY);\n\n" +
		"-- +goose Down\nDROP TABLE " + table + ";\n")}
}

func silent(table string) *fstest.MapFile {
	return migration("CREATE TABLE " + table + " (id BIGINT NOT NULL PRIMARY KEY);")
}

// TestNewerSchemas opens databases with programs that lack some of their migrations.
func TestNewerSchemas(t *testing.T) {
	const fork, laterFork = "20261124120000_treks.sql", "20270101000000_huts.sql"
	for _, tt := range []struct {
		name    string
		newer   fstest.MapFS // made the schema
		older   fstest.MapFS // opens it
		refusal string       // names the migrations that are too new; "" when there are none
	}{
		{"one release ahead", fstest.MapFS{"00901_a.sql": promising("a", "1")}, nil, ""},
		{"one release ahead, without a promise", fstest.MapFS{"00901_a.sql": silent("a")}, nil, "[901]"},
		{"one release ahead, which promises nothing", fstest.MapFS{"00901_a.sql": promising("a", "901")}, nil,
			"[901]"},
		{"two releases ahead, both add only", fstest.MapFS{
			"00901_a.sql": promising("a", "1"), "00902_b.sql": promising("b", "1"),
		}, nil, ""},
		{"two releases ahead, and the second removes what the first no longer needs", fstest.MapFS{
			"00901_a.sql": promising("a", "1"), "00902_b.sql": promising("b", "901"),
		}, nil, "[902]"},
		{"the same for the release between them", fstest.MapFS{
			"00901_a.sql": promising("a", "1"), "00902_b.sql": promising("b", "901"),
		}, fstest.MapFS{"00901_a.sql": promising("a", "1")}, ""},
		{"ours on the schema of a fork", fstest.MapFS{fork: promising("treks", "1")}, nil, ""},
		{"ours on the schema of a fork without a promise", fstest.MapFS{fork: silent("treks")}, nil,
			"[20261124120000]"},
		{"a fork on its next schema", fstest.MapFS{
			fork: silent("treks"), laterFork: promising("huts", "20261124120000"),
		}, fstest.MapFS{fork: silent("treks")}, ""},
		{"ours on it", fstest.MapFS{
			fork: promising("treks", "1"), laterFork: promising("huts", "20261124120000"),
		}, nil, "[20270101000000]"},
		{"a fork that has taken our next migration", fstest.MapFS{
			fork: silent("treks"), "00901_a.sql": promising("a", "1"),
		}, fstest.MapFS{fork: silent("treks")}, ""},
		// A date is higher than every number of ours: it must not pass for them.
		{"a fork without our migration that others need", fstest.MapFS{
			fork: silent("treks"), "00901_a.sql": promising("a", "1"), "00902_b.sql": promising("b", "901"),
		}, fstest.MapFS{fork: silent("treks")}, "[902]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, database func(*testing.T) string) {
				url := database(t)
				addUser(t, openWith(t, url, withMigrations(t, tt.newer)), "ada")
				s, err := open(t.Context(), url, true, withMigrations(t, tt.older))
				if tt.refusal != "" {
					if err == nil || !strings.Contains(err.Error(), tt.refusal) ||
						strings.Contains(err.Error(), "\n") {
						t.Errorf("got %v, want one line with %s", err, tt.refusal)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				if u, err := s.UserByName(t.Context(), "ada"); err != nil || u.ID != 1 {
					t.Errorf("%+v, %v", u, err)
				}
				addSession(t, s, "one", 1)
				openWith(t, url, withMigrations(t, tt.newer)) // and forward again
			})
		})
	}
}

// TestNewerSchemaThatAlsoLacks: a fork takes its own migration back and ours forward, in one step.
func TestNewerSchemaThatAlsoLacks(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		openWith(t, url, withMigrations(t, fstest.MapFS{forkMigration: promising("treks", "1")}))
		s := openWith(t, url, withMigrations(t, fstest.MapFS{"00901_a.sql": promising("a", "1")}))
		change(t, s, `INSERT INTO a VALUES (1)`)
		pending, unknown, err := s.compare(t.Context(), s.read)
		if diff := cmp.Diff([]int64{20261124120000}, unknown); diff != "" || len(pending) > 0 || err != nil {
			t.Error(diff, pending, err)
		}
	})
}

func TestPromisesAreRead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, text string
		since      int64
		fault      string
	}{
		{"none", "-- +goose Up\n", 901, ""},
		{"one", "-- About it.\n-- compatible-since: 1\n\n-- +goose Up\n", 1, ""},
		{"twice", "-- compatible-since: 1\n-- compatible-since: 2\n", 0, "one line"},
		{"no number", "-- compatible-since: x\n", 0, "one line"},
		{"in another form", "--compatible-since 1\n", 0, "one line"},
		{"behind a statement", "SELECT 1; -- compatible-since: 1\n", 0, "one line"},
		{"too large", "-- compatible-since: 99999999999999999999\n", 0, "out of range"},
		{"nobody has it", "-- compatible-since: 700\n", 0, "no migration 700"},
	} {
		all := withMigrations(t, fstest.MapFS{"00901_a.sql": {Data: []byte(tt.text)}})
		got, err := readPromises(all)
		switch {
		case tt.fault != "":
			if err == nil || !strings.Contains(err.Error(), tt.fault) ||
				!strings.Contains(err.Error(), "00901_a.sql") {
				t.Errorf("%s: got %v, want %q", tt.name, err, tt.fault)
			}
		case err != nil || got[901] != tt.since:
			t.Errorf("%s: %d, %v, want %d", tt.name, got[901], err, tt.since)
		}
	}
}

// TestOurMigrationsSayWhatTheyPromise: the first one needs not.
func TestOurMigrationsSayWhatTheyPromise(t *testing.T) {
	t.Parallel()
	if _, err := readPromises(embeddedMigrations()); err != nil {
		t.Error(err)
	}
	files, err := readMigrations(embeddedMigrations())
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files[1:] {
		if !promiseLine.MatchString(file.text) {
			t.Errorf(`%s: say since which migration programs work with it, such as `+
				`"-- compatible-since: %d"; see CONTRIBUTING.md`, file.name, file.version-1)
		}
	}
}

func TestOpenMigratedChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		if _, err := openMigrated(t.Context(), url, embeddedMigrations()); !errors.Is(err, ErrNoDatabase) {
			t.Fatalf("no database: %v", err)
		}
		s := openStore(t, url)
		newer := withMigrations(t, fstest.MapFS{"00901_a.sql": promising("a", "1")})
		_, err := openMigrated(t.Context(), url, newer)
		if !errors.Is(err, ErrPending) || !strings.Contains(err.Error(), "[901]") {
			t.Errorf("an older schema: %v", err)
		}
		if !s.upToDate(t.Context()) {
			t.Error("it was migrated")
		}
		openWith(t, url, newer)
		for name, migrations := range map[string]fs.FS{
			"the same schema": newer, "a newer schema": embeddedMigrations(),
		} {
			opened, err := openMigrated(t.Context(), url, migrations)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			_ = opened.Close()
		}
	})
}

func TestMigrateSaysWhatItApplied(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		names, err := fs.Glob(embeddedMigrations(), "*.sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range [][]string{names, nil} {
			got, err := Migrate(t.Context(), url)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		}
	})
}

// TestMigrateSaysWhatItAppliedBeforeAnError: the database keeps it.
func TestMigrateSaysWhatItAppliedBeforeAnError(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		openStore(t, url)
		all := withMigrations(t, fstest.MapFS{
			"00901_a.sql": promising("a", "1"), "00902_b.sql": migration("CREATE nonsense;"),
		})
		c := connectWith(t, url, all)
		applied, err := c.engine.migrate(t.Context(), c)
		if diff := cmp.Diff([]string{"00901_a.sql"}, applied); diff != "" || err == nil {
			t.Error(diff, err)
		}
		openWith(t, url, embeddedMigrations()) // what was applied has its promise
	})
}

// TestPendingSQLIsWhatRuns applies the script by hand.
func TestPendingSQLIsWhatRuns(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		s := openStore(t, url)
		all := withMigrations(t, fstest.MapFS{
			"00901_a.sql": promising("a", "1"), forkMigration: silent("treks"),
			"00902_b.sql": {Data: []byte("-- +goose NO TRANSACTION\n" + string(promising("b", "1").Data))},
		})
		c := connectWith(t, url, all)
		script, err := (&Database{c}).PendingSQL(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !s.upToDate(t.Context()) {
			t.Error("it was migrated")
		}
		if _, err := s.write.ExecContext(t.Context(), script); err != nil {
			t.Fatalf("%v:\n%s", err, script)
		}
		again, err := (&Database{c}).PendingSQL(t.Context())
		if again != "" || err != nil || !c.upToDate(t.Context()) {
			t.Errorf("still pending: %s, %v", again, err)
		}
		other := openWith(t, database(t), all) // migrated by the program
		if diff := cmp.Diff(promisesIn(t, other.read), promisesIn(t, s.read)); diff != "" {
			t.Error(diff)
		}
		change(t, s, `INSERT INTO b SELECT count(*) FROM a, treks`)
	})
}

func promisesIn(t *testing.T, db *sql.DB) (all [][2]int64) {
	t.Helper()
	pair := func(row scanner) (p [2]int64, err error) { return p, row.Scan(&p[0], &p[1]) }
	all, err := collect(each(t.Context(), db, pair,
		`SELECT version_id, since FROM `+promiseTable+` ORDER BY version_id`))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	return all
}

func connectWith(t *testing.T, url string, migrations fs.FS) *connection {
	t.Helper()
	c, err := connect(t.Context(), url, false, migrations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// TestStatusOfANewerSchema names what this program lacks, and counts the rows of what it has.
func TestStatusOfANewerSchema(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		openWith(t, url, withMigrations(t, fstest.MapFS{forkMigration: promising("treks", "1")}))
		status, err := openDatabase(t, url).Status(t.Context())
		if diff := cmp.Diff([]int64{20261124120000}, status.Unknown); diff != "" || err != nil ||
			len(status.Pending) > 0 || len(status.Tables) != len(tables()) {
			t.Errorf("%+v, %v", status, err)
		}
	})
}
