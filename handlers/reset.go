package handlers

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// UserPasswordReset issues resets of a user's password.
type UserPasswordReset struct {
	Service *security.Service
}

type resetResponse struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

func viewReset(r security.Reset) resetResponse { return resetResponse{r.Token, r.ExpiresAt} }

// Post answers with the token, which nobody sees again.
func (r UserPasswordReset) Post(c *gin.Context) error {
	id, err := PathID(c, "id")
	if err != nil {
		return err
	}
	reset, err := r.Service.IssueResetBy(security.ContextOf(c), principalOf(c), id)
	if err != nil {
		return err
	}
	c.JSON(http.StatusCreated, viewReset(reset))
	return nil
}

// PasswordReset redeems resets, for whoever has the token.
type PasswordReset struct {
	Service *security.Service
}

type redeemRequest struct {
	Token    *string `json:"token"`
	Password *string `json:"password"`
}

// Post sets the new password. One that breaks a rule leaves the token as good as before.
func (r PasswordReset) Post(c *gin.Context) error {
	request, err := ReadJSON[redeemRequest](c)
	if err != nil {
		return err
	}
	err = Check(
		Text("token", request.Token, 0, maxBody),
		Text("password", request.Password, 0, maxBody))
	if err != nil {
		return err
	}
	ctx, client := c.Request.Context(), security.ClientOf(c)
	err = r.Service.RedeemReset(ctx, client, *request.Token, *request.Password)
	if err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}
