package security

import "sherpa/models"

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
