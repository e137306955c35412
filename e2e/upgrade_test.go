package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"sherpa/internal/pgtest"
)

// nextMigration is what the next release may bring: a table and columns, which older programs need not know.
const nextMigration = `-- compatible-since: 1

-- +goose Up
CREATE TABLE upgrade_notes (id BIGINT NOT NULL PRIMARY KEY);
ALTER TABLE sessions ADD COLUMN device TEXT;
ALTER TABLE users ADD COLUMN visits BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE users DROP COLUMN visits;
ALTER TABLE sessions DROP COLUMN device;
DROP TABLE upgrade_notes;
`

const nextVersion = "29990101000000"

// nextProgram builds this tree with one migration more.
func nextProgram(t *testing.T) string {
	t.Helper()
	skipWithout(t, "go")
	f := newFork(t)
	file := "models/migrations/" + nextVersion + "_next.sql"
	f.apply(t, block{kind: "file", path: file, text: nextMigration})
	return f.build(t)
}

// TestUpgrade goes from this program to one with a newer schema, and back.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	next := nextProgram(t)
	t.Run("replicas", func(t *testing.T) {
		t.Parallel()
		c, database := startUpgrade(t, "")
		c.roll(t, next, (*process).start)
		c.seeNextSchema(t, database)
		c.roll(t, "", (*process).start)
		c.finish(t, database)
	})
	t.Run("replicas that wait for db migrate", func(t *testing.T) {
		t.Parallel()
		c, database := startUpgrade(t, "", "SHERPA_MIGRATE=wait")
		c.roll(t, next, startAndMigrate)
		c.seeNextSchema(t, database)
		c.roll(t, "", (*process).start)
		c.finish(t, database)
	})
	t.Run("one server", func(t *testing.T) {
		t.Parallel()
		upgradeOne(t, next)
	})
	t.Run("off", func(t *testing.T) {
		t.Parallel()
		refuseOldSchema(t, next)
	})
}

// TestUpgradeFromPreviousCommit goes from the program of an earlier commit to this one, and back.
func TestUpgradeFromPreviousCommit(t *testing.T) {
	t.Parallel()
	pgtest.Require(t)
	previous := previousProgram(t)
	c, database := startUpgrade(t, previous)
	c.roll(t, "", (*process).start)
	c.roll(t, previous, (*process).start)
	c.finish(t, database)
}

// upgrade is two replicas under load. No request may fail.
type upgrade struct {
	replicas []*process
	*crowd
}

func startUpgrade(t *testing.T, program string, env ...string) (u upgrade, database string) {
	t.Helper()
	database = pgtest.Database(t)
	for range 2 {
		p := newReplica(t, database, append([]string{quiet}, env...)...)
		p.binary = program
		if len(u.replicas) == 0 && len(env) > 0 { // it would wait for that
			p.sherpa(t, "", "db", "migrate")
		}
		p.start()
		u.replicas = append(u.replicas, p)
	}
	u.crowd = newCrowd(t, u.replicas...)
	u.steady = true
	u.add(4, pooled)
	for _, p := range u.replicas {
		u.workAt(p)
	}
	return u, database
}

// roll replaces the program of one replica after the other.
func (u upgrade) roll(t *testing.T, program string, start func(*process)) {
	t.Helper()
	for _, p := range u.replicas {
		u.without(p, func() {
			if err := p.stop(); err != nil {
				t.Fatal(err)
			}
			p.binary = program
			start(p)
		})
		for _, p := range u.replicas {
			u.workAt(p)
		}
	}
}

const waiting = "waiting for the schema of the database: run `sherpa db migrate`"

// startAndMigrate does what the process says that it waits for.
func startAndMigrate(p *process) {
	p.t.Helper()
	if strings.Contains(p.log.String(), waiting) {
		p.t.Fatal("it has waited before")
	}
	first := !strings.Contains(p.sherpa(p.t, "", "db", "migrate", "--dry-run"), "up to date")
	p.launch()
	if first {
		eventually(p.t, "it says what it waits for", func() bool {
			return strings.Contains(p.log.String(), waiting)
		})
		if response, err := http.Get("http://" + p.address + "/healthz"); err == nil {
			_ = response.Body.Close()
			p.t.Error("it listens before the schema is there")
		}
		if out := p.sherpa(p.t, "", "db", "migrate"); out != "applied "+nextVersion+"_next.sql\n" {
			p.t.Errorf("db migrate: %s", out)
		}
	}
	waitUntilReady(p.t, "http://"+p.address)
}

// seeNextSchema makes sure that there was an upgrade.
func (upgrade) seeNextSchema(t *testing.T, database string) {
	t.Helper()
	operator := pgtest.Connect(t, database)
	number(t, operator, "SELECT count(*) FROM upgrade_notes")
	number(t, operator, "SELECT count(device) FROM sessions")
	if n := number(t, operator, "SELECT count(*) FROM users WHERE visits = 0"); n == 0 {
		t.Error("no user")
	}
}

func (u upgrade) finish(t *testing.T, database string) {
	t.Helper()
	u.check(u.replicas[0], database)
	t.Logf("%d requests, each with the right answer: %v", u.requests(), !t.Failed())
}

// upgradeOne upgrades one server on SQLite, and goes back. Its session outlives both.
func upgradeOne(t *testing.T, next string) {
	t.Helper()
	p := startProcess(t, t.TempDir(), quiet)
	session := want(t, 200)(p.login())
	for _, program := range []string{next, ""} {
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		p.binary = program
		p.start()
		session = want(t, 200)(p.refresh(session.Refresh))
		want(t, 200)(p.me(session.Access))
	}
	const newer = "a newer program added [" + nextVersion + "]"
	if out := p.sherpa(t, "", "db", "status"); !strings.Contains(out, newer) {
		t.Errorf("db status: %s", out)
	}
}

// refuseOldSchema: with SHERPA_MIGRATE=off nothing but db migrate changes the schema, and everything names
// that.
func refuseOldSchema(t *testing.T, next string) {
	t.Helper()
	p := startProcess(t, t.TempDir(), quiet)
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	p.binary, p.env = next, append(p.env, "SHERPA_MIGRATE=off")
	for _, args := range [][]string{{"serve"}, {"user", "list"}, {"user", "add", "ada"}} {
		out, err := p.program(t.Context(), args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out),
			"lacks the migrations ["+nextVersion+"]; apply them with `sherpa db migrate`") {
			t.Errorf("%s: %v: %s", args, err, out)
		}
	}
	out := p.sherpa(t, "", "db", "migrate", "--dry-run")
	if !strings.Contains(out, "ADD COLUMN device TEXT;") {
		t.Errorf("db migrate --dry-run: %s", out)
	}
	if out := p.sherpa(t, "", "db", "status"); !strings.Contains(out, "lacks ["+nextVersion+"]") {
		t.Errorf("db status, after a dry run: %s", out)
	}
	p.sherpa(t, "", "db", "migrate")
	p.start()
	want(t, 200)(p.login())
}

// previousProgram builds the program of an earlier commit. It skips the test where there is none: in a copy
// without history, say. In CI there must be one.
func previousProgram(t *testing.T) string {
	t.Helper()
	for _, program := range []string{"go", "git", "tar"} {
		skipWithout(t, program)
	}
	commit, err := previousCommit(t)
	var program string
	if err == nil {
		program, err = buildCommit(t, commit)
	}
	switch {
	case err == nil:
		t.Logf("the program of commit %.12s", commit)
	case os.Getenv("CI") == "true":
		t.Fatalf("no earlier program, and in CI there must be one: %v", err)
	default:
		t.Skipf("no earlier program: %v", err)
	}
	return program
}
