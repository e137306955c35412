package handlers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

type loginRequest struct {
	Username *string `json:"username"`
	Password *string `json:"password"`
}

type loginResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int    `json:"expires_in"` // seconds
}

// readCredentials reads the body of POST /auth.
func readCredentials(c *gin.Context) (security.Credentials, error) {
	request, err := ReadJSON[loginRequest](c)
	if err != nil {
		return security.Credentials{}, err
	}
	if err := require(member{"username", request.Username}, member{"password", request.Password}); err != nil {
		return security.Credentials{}, err
	}
	return security.Credentials{Username: *request.Username, Password: *request.Password}, nil
}

// writeTokens answers a login (RFC 6749, section 5.1).
func writeTokens(c *gin.Context, tokens security.Tokens) {
	c.JSON(http.StatusOK, loginResponse{
		AccessToken: tokens.AccessToken, TokenType: security.SchemeBearer, ExpiresIn: int(tokens.ExpiresIn.Seconds()),
	})
}
