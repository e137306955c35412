package models

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sherpa/internal/pgtest"
)

// TestUserPages walks through all pages. The names are such that people sort them otherwise than bytes.
func TestUserPages(t *testing.T) {
	names := []string{"a-z", "a_b", "ab", "aé", "b", "chill", "cz", "zoe", "é", "łuk"}
	tests := []struct {
		name   string
		filter UserFilter
		want   []string
	}{
		{"all", UserFilter{}, names},
		{"a prefix", UserFilter{Prefix: "a"}, []string{"a-z", "a_b", "ab", "aé"}},
		{"a prefix that is a letter in Czech without the next one", UserFilter{Prefix: "c"},
			[]string{"chill", "cz"}},
		{"a prefix that is not ASCII", UserFilter{Prefix: "é"}, []string{"é"}},
		{"a whole name", UserFilter{Prefix: "zoe"}, []string{"zoe"}},
		{"a prefix of nobody", UserFilter{Prefix: "x"}, nil},
		{"no pattern", UserFilter{Prefix: "%"}, nil},
		{"a role", UserFilter{Role: "a_b"}, []string{"ab", "zoe"}},
		{"a part of a role", UserFilter{Role: "a"}, nil},
		{"no pattern of a role", UserFilter{Role: "%"}, nil},
		{"disabled", UserFilter{Disabled: new(true)}, []string{"ab", "b"}},
		{"enabled", UserFilter{Disabled: new(false)},
			[]string{"a-z", "a_b", "aé", "chill", "cz", "zoe", "é", "łuk"}},
		{"all filters", UserFilter{Prefix: "a", Role: "a_b", Disabled: new(true)}, []string{"ab"}},
	}
	walk := func(t *testing.T, s *Store) {
		roles := map[string][]string{"ab": {"first", "a_b"}, "zoe": {"a_b", "last"}, "b": {"axb", "a_bc"}}
		for _, name := range names {
			u := addUser(t, s, name, roles[name]...)
			if name != "ab" && name != "b" {
				continue
			}
			if _, err := s.DisableUser(t.Context(), u.ID, epoch); err != nil {
				t.Fatal(err)
			}
		}
		for _, tt := range tests {
			for _, limit := range []int{1, 3, 100} {
				var got []string
				for page := (Page[string]{Limit: limit}); ; {
					rows, err := s.UserPage(t.Context(), tt.filter, page)
					if err != nil || len(rows) > limit+1 {
						t.Fatal(tt.name, len(rows), err)
					}
					for _, u := range rows[:min(limit, len(rows))] {
						got = append(got, u.Username)
					}
					if len(rows) <= limit {
						break
					}
					page.After = rows[limit-1].Username
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("%s, %d a page: %s", tt.name, limit, diff)
				}
			}
		}
	}
	onBoth(t, func(t *testing.T, database func(*testing.T) string) { walk(t, openStore(t, database(t))) })
	t.Run("PostgreSQL that sorts as the Czechs do", func(t *testing.T) {
		t.Parallel()
		walk(t, openStore(t, czechDatabase(t)))
	})
}

// czechDatabase is one where "ch" is a letter between "h" and "i", and punctuation counts last.
func czechDatabase(t *testing.T) string {
	t.Helper()
	url := pgtest.Database(t)
	connection := pgtest.Connect(t, url)
	name := connection.Config().Database + "_czech"
	pgtest.Execute(t, connection, `CREATE DATABASE `+name+
		` TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'cs-u-ka-shifted'`)
	t.Cleanup(func() {
		drop := `DROP DATABASE ` + name + ` WITH (FORCE)`
		if _, err := connection.Exec(context.WithoutCancel(t.Context()), drop); err != nil {
			t.Error(err)
		}
	})
	return strings.Replace(url, connection.Config().Database, name, 1)
}

