package models

import (
	"context"
	"fmt"
	"strings"
)

// UserFilter says which users are wanted. A zero field wants all.
type UserFilter struct {
	Prefix   string // of the username, normalised as that is
	Role     string
	Disabled *bool
}

// UserPage returns a page of the users in the order of the bytes of their names.
func (s *Store) UserPage(ctx context.Context, f UserFilter, page Page[string]) ([]User, error) {
	query, args := s.userPageQuery(f, page)
	return readAll(ctx, s, "list users", scanUser, query, args...)
}

// afterAllNames is greater than what follows the prefix in any name: no name has this noncharacter.
const afterAllNames = "\U0010FFFF"

// userPageQuery has one lower bound, because SQLite would not use a second one to find its place.
func (s *Store) userPageQuery(f UserFilter, page Page[string]) (query string, args []any) {
	args = []any{page.Limit + 1}
	var conditions []string
	where := func(condition string, arg any) {
		args = append(args, arg)
		conditions = append(conditions, fmt.Sprintf(condition, len(args)))
	}
	name := `username` + s.engine.bytewise
	if page.After < f.Prefix {
		where(name+` >= $%d`, f.Prefix)
	} else {
		where(name+` > $%d`, page.After)
	}
	if f.Prefix != "" {
		where(name+` < $%d`, f.Prefix+afterAllNames)
	}
	if f.Role != "" {
		where(hasRole(`$%d`), rolePattern(f.Role))
	}
	if f.Disabled != nil {
		conditions = append(conditions, isDisabled(*f.Disabled))
	}
	return `SELECT ` + userColumns + ` FROM users WHERE ` + strings.Join(conditions, " AND ") +
		` ORDER BY ` + name + ` LIMIT $1`, args
}

func isDisabled(disabled bool) string {
	if disabled {
		return `disabled_at IS NOT NULL`
	}
	return `disabled_at IS NULL`
}

// hasRole is the SQL condition for a user with a role; the pattern is SQL too. Its first part is that of the
// index users_with_roles: without it, the database would read every user.
func hasRole(pattern string) string {
	return `roles <> '' AND ' ' || roles || ' ' LIKE ` + pattern + ` ESCAPE '!'`
}

func rolePattern(role string) string {
	return `% ` + strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(role) + ` %`
}
