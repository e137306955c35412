package models

import "strings"

// table is one of ours: its name and its columns, in the order in which rows can be inserted.
type table struct {
	name    string
	columns string
}

// tables is every table, those first that others refer to. A test compares it with the schema.
func tables() []table {
	return []table{
		{"counters", "name, value"},
		{"users", "id, username, password_hash, roles, created_at, password_changed_at, disabled_at"},
		{"sessions", "id, user_id, created_at, last_used_at, idle_ends_at, ends_at, address, user_agent, refresh_count, refresh_hash, ended_at, ended_reason"},
		{"revocations", "revoked_at, session_id"},
		{"login_failures", "key, tries, next_at"},
		{"login_rates", "key, whole_at"},
		{"known_addresses", "key, logged_in_at"},
	}
}

func (t table) width() int { return strings.Count(t.columns, ",") + 1 }

// quotedTables is for SQL: 'counters', 'users', …
func quotedTables() string {
	var names []string
	for _, t := range tables() {
		names = append(names, "'"+t.name+"'")
	}
	return strings.Join(names, ", ")
}
