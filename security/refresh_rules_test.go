package security

import (
	"fmt"
	"testing"

	"sherpa/models"
)

// TestRefreshRules is the whole rule: every generation, alive or ended, with every timing.
func TestRefreshRules(t *testing.T) {
	t.Parallel()
	const alive, ended = models.EndedReason(""), models.EndedByLogout
	rows := []struct {
		name string
		refreshCase
		want decision
	}{
		{"newest, alive, in time", refreshCase{newest, alive, inTime}, rotate},
		{"newest, alive, late", refreshCase{newest, alive, late}, rotate},
		{"newest, alive, unknown", refreshCase{newest, alive, unknown}, rotate},
		{"newest, ended, in time", refreshCase{newest, ended, inTime}, rejectEnded},
		{"newest, ended, late", refreshCase{newest, ended, late}, rejectEnded},
		{"newest, ended, unknown", refreshCase{newest, ended, unknown}, rejectEnded},
		{"previous, alive, in time", refreshCase{previous, alive, inTime}, repeat},
		{"previous, alive, late", refreshCase{previous, alive, late}, endSession},
		{"previous, alive, unknown", refreshCase{previous, alive, unknown}, retryLater},
		{"previous, ended, in time", refreshCase{previous, ended, inTime}, rejectEnded},
		{"previous, ended, late", refreshCase{previous, ended, late}, rejectEnded},
		{"previous, ended, unknown", refreshCase{previous, ended, unknown}, rejectEnded},
		{"older, alive, in time", refreshCase{older, alive, inTime}, endSession},
		{"older, alive, late", refreshCase{older, alive, late}, endSession},
		{"older, alive, unknown", refreshCase{older, alive, unknown}, endSession},
		{"older, ended, in time", refreshCase{older, ended, inTime}, rejectEnded},
		{"older, ended, late", refreshCase{older, ended, late}, rejectEnded},
		{"older, ended, unknown", refreshCase{older, ended, unknown}, rejectEnded},
		{"future, alive, in time", refreshCase{future, alive, inTime}, rejectToken},
		{"future, alive, late", refreshCase{future, alive, late}, rejectToken},
		{"future, alive, unknown", refreshCase{future, alive, unknown}, rejectToken},
		{"future, ended, in time", refreshCase{future, ended, inTime}, rejectToken},
		{"future, ended, late", refreshCase{future, ended, late}, rejectToken},
		{"future, ended, unknown", refreshCase{future, ended, unknown}, rejectToken},
		{"nothing is known", refreshCase{}, endSession},
	}
	seen := map[string]bool{}
	for _, row := range rows {
		if got := row.decide(); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
		seen[fmt.Sprint(row.refreshCase)] = true
	}
	for _, g := range []generation{newest, previous, older, future} {
		for _, e := range []models.EndedReason{alive, ended} {
			for _, w := range []timing{inTime, late, unknown} {
				if c := (refreshCase{g, e, w}); !seen[fmt.Sprint(c)] {
					t.Errorf("no row for %v", c)
				}
			}
		}
	}
}

func TestTimingIsAskedOnlyWhereItDecides(t *testing.T) {
	t.Parallel()
	for c, want := range map[refreshCase]bool{
		{generation: previous}: true, {generation: newest}: false, {generation: older}: false,
		{generation: previous, ended: models.EndedByLogout}: false,
	} {
		if c.needsTiming() != want {
			t.Errorf("%+v: %v", c, !want)
		}
	}
}
