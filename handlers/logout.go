package handlers

import (
	"bytes"
	"io"
	"net/http"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// Logout ends sessions. Its route is open: a client whose access token has expired must be able to log out
// with its refresh token.
type Logout struct {
	Gate    *security.Gate
	Service *security.Service
}

// Post ends the session of the refresh token in the body, or else of the access token in the header. The
// query parameter scope names others: local, others or all.
func (l Logout) Post(c *gin.Context) error {
	scope, err := readScope(c)
	if err != nil {
		return err
	}
	if hasBody(c.Request) {
		err = l.byRefreshToken(c, scope)
	} else {
		err = l.Gate.LogOut(c, scope)
	}
	if err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

func readScope(c *gin.Context) (security.Scope, error) {
	switch scope := security.Scope(c.DefaultQuery("scope", string(security.ScopeLocal))); scope {
	case security.ScopeLocal, security.ScopeOthers, security.ScopeAll:
		return scope, nil
	}
	return "", InvalidRequest("The query parameter `scope` is local, others or all.")
}

// hasBody reads the first byte, because a client that sends in chunks does not announce that there is none.
func hasBody(r *http.Request) bool {
	first := make([]byte, 1)
	n, _ := io.ReadFull(r.Body, first)
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first[:n]), r.Body), r.Body}
	return n > 0
}

func (l Logout) byRefreshToken(c *gin.Context, scope security.Scope) error {
	token, err := readRefreshToken(c)
	if err != nil {
		return err
	}
	return l.Service.LogOutByRefreshToken(security.ContextOf(c), token, scope)
}
