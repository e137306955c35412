package models

import (
	"strings"
	"time"
)

// table is one of ours: its name, its columns, and how long its rows stay.
type table struct {
	name      string
	columns   string
	retention retention
}

// retention says when Purge deletes a row.
type retention struct {
	key    string // the column that names the row
	column string // the time from which the row stays for keep
	keep   time.Duration
	shared bool // the time is by the clock of the database, not of a replica
	chosen bool // the operator says how long to keep it
}

const day = 24 * time.Hour

// tables is every table, those first that others refer to. A test compares it with the schema.
func tables() []table {
	forever := retention{} // Purge leaves the rows alone
	const session = "id, user_id, created_at, last_used_at, idle_ends_at, ends_at, address, user_agent, " +
		"refresh_count, refresh_hash, ended_at, ended_reason"
	return []table{
		{"counters", "name, value", forever},
		{"users", userColumns, forever},
		// Ended sessions stay for a while, so that their users can see why they ended.
		{"sessions", session, retention{key: "id", column: "idle_ends_at", keep: 30 * day}},
		{"password_resets", "id, user_id, hash, expires_at", retention{key: "id", column: "expires_at"}},
		// Expired ones stay for a while, so that their owners can see why a program fails.
		{"personal_tokens", "id, user_id, name, hash, roles, allows, created_at, expires_at, last_used_at",
			retention{key: "id", column: "expires_at", keep: 30 * day}},
		// Longer than any access token lives (24 h at most): verifiers want all that their tokens depend on.
		{"revocations", "revoked_at, session_id",
			retention{key: "session_id", column: "revoked_at", keep: 25 * time.Hour, shared: true}},
		{"login_failures", "key, tries, next_at", retention{key: "key", column: "next_at", keep: day}},
		{"login_rates", "key, whole_at", retention{key: "key", column: "whole_at"}},
		{"known_addresses", "key, logged_in_at",
			retention{key: "key", column: "logged_in_at", keep: 90 * day}},
		{"state", "name, value", forever},
		{"events", eventColumns, retention{key: "id", column: "at", chosen: true}},
	}
}

func (t table) width() int { return strings.Count(t.columns, ",") + 1 }

// quotedTables is a list for SQL: 'counters', 'users', …
func quotedTables() string {
	var names []string
	for _, t := range tables() {
		names = append(names, "'"+t.name+"'")
	}
	return strings.Join(names, ", ")
}
