package models

import (
	"context"
	"database/sql"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// forkMigration is numbered by date, as docs/stored-resource.md tells the owners of forks.
const forkMigration = "20261124120000_treks.sql"

func migration(text string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)}
}

// withMigrations returns the migrations of this program and more.
func withMigrations(t *testing.T, more fstest.MapFS) fs.FS {
	t.Helper()
	all := fstest.MapFS{}
	entries, err := fs.ReadDir(embeddedMigrations(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := fs.ReadFile(embeddedMigrations(), entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[entry.Name()] = &fstest.MapFile{Data: text}
	}
	for name, file := range more {
		all[name] = file
	}
	return all
}

// TestForkTakesOurNextMigration: a fork numbered its own by date, and ours comes later with a lower number.
func TestForkTakesOurNextMigration(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		addUser(t, openStore(t, url), "ada")
		treks := migration("CREATE TABLE treks (id BIGINT NOT NULL PRIMARY KEY);")
		next := migration("CREATE TABLE next_of_ours (id BIGINT NOT NULL PRIMARY KEY);")
		fork := withMigrations(t, fstest.MapFS{forkMigration: treks})
		both := withMigrations(t, fstest.MapFS{forkMigration: treks, "00999_next.sql": next})

		openWith(t, url, fork)
		change(t, openWith(t, url, fork), `INSERT INTO treks VALUES (7)`)
		s := openWith(t, url, both)
		change(t, s, `INSERT INTO next_of_ours SELECT id FROM treks`)
		want, err := knownMigrations(both)
		if err != nil {
			t.Fatal(err)
		}
		got, err := appliedMigrations(t.Context(), s.read, s.engine.versionTable)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if user, err := s.UserByName(t.Context(), "ada"); err != nil || user.ID != 1 {
			t.Errorf("the user of before: %+v, %v", user, err)
		}
		openWith(t, url, both) // nothing is left to do
	})
}

// TestProgramWithoutTheForksMigrationIsRefused: it does not know what the fork's tables need.
func TestProgramWithoutTheForksMigrationIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		treks := migration("CREATE TABLE treks (id BIGINT NOT NULL PRIMARY KEY);")
		openWith(t, url, withMigrations(t, fstest.MapFS{forkMigration: treks}))
		next := migration("CREATE TABLE next_of_ours (id BIGINT NOT NULL PRIMARY KEY);")
		for name, others := range map[string]fs.FS{
			"ours":                     embeddedMigrations(),
			"ours of the next release": withMigrations(t, fstest.MapFS{"00999_next.sql": next}),
		} {
			_, err := open(t.Context(), url, true, others)
			if err == nil || !strings.Contains(err.Error(), "[20261124120000]") {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestStatusNamesPendingMigrations(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		url := database(t)
		treks := migration("CREATE TABLE treks (id BIGINT NOT NULL PRIMARY KEY);")
		fork := fstest.MapFS{forkMigration: treks}
		openWith(t, url, withMigrations(t, fork))
		fork["00999_next.sql"] = migration("CREATE TABLE next_of_ours (id BIGINT NOT NULL PRIMARY KEY);")
		c, err := connect(t.Context(), url, false, withMigrations(t, fork))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		status, err := (&Database{c}).Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(
			[]int64{999}, status.Pending,
		); diff != "" || status.Schema != status.Known ||
			c.upToDate(t.Context()) {
			t.Errorf("%+v %s", status, diff)
		}
	})
}

func openWith(t *testing.T, url string, migrations fs.FS) *Store {
	t.Helper()
	s, err := open(t.Context(), url, true, migrations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestCountersAreIndependent(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		var got []int64
		for _, counter := range []string{"treks", "users", "treks"} {
			err := s.Transact(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				id, err := s.nextID(ctx, tx, counter)
				got = append(got, id)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff([]int64{1, 1, 2}, got); diff != "" {
			t.Error(diff)
		}
	})
}
