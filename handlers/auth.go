package handlers

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/models"
	"sherpa/security"
)

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

// writeTokens answers a login or a refresh (RFC 6749, section 5.1).
func writeTokens(c *gin.Context, tokens security.Tokens) {
	c.JSON(http.StatusOK, tokenResponse{
		AccessToken: tokens.AccessToken, TokenType: security.SchemeBearer, ExpiresIn: int(tokens.ExpiresIn.Seconds()),
		RefreshToken: tokens.RefreshToken, RefreshExpiresIn: int(tokens.RefreshExpiresIn.Seconds()),
	})
}

type refreshRequest struct {
	RefreshToken *string `json:"refresh_token"`
}

// readRefreshToken reads the body of a refresh or a logout.
func readRefreshToken(c *gin.Context) (string, error) {
	request, err := ReadJSON[refreshRequest](c)
	if err != nil {
		return "", err
	}
	if err := require(member{"refresh_token", request.RefreshToken}); err != nil {
		return "", err
	}
	return *request.RefreshToken, nil
}

// Refresh exchanges a refresh token for new tokens.
type Refresh struct {
	Gate *security.Gate
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

// Logout ends sessions. Its route is open, because a client whose access token has expired must be able to log out
// with its refresh token.
type Logout struct {
	Gate    *security.Gate
	Service *security.Service
}

// Post ends the session of the refresh token in the body, or else of the access token in the header, or those that
// the query parameter scope names: local, others or all.
func (l Logout) Post(c *gin.Context) error {
	scope, err := readScope(c)
	if err != nil {
		return err
	}
	if hasBody(c.Request) {
		err = l.byRefreshToken(c, scope)
	} else {
		err = l.Gate.Logout(c, scope)
	}
	if err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// hasBody looks at the first byte: a client that sends in chunks does not say beforehand that there is none.
func hasBody(r *http.Request) bool {
	first := make([]byte, 1)
	n, _ := io.ReadFull(r.Body, first)
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(first[:n]), r.Body), r.Body}
	return n > 0
}

func readScope(c *gin.Context) (security.Scope, error) {
	switch scope := security.Scope(c.DefaultQuery("scope", string(security.ScopeLocal))); scope {
	case security.ScopeLocal, security.ScopeOthers, security.ScopeAll:
		return scope, nil
	}
	return "", InvalidRequest("The query parameter `scope` is local, others or all.")
}

func (l Logout) byRefreshToken(c *gin.Context, scope security.Scope) error {
	token, err := readRefreshToken(c)
	if err != nil {
		return err
	}
	return l.Service.LogoutByRefreshToken(c.Request.Context(), token, scope)
}

// Me is who asks.
type Me struct{}

type meResponse struct {
	ID        int64    `json:"id"`
	Username  string   `json:"username"`
	Roles     []string `json:"roles"`
	SessionID string   `json:"session_id"`
}

// Get answers with the principal.
func (Me) Get(c *gin.Context) error {
	principal := principalOf(c)
	c.JSON(http.StatusOK, meResponse{
		ID: principal.UserID, Username: principal.Username, Roles: append([]string{}, principal.Roles...), SessionID: principal.SessionID,
	})
	return nil
}

// principalOf is for protected routes, where there always is one; the zero principal owns nothing.
func principalOf(c *gin.Context) security.Principal {
	principal, _ := security.PrincipalOf(c)
	return principal
}

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
	if err := require(member{"current_password", request.Current}, member{"new_password", request.New}); err != nil {
		return err
	}
	err = p.Service.ChangePassword(c.Request.Context(), principalOf(c), security.ClientOf(c), *request.Current, *request.New)
	if err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// Sessions are the principal's own.
type Sessions struct {
	Service *security.Service
}

type sessionResponse struct {
	ID          string     `json:"id"`
	Current     bool       `json:"current"`
	Address     string     `json:"address"`
	UserAgent   string     `json:"user_agent"`
	CreatedAt   time.Time  `json:"created_at"`
	LastUsedAt  time.Time  `json:"last_used_at"`
	IdleEndsAt  time.Time  `json:"idle_ends_at"`
	EndsAt      time.Time  `json:"ends_at"`
	EndedAt     *time.Time `json:"ended_at"`
	EndedReason *string    `json:"ended_reason"`
}

type sessionsResponse struct {
	Sessions []sessionResponse `json:"sessions"`
}

// Get lists them, the newest first, those that ended in the last 30 days included.
func (s Sessions) Get(c *gin.Context) error {
	principal := principalOf(c)
	all, err := s.Service.Sessions(c.Request.Context(), principal)
	if err != nil {
		return err
	}
	response := sessionsResponse{Sessions: []sessionResponse{}}
	for _, session := range all {
		response.Sessions = append(response.Sessions, viewSession(session, principal.SessionID))
	}
	c.JSON(http.StatusOK, response)
	return nil
}

func viewSession(s models.Session, current string) sessionResponse {
	view := sessionResponse{
		ID: s.ID, Current: s.ID == current, Address: s.Address, UserAgent: s.UserAgent,
		CreatedAt: s.CreatedAt, LastUsedAt: s.LastUsedAt, IdleEndsAt: s.IdleEndsAt, EndsAt: s.EndsAt,
	}
	if s.EndedReason != "" {
		reason := string(s.EndedReason)
		view.EndedReason = &reason
	}
	if !s.EndedAt.IsZero() {
		view.EndedAt = &s.EndedAt
	}
	return view
}

// OneSession is one of the principal's sessions.
type OneSession struct {
	Service *security.Service
}

// Delete ends it. A session of somebody else is not found.
func (s OneSession) Delete(c *gin.Context) error {
	id, err := PathText(c, "id")
	if err != nil {
		return err
	}
	if err := s.Service.EndOwnSession(c.Request.Context(), principalOf(c), id); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}