// TestUserPagesUseIndexes: a page of many users costs what it holds, at any depth.
func TestUserPagesUseIndexes(t *testing.T) {
	onBoth(t, func(t *testing.T, database func(*testing.T) string) {
		s := openStore(t, database(t))
		fillUsers(t, s, 20_000)
		change(t, s, `ANALYZE`)
		middle := Page[string]{After: "user12345", Limit: 100}
		for _, tt := range []struct {
			name   string
			filter UserFilter
			page   Page[string]
			index  string // "" for that of the names
		}{
			{"first", UserFilter{}, Page[string]{Limit: 100}, ""},
			{"in the middle", UserFilter{}, middle, ""},
			{"of a prefix", UserFilter{Prefix: "user1"}, Page[string]{Limit: 100}, ""},
			{"of a prefix, in the middle", UserFilter{Prefix: "user1"}, middle, ""},
			{"enabled", UserFilter{Disabled: new(false)}, middle, ""},
			{"of a role", UserFilter{Role: "guide"}, middle, "users_with_roles"},
			{"disabled", UserFilter{Disabled: new(true)}, middle, "users_disabled"},
		} {
			plan := explain(t, s, tt.filter, tt.page)
			index := tt.index
			if index == "" {
				index = map[string]string{
					"sqlite": "sqlite_autoindex_users_2", "postgresql": "users_username_bytes",
				}[s.System()]
			}
			sorts := strings.Contains(plan, "Sort") || strings.Contains(plan, "TEMP B-TREE")
			if tt.index != "" && s.System() == "postgresql" {
				sorts = false // the few rows of this index: it takes them all, and sorts them
			}
			if sorts || !strings.Contains(plan, index) || strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s: the plan does not go by %s alone:\n%s", tt.name, index, plan)
			}
		}
	})
}

// fillUsers adds user0, user1, ... Each hundredth is a guide, and each hundredth is disabled.
func fillUsers(t testing.TB, s *Store, n int) {
	t.Helper()
	const query = `WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d)
		INSERT INTO users (id, username, password_hash, roles, created_at, password_changed_at, disabled_at)
		SELECT n + 1, 'user' || n, 'hash', CASE WHEN n %% 100 = 0 THEN 'guide' ELSE '' END, 0, 0,
			CASE WHEN n %% 100 = 1 THEN 1 END FROM numbers`
	if _, err := s.write.ExecContext(t.Context(), fmt.Sprintf(query, n-1)); err != nil {
		t.Fatal(err)
	}
}

// explain returns the plan for a page, a step a line.
func explain(t *testing.T, s *Store, f UserFilter, page Page[string]) string {
	t.Helper()
	query, args := s.userPageQuery(f, page)
	explain, scan := "EXPLAIN ", scanValue[string]
	if s.System() == "sqlite" {
		explain = "EXPLAIN QUERY PLAN "
		scan = func(row scanner) (step string, err error) {
			var ignored any
			return step, row.Scan(&ignored, &ignored, &ignored, &step)
		}
	}
	steps, err := list(t.Context(), s.connection, s.read, "explain", scan, explain+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n") + "\n"
}

// BenchmarkUserPage compares a page of 100 of a million users with a look-up of one of them.
func BenchmarkUserPage(b *testing.B) {
	s, err := Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "sherpa.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	fillUsers(b, s, 1_000_000)
	b.Run("one row", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.UserByID(b.Context(), 500_000); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, bb := range []struct {
		name   string
		filter UserFilter
		after  string
	}{
		{"first page", UserFilter{}, ""},
		{"last pages", UserFilter{}, "user9997"},
		{"prefix", UserFilter{Prefix: "user5"}, "user55"},
		{"role that 1 % have", UserFilter{Role: "guide"}, "user55"},
		{"disabled", UserFilter{Disabled: new(true)}, "user55"},
		{"role that nobody has", UserFilter{Role: "cook"}, ""},
	} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.UserPage(b.Context(), bb.filter, Page[string]{bb.after, 100}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
