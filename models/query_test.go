package models

import (
	"database/sql"
	"testing"
	"time"
)

// TestColumns refuse what no column of theirs holds: a NULL in roles, a text in a time.
func TestColumns(t *testing.T) {
	t.Parallel()
	at, roles := epoch, []string{"old"}
	for name, tt := range map[string]struct {
		column sql.Scanner
		value  any
		ok     bool
	}{
		"no time":         {timeColumn{&at}, nil, true},
		"text for a time": {timeColumn{&at}, "1", false},
		"blob for a time": {timeColumn{&at}, []byte("1"), false},
		"roles":           {rolesColumn{&roles}, "a b", true},
		"no roles":        {rolesColumn{&roles}, nil, false},
		"number as roles": {rolesColumn{&roles}, int64(1), false},
	} {
		if err := tt.column.Scan(tt.value); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if !at.Equal(time.Time{}) || len(roles) != 2 {
		t.Errorf("%v, %q", at, roles)
	}
}
