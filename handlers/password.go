package handlers

import (
	"errors"
	"net/http"

	"github.com/gin-gonic/gin"

	"sherpa/security"
	"sherpa/security/password"
)

// Password is the principal's password.
type Password struct {
	Service *security.Service
}

type passwordRequest struct {
	Current *string `json:"current_password"`
	New     *string `json:"new_password"`
}

// Put changes it, and ends the principal's other sessions.
func (p Password) Put(c *gin.Context) error {
	request, err := ReadJSON[passwordRequest](c)
	if err != nil {
		return err
	}
	err = Check(
		Text("current_password", request.Current, 0, maxBody),
		Text("new_password", request.New, 0, maxBody))
	if err != nil {
		return err
	}
	ctx, client := c.Request.Context(), security.ClientOf(c)
	err = p.Service.ChangePassword(ctx, principalOf(c), client, *request.Current, *request.New)
	var rejected *password.RejectedError
	if errors.As(err, &rejected) {
		return invalidPart("new_password", rejected.Reason)
	}
	if err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}
