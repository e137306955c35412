package e2e

import (
	"regexp"
	"strings"
	"testing"

	"sherpa/internal/pgtest"
)

// TestReplicasStartTogether is the first start of a deployment: there is no schema yet, and no user.
func TestReplicasStartTogether(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, setting, says, username string }{
		{"demo", "SHERPA_DEMO=true", "DEMO: created the user sherpa", "sherpa"},
		{"administrator", "SHERPA_DEMO=false", "Created the first user.", "admin"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			operator := pgtest.Connect(t, url)
			var all []*process
			for range 5 {
				all = append(all, newReplica(t, url, row.setting))
			}
			for _, p := range all {
				p.launch()
			}
			password := "everest"
			said := 0
			for _, p := range all {
				eventually(t, "the replica is ready", func() bool {
					r, err := p.ask("GET", "/readyz", "", "")
					return err == nil && r.status == 200
				})
				said += strings.Count(p.log.String(), row.says)
				found := regexp.MustCompile(`password: (\S+)`).FindStringSubmatch(p.log.String())
				if found != nil {
					password = found[1]
				}
			}
			if said != 1 {
				t.Errorf("%d replicas say %q, want 1", said, row.says)
			}
			for _, p := range all {
				want(t, 200)(p.loginAs(row.username, password))
			}
			if n := number(t, operator, `SELECT count(*) FROM users`); n != 1 {
				t.Errorf("there are %d users, want 1", n)
			}
			const most = `SELECT max(n) FROM
				(SELECT count(*) AS n FROM sherpa_db_version GROUP BY version_id) AS v`
			if n := number(t, operator, most); n != 1 {
				t.Errorf("a migration ran %d times", n)
			}
		})
	}
}
