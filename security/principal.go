package security

import (
	"slices"

	"sherpa/models"
)

// Principal is who makes a checked request: a user with a session, or with a personal access token.
type Principal struct {
	UserID    int64
	Username  string
	Roles     []string // of the user; with a token, only those that the token has, too
	SessionID string   // "" with a token
	TokenID   string   // of the personal access token, "" with a session
	Allows    []Allow  // what the token may do beyond what its roles say; a session may do all
}

// Allow names routes that a personal access token may use only if it says so.
type Allow string

// What a token may be allowed.
const (
	AllowAccount Allow = "account" // the owner's password, sessions, tokens and events
	AllowAdmin   Allow = "admin"   // the administration of users, together with the role
)

// Allows returns all of them.
func Allows() []Allow { return []Allow{AllowAccount, AllowAdmin} }

// May reports whether the principal may use the routes that need this: a session may use all of them.
func (p Principal) May(what Allow) bool { return p.TokenID == "" || slices.Contains(p.Allows, what) }

func newPrincipal(user models.User, sessionID string) Principal {
	return Principal{UserID: user.ID, Username: user.Username, Roles: user.Roles, SessionID: sessionID}
}

// HasAnyRole reports whether the principal has one of the roles. Nobody has one of none.
func (p Principal) HasAnyRole(roles ...string) bool {
	return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(p.Roles, role) })
}
