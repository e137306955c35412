package e2e

import (
	"regexp"
	"strings"
	"testing"

	"sherpa/internal/pgtest"
)

// TestCopyToPostgresAndBack moves a server with a live session from SQLite to PostgreSQL and back. No user
// has to log in again.
func TestCopyToPostgresAndBack(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	p := startProcess(t, t.TempDir())
	session := want(t, 200)(p.login())
	homes := []struct{ engine, url string }{{"PostgreSQL", url}, {"SQLite", "sqlite:back/sherpa.db"}}
	for _, home := range homes {
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		if out := p.sherpa(t, "", "db", "copy", "--to", home.url); !strings.Contains(out, "sessions") {
			t.Fatal(out)
		}
		p.env = []string{"SHERPA_DATABASE_URL=" + home.url, "SHERPA_SECRET_KEY_FILE=data/secret.key"}
		p.start()
		want(t, 200)(p.mountain(session.Access))
		session = want(t, 200)(p.refresh(session.Refresh))
		out := p.sherpa(t, "", "db", "status")
		if !strings.Contains(out, home.engine) || regexp.MustCompile("password[^_]").MatchString(out) {
			t.Errorf("%s: %s", home.engine, out)
		}
	}
	want(t, 204)(p.logOut(session.Access))
}
