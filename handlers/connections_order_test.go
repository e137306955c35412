package handlers

import (
	"net/http"
	"slices"
	"testing"
	"time"
)

// TestMostSilentConnection: each row is what two old connections and a new one did, in this order.
func TestMostSilentConnection(t *testing.T) {
	t.Parallel()
	type change struct {
		conn  string
		state http.ConnState
	}
	const active, idle, closed = http.StateActive, http.StateIdle, http.StateClosed
	tests := []struct {
		name    string
		changes []change
		new     bool     // there is one more, which is new
		want    []string // who makes room, one after the other
	}{
		{"nobody spoke", nil, true, []string{"oldest", "old"}},
		{"one spoke", []change{{"oldest", active}, {"oldest", idle}}, false, []string{"old", "oldest"}},
		{"one is served", []change{{"oldest", active}}, true, []string{"old"}},
		{"both are served", []change{{"oldest", active}, {"old", active}}, true, nil},
		{"one is gone", []change{{"oldest", closed}}, true, []string{"old"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			names := []string{"oldest", "old"}
			if tt.new {
				names = append(names, "new")
			}
			table := newConnections(len(names), func() {})
			all := map[string]*connection{"oldest": {}, "old": {}, "new": {opened: time.Now().Add(time.Hour)}}
			for _, name := range names {
				if !table.add(all[name]) {
					t.Fatal("no room")
				}
			}
			if table.add(&connection{}) {
				t.Error("room for one more")
			}
			for _, c := range tt.changes {
				table.changed(all[c.conn], c.state)
			}
			var got []string
			for conn := table.takeMostSilent(); conn != nil; conn = table.takeMostSilent() {
				for name, c := range all {
					if c == conn {
						got = append(got, name)
					}
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%v made room, want %v", got, tt.want)
			}
		})
	}
}
