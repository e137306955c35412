package security

import (
	"slices"

	"sherpa/models"
)

// Principal is who makes a checked request.
type Principal struct {
	UserID    int64
	Username  string
	Roles     []string
	SessionID string
}

func newPrincipal(user models.User, sessionID string) Principal {
	return Principal{UserID: user.ID, Username: user.Username, Roles: user.Roles, SessionID: sessionID}
}

// HasAnyRole reports whether the principal has one of the roles. Nobody has one of none.
func (p Principal) HasAnyRole(roles ...string) bool {
	return slices.ContainsFunc(roles, func(role string) bool { return slices.Contains(p.Roles, role) })
}
