package handlers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// Me describes the current user.
type Me struct{}

type meResponse struct {
	ID        int64    `json:"id"`
	Username  string   `json:"username"`
	Roles     []string `json:"roles"`
	SessionID string   `json:"session_id"`         // empty with a personal access token
	TokenID   string   `json:"token_id,omitempty"` // of a personal access token
}

// Get answers with the principal.
func (Me) Get(c *gin.Context) error {
	p := principalOf(c)
	c.JSON(http.StatusOK, meResponse{
		ID: p.UserID, Username: p.Username, Roles: append([]string{}, p.Roles...), SessionID: p.SessionID,
		TokenID: p.TokenID,
	})
	return nil
}

// principalOf is for protected routes, which always have a principal. The zero principal owns nothing.
func principalOf(c *gin.Context) security.Principal {
	principal, _ := security.PrincipalOf(c)
	return principal
}
