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
			for _, p := range all {
				eventually(t, "the replica is ready", func() bool {
					r, err := p.ask("GET", "/readyz", "", "")
					return err == nil && r.status == 200
				})
			}
			var said string // a line may arrive here after the replica is ready
			eventually(t, "a replica names the user", func() bool {
				said = ""
				for _, p := range all {
					said += p.log.String()
				}
				return strings.Contains(said, row.says) && strings.Contains(said, "password")
			})
			password := "everest"
			if found := regexp.MustCompile(`password: (\S+)`).FindStringSubmatch(said); found != nil {
				password = found[1]
			}
			for _, p := range all {
				want(t, 200)(p.loginAs(row.username, password))
			}
			said = ""
			for _, p := range all {
				said += p.log.String()
			}
			if n := strings.Count(said, row.says); n != 1 {
				t.Errorf("%d replicas say %q, want 1", n, row.says)
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
