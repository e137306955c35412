package handlers

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// Introspect tells a verifier what a token is (RFC 7662).
type Introspect struct {
	Service *security.Service
}

// introspection has the members of RFC 7662, section 2.2. A token that is not active has none but the first.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"` // the roles
	Username  string `json:"username,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Expires   int64  `json:"exp,omitempty"`
	Issued    int64  `json:"iat,omitempty"`
	Subject   string `json:"sub,omitempty"`
	Audience  string `json:"aud,omitempty"`
	Issuer    string `json:"iss,omitempty"`
	TokenID   string `json:"jti,omitempty"` // of a personal access token
	SessionID string `json:"sid,omitempty"` // of an access token
}

// Post reads the form of RFC 7662, section 2.1. Parameters that it does not know are ignored, as the hint is:
// the text of a token says of what kind it is.
func (i Introspect) Post(c *gin.Context) error {
	form, err := ReadForm(c)
	if err != nil {
		return err
	}
	if len(form["token"]) != 1 {
		detail := "`token` is required, once."
		return InvalidRequest(detail, FieldError{Detail: detail, Pointer: "#/token"})
	}
	found, err := i.Service.Introspect(c.Request.Context(), form.Get("token"))
	if err != nil {
		return err
	}
	c.JSON(http.StatusOK, i.view(found))
	return nil
}

func (i Introspect) view(found security.Introspection) introspection {
	if !found.Active {
		return introspection{}
	}
	p := found.Principal
	return introspection{
		Active: true, Scope: strings.Join(p.Roles, " "), Username: p.Username,
		TokenType: security.SchemeBearer, Expires: found.ExpiresAt.Unix(), Issued: found.IssuedAt.Unix(),
		Subject: strconv.FormatInt(p.UserID, 10), Audience: i.Service.Settings.Audience,
		Issuer: i.Service.Settings.Issuer, TokenID: p.TokenID, SessionID: p.SessionID,
	}
}
