package command

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sherpa/models"
)

// TestWhatAServerWaitsFor also says which command an error names, where the server does not wait.
func TestWhatAServerWaitsFor(t *testing.T) {
	t.Parallel()
	const schema, database = "run `sherpa db migrate`", "waiting for the database"
	for _, tt := range []struct {
		name, mode string
		err        error
		waits      string
		names      string
	}{
		{"well", migrateWait, nil, "", ""},
		{"no server, auto", migrateAuto, models.ErrUnavailable, database, ""},
		{"no server, wait", migrateWait, models.ErrUnavailable, database, ""},
		{"no server, off", migrateOff, models.ErrUnavailable, database, ""},
		{"old schema, wait", migrateWait, models.ErrPending, schema, "`sherpa db migrate`"},
		{"old schema, off", migrateOff, models.ErrPending, "", "`sherpa db migrate`"},
		{"no database, auto", migrateAuto, models.ErrNoDatabase, "", "`sherpa serve`"},
		{"no database, wait", migrateWait, models.ErrNoDatabase, schema, "`sherpa db migrate`"},
		{"no database, off", migrateOff, models.ErrNoDatabase, "", "`sherpa db migrate`"},
		{"another fault", migrateWait, errors.New("no access"), "", ""},
	} {
		c := &Config{Migrate: tt.mode}
		if tt.err != nil {
			tt.err = fmt.Errorf("open: %w", tt.err)
		}
		got := c.worthWaiting(tt.err)
		if !strings.Contains(got, tt.waits) || (got == "") != (tt.waits == "") {
			t.Errorf("%s: waits for %q, want %q", tt.name, got, tt.waits)
		}
		err := c.explainDatabase(tt.err)
		if !errors.Is(err, tt.err) || tt.names != "" && !strings.HasSuffix(err.Error(), tt.names) {
			t.Errorf("%s: %v does not name %s", tt.name, err, tt.names)
		}
	}
}
