package handlers

import (
	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// Refresh exchanges a refresh token for new tokens.
type Refresh struct {
	Gate *security.Gate
}

type refreshRequest struct {
	RefreshToken *string `json:"refresh_token"`
}

// Post answers with the tokens.
func (r Refresh) Post(c *gin.Context) error {
	token, err := readRefreshToken(c)
	if err != nil {
		return err
	}
	tokens, err := r.Gate.Refresh(c, token)
	if err != nil {
		return err
	}
	writeTokens(c, tokens)
	return nil
}

// readRefreshToken reads the body of a refresh or a logout.
func readRefreshToken(c *gin.Context) (string, error) {
	request, err := ReadJSON[refreshRequest](c)
	if err != nil {
		return "", err
	}
	if err := Check(Text("refresh_token", request.RefreshToken, 0, maxBody)); err != nil {
		return "", err
	}
	return *request.RefreshToken, nil
}
