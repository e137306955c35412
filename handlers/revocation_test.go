package handlers_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestWarmRequestsNeedNoDatabase(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	s.mountain(mine.AccessToken)
	before := s.service.CacheStats()
	for range 100 {
		if a := s.mountain(mine.AccessToken); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	after := s.service.CacheStats()
	if after.Loads != before.Loads || after.Hits != before.Hits+100 || after.Tokens != 1 ||
		after.Sessions != 1 {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestRevocationReachesAnotherReplica(t *testing.T) {
	t.Parallel()
	end := map[string]func(*server, tokens) error{
		"logout": func(s *server, mine tokens) error { s.logout("access token", "", mine); return nil },
		"disable": func(s *server, _ tokens) error {
			_, err := s.store.DisableUser(t.Context(), s.user.ID, s.clock.Now())
			return err
		},
		"delete": func(s *server, _ tokens) error {
			_, err := s.store.DeleteUser(t.Context(), s.user.ID, s.clock.Now())
			return err
		},
		"clock behind": func(s *server, _ tokens) error {
			_, err := s.store.DisableUser(t.Context(), s.user.ID, s.clock.Now().Add(-20*time.Second))
			return err
		},
		"clock ahead": func(s *server, _ tokens) error {
			_, err := s.store.DisableUser(t.Context(), s.user.ID, s.clock.Now().Add(20*time.Second))
			return err
		},
	}
	for name, f := range end {
		s := newServer(t)
		replica := newServerOn(t, s, signingKey)
		mine := s.open()
		for range 2 {
			if a := replica.mountain(mine.AccessToken); a.status != 200 {
				t.Fatalf("%s: on the replica: %d %s", name, a.status, a.body)
			}
		}
		if err := f(s, mine); err != nil {
			t.Fatal(err)
		}
		if a := replica.mountain(mine.AccessToken); a.status != 200 {
			t.Errorf(
				"%s: the replica asked the database although it remembers: the test proves nothing", name,
			)
		}
		replica.poll()
		if a := replica.mountain(mine.AccessToken); a.status != 401 {
			t.Errorf("%s: after the poll: %d %s", name, a.status, a.body)
		}
	}
}

func TestFeedThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	s.mountain(mine.AccessToken)
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		wait   time.Duration
		status int
	}{{0, 200}, {30 * time.Second, 200}, {time.Second, 503}} {
		s.clock.Add(tt.wait)
		if err := s.service.Poll(t.Context()); err == nil {
			t.Fatal("the feed of a closed database was read")
		}
		a := s.mountain(mine.AccessToken)
		if a.status != tt.status {
			t.Errorf("%v later: %d %s", tt.wait, a.status, a.body)
		}
		if a.status == 503 && a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
}

// TestAfterAnOutageNothingStaleIsBelieved: the feed may have dropped what happened meanwhile.
func TestAfterAnOutageNothingStaleIsBelieved(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	s.mountain(mine.AccessToken)
	if _, err := s.store.DisableUser(t.Context(), s.user.ID, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	s.execute(`DELETE FROM revocations`)
	s.clock.Add(31 * time.Second)
	s.poll()
	s.mountain(mine.AccessToken).wantEnded(t, "user_disabled")
}

// TestLatePollIsMadeUpFor: a replica whose poll in the background is late asks before it relies on what it
// remembers.
func TestLatePollIsMadeUpFor(t *testing.T) {
	t.Parallel()
	for late, status := range map[time.Duration]int{900 * time.Millisecond: 200, 901 * time.Millisecond: 401,
		30 * time.Second: 401} {
		s := newServer(t)
		replica := newServerOn(t, s, signingKey)
		mine := s.open()
		replica.mountain(mine.AccessToken)
		s.logout("access token", "", mine)
		s.clock.Add(late)
		loads := replica.service.CacheStats().Loads
		if a := replica.mountain(mine.AccessToken); a.status != status {
			t.Errorf("%v late: %d, want %d", late, a.status, status)
		}
		if status == 200 && replica.service.CacheStats().Loads != loads {
			t.Errorf("%v late: it asked the database all the same", late)
		}
	}
}

// TestNewsThatComeLate: a transaction stamps its news, and others see them when it has committed.
func TestNewsThatComeLate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name        string
		unread      time.Duration // how long the feed could not be read before
		stampedAgo  time.Duration
		seenWithin  time.Duration // of polls every half second
		seenAtFirst bool
	}{
		{"at once", 0, 0, 0, true},
		{"commit took as long as it may", 0, 4 * time.Second, 0, true},
		{"commit was given up, and was made", 0, 19 * time.Second, 10 * time.Second, false},
		{"feed could not be read, commit as long as it may", 29 * time.Second, 33 * time.Second, 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			replica := newServerOn(t, s, signingKey)
			mine := s.open()
			replica.clock.Add(time.Second)
			replica.poll()
			replica.mountain(mine.AccessToken)
			s.clock.Add(tt.unread)
			endLate(t, s, tt.stampedAgo)
			waited := time.Duration(0)
			for ; replica.mountain(mine.AccessToken).status == 200; waited += 500 * time.Millisecond {
				if waited > tt.seenWithin {
					t.Fatalf("not seen within %v", tt.seenWithin)
				}
				s.clock.Add(500 * time.Millisecond)
				replica.poll()
			}
			if first := waited <= 500*time.Millisecond; first != tt.seenAtFirst {
				t.Errorf("seen after %v", waited)
			}
		})
	}
}

