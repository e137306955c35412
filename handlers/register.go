package handlers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

const (
	pathRegister     = "/auth/register"
	registerFragment = "register.yaml"
)

// Registration creates users for strangers. The route exists only where the operator wants it.
type Registration struct {
	Service *security.Service
}

// Post answers with the new user, who logs in afterwards as everybody does.
func (r Registration) Post(c *gin.Context) error {
	given, err := readCredentials(c)
	if err != nil {
		return err
	}
	ctx, client := c.Request.Context(), security.ClientOf(c)
	user, err := r.Service.RegisterUser(ctx, client, given.Username, given.Password)
	if err != nil {
		return err
	}
	c.JSON(http.StatusCreated, viewUser(user))
	return nil
}
