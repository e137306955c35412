package models

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 123e6, time.UTC)

func openTest(t *testing.T) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "sherpa.db"))
}

func openAt(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func addUser(t *testing.T, s *Store, name string, roles ...string) User {
	t.Helper()
	u, err := s.CreateUser(t.Context(), User{Username: name, PasswordHash: "hash", Roles: roles, CreatedAt: epoch, PasswordChangedAt: epoch})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func addSession(t *testing.T, s *Store, id string, userID int64) {
	t.Helper()
	if err := s.CreateSession(t.Context(), User{ID: userID, PasswordChangedAt: epoch}, testSession(id, userID)); err != nil {
		t.Fatal(err)
	}
}

func testSession(id string, userID int64) Session {
	return Session{
		ID: id, UserID: userID, CreatedAt: epoch, LastUsedAt: epoch, IdleEndsAt: epoch.Add(week), EndsAt: epoch.Add(4 * week),
		Address: "192.0.2.1", UserAgent: "test", RefreshHash: "hash 0",
	}
}

const week = 7 * 24 * time.Hour

func TestUserRoundTrip(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	want := addUser(t, s, "ada", "admin", "editor")
	byName, err := s.UserByName(t.Context(), "ada")
	if diff := cmp.Diff(want, byName); diff != "" || err != nil {
		t.Error(diff, err)
	}
	byID, err := s.UserByID(t.Context(), want.ID)
	if diff := cmp.Diff(want, byID); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestMissingRows(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"by name":         func() error { _, err := s.UserByName(ctx, "nobody' OR '1'='1"); return err },
		"by id":           func() error { _, err := s.UserByID(ctx, 7); return err },
		"password":        func() error { _, err := s.SetPassword(ctx, 7, "h", "", epoch); return err },
		"disable":         func() error { return s.DisableUser(ctx, 7, epoch) },
		"enable":          func() error { return s.EnableUser(ctx, 7) },
		"delete":          func() error { return s.DeleteUser(ctx, 7, epoch) },
		"session":         func() error { _, _, err := s.SessionWithUser(ctx, "x"); return err },
		"session of none": func() error { return s.CreateSession(ctx, User{ID: 7}, Session{ID: "x", UserID: 7, CreatedAt: epoch}) },
	} {
		if err := call(); !errors.Is(err, ErrNotFound) || errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUsernameIsUnique(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	addUser(t, s, "ada")
	_, err := s.CreateUser(t.Context(), User{Username: "ada", PasswordHash: "other", CreatedAt: epoch, PasswordChangedAt: epoch})
	if !errors.Is(err, ErrUsernameTaken) {
		t.Error(err)
	}
	if u, err := s.UserByName(t.Context(), "ada"); u.PasswordHash != "hash" || err != nil {
		t.Error("the first user was changed", err)
	}
}

func TestUserIDsAreNotReused(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	first := addUser(t, s, "ada")
	if err := s.DeleteUser(t.Context(), first.ID, epoch); err != nil {
		t.Fatal(err)
	}
	if again := addUser(t, s, "ada"); again.ID == first.ID {
		t.Errorf("id %d was given twice", again.ID)
	}
}

func TestConcurrentCreation(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sherpa.db")
	stores := []*Store{openAt(t, path), openAt(t, path)} // as two processes would
	var wg sync.WaitGroup
	results := make(chan error, 40)
	for i := range cap(results) {
		wg.Go(func() {
			_, err := stores[i%2].CreateUser(t.Context(), User{Username: fmt.Sprint("user", i/4), PasswordHash: "h", CreatedAt: epoch, PasswordChangedAt: epoch})
			results <- err
		})
	}
	wg.Wait()
	close(results)
	made := 0
	for err := range results {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, ErrUsernameTaken):
			t.Error(err)
		}
	}
	if made != 10 {
		t.Errorf("%d users were made, want 10", made)
	}
}

func TestUsersInOrder(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	for _, name := range []string{"mo", "ada", "zoe"} {
		addUser(t, s, name)
	}
	var names []string
	for u, err := range s.Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, u.Username)
	}
	if diff := cmp.Diff([]string{"ada", "mo", "zoe"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestSessionsEndWithTheirUser(t *testing.T) {
	t.Parallel()
	later := epoch.Add(time.Hour)
	tests := []struct {
		name   string
		end    func(s *Store, id int64) error
		reason EndedReason
	}{
		{"disable", func(s *Store, id int64) error { return s.DisableUser(t.Context(), id, later) }, EndedByDisable},
		{"password", func(s *Store, id int64) error { _, err := s.SetPassword(t.Context(), id, "new", "", later); return err }, EndedByPasswordChange},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := openTest(t)
			ada, bob := addUser(t, s, "ada", "admin"), addUser(t, s, "bob")
			addSession(t, s, "adas", ada.ID)
			addSession(t, s, "bobs", bob.ID)
			if err := tt.end(s, ada.ID); err != nil {
				t.Fatal(err)
			}
			got, user, err := s.SessionWithUser(t.Context(), "adas")
			want := testSession("adas", ada.ID)
			want.EndedAt, want.EndedReason = later, tt.reason
			if diff := cmp.Diff(want, got); diff != "" || err != nil || user.Username != "ada" {
				t.Error(diff, err, user)
			}
			if other, _, err := s.SessionWithUser(t.Context(), "bobs"); other.EndedReason != "" || err != nil {
				t.Error("another user's session ended", err)
			}
		})
	}
	t.Run("delete", func(t *testing.T) {
		t.Parallel()
		s := openTest(t)
		ada := addUser(t, s, "ada")
		addSession(t, s, "adas", ada.ID)
		if err := s.DeleteUser(t.Context(), ada.ID, epoch); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.SessionWithUser(t.Context(), "adas"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
		var left int
		if err := s.read.QueryRowContext(t.Context(), `SELECT count(*) FROM sessions`).Scan(&left); left != 0 || err != nil {
			t.Errorf("%d sessions of nobody, %v", left, err)
		}
	})
}

func TestDisabledUserGetsNoSession(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	ada := addUser(t, s, "ada")
	if err := s.DisableUser(t.Context(), ada.ID, epoch); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateSession(t.Context(), ada, Session{ID: "x", UserID: ada.ID, CreatedAt: epoch}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := s.DisableUser(t.Context(), ada.ID, epoch.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if u, err := s.UserByID(t.Context(), ada.ID); !u.DisabledAt.Equal(epoch) || err != nil {
		t.Errorf("disabled at %v, %v: the first time counts", u.DisabledAt, err)
	}
}

func TestLoginOvertakenByAPasswordChangeGetsNoSession(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	ada := addUser(t, s, "ada")
	if err := s.RehashPassword(t.Context(), ada.ID, "hash", "stronger"); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateSession(t.Context(), ada, testSession("x", ada.ID)); err != nil {
		t.Errorf("after a rehash: %v", err)
	}
	if _, err := s.SetPassword(t.Context(), ada.ID, "new", "", epoch.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateSession(t.Context(), ada, testSession("y", ada.ID)); !errors.Is(err, ErrNotFound) {
		t.Errorf("after a password change: %v", err)
	}
}

func TestRehashLosesAgainstANewPassword(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	ada := addUser(t, s, "ada")
	if _, err := s.SetPassword(t.Context(), ada.ID, "new password", "", epoch); err != nil {
		t.Fatal(err)
	}
	if err := s.RehashPassword(t.Context(), ada.ID, "hash", "old password, stronger"); err != nil {
		t.Fatal(err)
	}
	if u, err := s.UserByID(t.Context(), ada.ID); u.PasswordHash != "new password" || err != nil {
		t.Errorf("hash %q, %v", u.PasswordHash, err)
	}
}

func TestTransactRollsBack(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	cause := errors.New("no")
	err := s.Transact(t.Context(), func(tx *sql.Tx) error {
		if _, err := nextUserID(t.Context(), tx); err != nil {
			return err
		}
		return cause
	})
	if !errors.Is(err, cause) {
		t.Error(err)
	}
	if u := addUser(t, s, "ada"); u.ID != 1 {
		t.Errorf("id %d: the counter was not rolled back", u.ID)
	}
}

func TestClosedStoreIsUnavailable(t *testing.T) {
	t.Parallel()
	s := openTest(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"read":     func() error { _, err := s.UserByName(ctx, "ada"); return err },
		"write":    func() error { return s.EnableUser(ctx, 1) },
		"transact": func() error { return s.DisableUser(ctx, 1, epoch) },
		"create":   func() error { _, err := s.CreateUser(ctx, User{Username: "x"}); return err },
		"session":  func() error { _, _, err := s.SessionWithUser(ctx, "x"); return err },
		"ready":    func() error { return s.Ready(ctx) },
		"list": func() error {
			for _, err := range s.Users(ctx) {
				return err
			}
			return nil
		},
	} {
		if err := call(); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
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
	for file, want := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600, path + "-wal": 0o600} {
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
	for pragma, want := range map[string]string{"synchronous": "2", "foreign_keys": "1", "journal_mode": "wal", "busy_timeout": "3000"} {
		for name, db := range map[string]*sql.DB{"read": s.read, "write": s.write} {
			var got string
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); got != want || err != nil {
				t.Errorf("%s: %s = %q, want %q, %v", name, pragma, got, want, err)
			}
		}
	}
}

func TestOpenTakesAnyPath(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"with blank.db", "50%.db", "a?mode=memory.db", "a#b.db", "é🏔.db", "a&_pragma=x.db"} {
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
			if _, err := s.write.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"); err != nil {
				t.Fatal(err)
			}
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

func TestOpenAgainAndTogether(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sherpa.db")
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			s, err := Open(t.Context(), "sqlite:"+path)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := s.Empty(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestSQLitePath(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"", "sqlite:", "postgres://localhost/x", "data/sherpa.db", "SQLITE:x"} {
		if path, err := SQLitePath(url); err == nil {
			t.Errorf("%q became %s", url, path)
		}
	}
}

func BenchmarkSessionWithUser(b *testing.B) {
	s, err := Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "sherpa.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	u, err := s.CreateUser(b.Context(), User{Username: "ada", PasswordHash: "h", CreatedAt: epoch, PasswordChangedAt: epoch})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.CreateSession(b.Context(), u, testSession("x", u.ID)); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := s.SessionWithUser(b.Context(), "x"); err != nil {
			b.Fatal(err)
		}
	}
}