// endLate ends all sessions as a transaction does that commits so long after it stamped its news.
func endLate(t *testing.T, s *server, stampedAgo time.Duration) {
	t.Helper()
	if _, err := s.store.DisableUser(t.Context(), s.user.ID, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	s.execute(`UPDATE revocations SET revoked_at = revoked_at - $1`, stampedAgo.Milliseconds())
}

func TestServiceThatNeverPolledRemembersNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.clock.Add(time.Hour) // as if Run had never run
	mine := s.open()
	for range 3 {
		s.mountain(mine.AccessToken)
	}
	if stats := s.service.CacheStats(); stats.Hits != 0 || stats.Loads != 3 {
		t.Errorf("%+v", stats)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t) // remembers 1000
	mine := s.open()
	for i := range 3000 {
		token := forge(t, mine.AccessToken, func(c map[string]any) { c["n"] = i })
		if a := s.mountain(token); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for range 100 {
		if s.service.CacheStats().Tokens <= 1000 {
			return
		}
		time.Sleep(10 * time.Millisecond) // the cache evicts in the background
	}
	t.Errorf("%d tokens in the cache", s.service.CacheStats().Tokens)
}

// TestFullDatabase: what must be written is refused, what is known goes on, and all is well again without a
// restart.
func TestFullDatabase(t *testing.T) {
	if onPostgres() {
		t.Skip("fills a SQLite database")
	}
	t.Parallel()
	s := newServer(t, trust("127.0.0.0/8"))
	mine := s.open()
	s.mountain(mine.AccessToken)
	limitPages(t, s, 1) // SQLite takes the present size for the least, and answers as it does on a full disk
	var a answer
	for i := range 1000 {
		if a = s.attempt(
			fmt.Sprint("nobody", i), "x", fmt.Sprintf("198.51.%d.%d", i/250, i%250),
		); a.status != 401 {
			break
		}
	}
	if p := a.problem(t); a.status != 503 || p.Code != "unavailable" || a.header.Get("Retry-After") == "" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := s.mountain(mine.AccessToken); a.status != 200 {
		t.Errorf("a known session: %d %s", a.status, a.body)
	}
	limitPages(t, s, 1<<30)
	next := s.refresh(mine.RefreshToken).tokens(t)
	if a := s.logout("access token", "", next); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.mountain(next.AccessToken).wantEnded(t, "logout")
	s.open()
}

func limitPages(t *testing.T, s *server, pages int) {
	t.Helper()
	s.execute(fmt.Sprintf(`PRAGMA max_page_count = %d`, pages))
}

func TestDatabaseHoldsNoTokenAndNoPassword(t *testing.T) {
	if onPostgres() {
		t.Skip("reads the file of a SQLite database; the rows are the same")
	}
	t.Parallel()
	s := newServer(t)
	mine := s.open()
	next := s.refresh(mine.RefreshToken).tokens(t)
	s.post("/auth", credentials("a password typed into the wrong field", "x"))
	if err := s.store.Transact(t.Context(), func(context.Context, *sql.Tx) error { return nil }); err != nil {
		t.Fatal(err)
	}
	var content strings.Builder
	for _, suffix := range []string{"", "-wal"} {
		text, err := os.ReadFile(s.store.Name() + suffix)
		if err != nil {
			t.Fatal(err)
		}
		content.Write(text)
	}
	if !strings.Contains(content.String(), "argon2id") {
		t.Fatal("that is not the database")
	}
	secrets := []string{
		mine.AccessToken,
		mine.RefreshToken,
		next.RefreshToken,
		password,
		"typed into the wrong field",
		signingKey,
	}
	for _, refresh := range []string{mine.RefreshToken, next.RefreshToken} {
		_, secret, _ := strings.Cut(refresh, ".")
		secrets = append(secrets, secret[20:])
	}
	for _, secret := range secrets {
		if strings.Contains(content.String(), secret) {
			t.Errorf("the database has %q", secret)
		}
	}
}
