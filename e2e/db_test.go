package e2e

import (
	"bytes"
	"strings"
	"testing"

	"sherpa/internal/pgtest"
)

// runCommand runs the program in a folder and returns what it printed.
func runCommand(t *testing.T, p *process, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	c := p.program(t.Context(), args...)
	var out, faults bytes.Buffer
	c.Stdout, c.Stderr = &out, &faults
	err = c.Run()
	return out.String(), faults.String(), err
}

// TestMoveToPostgresAndBack moves a server with a live session from SQLite to PostgreSQL and back: nobody logs in again.
func TestMoveToPostgresAndBack(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	p := startProcess(t, t.TempDir())
	session, err := p.login()
	if err != nil {
		t.Fatal(err)
	}
	homes := []struct{ name, url, copyTo string }{
		{"PostgreSQL", url, url},
		{"SQLite again", "sqlite:back/sherpa.db", "sqlite:back/sherpa.db"},
	}
	for _, home := range homes {
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		out, faults, err := runCommand(t, p, "db", "copy", "--to", home.copyTo)
		if err != nil || !strings.Contains(out, "sessions") || faults != "" {
			t.Fatal(out, faults, err)
		}
		p.env = []string{"SHERPA_DATABASE_URL=" + home.url, "SHERPA_SECRET_KEY_FILE=data/secret.key"}
		p.start()
		if r, err := p.ask("GET", "/mountain/k2", "", session.Access); err != nil || r.status != 200 {
			t.Fatalf("%s: the access token: %+v, %v", home.name, r, err)
		}
		if session, err = p.refresh(session.Refresh); err != nil || session.status != 200 {
			t.Fatalf("%s: the refresh token: %+v, %v", home.name, session, err)
		}
		if out, faults, err := runCommand(t, p, "db", "status"); err != nil || !strings.Contains(out, strings.Fields(home.name)[0]) || strings.Contains(out, "password") {
			t.Errorf("%s: %s %s %v", home.name, out, faults, err)
		}
	}
	if r, err := p.ask("POST", "/auth/logout", "", session.Access); err != nil || r.status != 204 {
		t.Errorf("logout: %+v, %v", r, err)
	}
}

// TestStartBeforeTheDatabase: a replica that starts during an outage is there when it is over.
func TestStartBeforeTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	server.Stop(t)
	p := newReplica(t, server.URL(), "SHERPA_DEMO=true")
	p.launch()
	eventually(t, "it says that it waits", func() bool { return strings.Contains(p.log.String(), "waiting for the database") })
	server.Resume(t)
	waitUntilReady(t, "http://"+p.address)
	if r, err := p.login(); err != nil || r.status != 200 {
		t.Errorf("%+v, %v", r, err)
	}
}
