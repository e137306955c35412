package handlers

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// Login starts sessions.
type Login struct {
	Gate *security.Gate
}

type loginRequest struct {
	Username *string `json:"username"`
	Password *string `json:"password"`
}

type tokenResponse struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	ExpiresIn        int    `json:"expires_in"` // seconds
	RefreshToken     string `json:"refresh_token"`
	RefreshExpiresIn int    `json:"refresh_expires_in"` // seconds
}

// Post answers a username and a password with tokens.
func (l Login) Post(c *gin.Context) error {
	given, err := readCredentials(c)
	if err != nil {
		return err
	}
	tokens, err := l.Gate.LogIn(c, given)
	if err != nil {
		return err
	}
	writeTokens(c, tokens)
	return nil
}

// readCredentials leaves the rules for names and passwords to the service.
func readCredentials(c *gin.Context) (security.Credentials, error) {
	request, err := ReadJSON[loginRequest](c)
	if err != nil {
		return security.Credentials{}, err
	}
	err = Check(
		Text("username", request.Username, 0, maxBody),
		Text("password", request.Password, 0, maxBody))
	if err != nil {
		return security.Credentials{}, err
	}
	return security.Credentials{Username: *request.Username, Password: *request.Password}, nil
}

// writeTokens answers a login or a refresh (RFC 6749, section 5.1).
func writeTokens(c *gin.Context, tokens security.Tokens) {
	c.JSON(http.StatusOK, tokenResponse{
		AccessToken:      tokens.AccessToken,
		TokenType:        security.SchemeBearer,
		ExpiresIn:        int(tokens.ExpiresIn.Seconds()),
		RefreshToken:     tokens.RefreshToken,
		RefreshExpiresIn: int(tokens.RefreshExpiresIn.Seconds()),
	})
}
