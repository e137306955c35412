package handlers

import (
	"errors"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/models"
	"sherpa/security"
)

// PersonalTokens are the principal's personal access tokens.
type PersonalTokens struct {
	Service *security.Service
}

type personalRequest struct {
	Name    *string          `json:"name"`
	Days    *int64           `json:"expires_in_days"`
	Roles   []string         `json:"roles"`
	Allows  []security.Allow `json:"allow"`
	Current *string          `json:"current_password"` // which a session needs
}

type personalResponse struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Token      string     `json:"token,omitempty"` // once, when it is made
	Roles      []string   `json:"roles"`
	Allows     []string   `json:"allow"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  time.Time  `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
}

type personalsResponse struct {
	Items []personalResponse `json:"items"`
}

// Post makes one. The answer is the only one that has its text.
func (p PersonalTokens) Post(c *gin.Context) error {
	request, err := ReadJSON[personalRequest](c)
	if err != nil {
		return err
	}
	wanted, current, err := request.read(principalOf(c))
	if err != nil {
		return err
	}
	ctx, client := c.Request.Context(), security.ClientOf(c)
	made, text, err := p.Service.CreateOwnToken(ctx, principalOf(c), client, current, wanted)
	var broken *security.TokenRuleError
	if errors.As(err, &broken) {
		detail := "`" + broken.Member + "`: " + broken.Reason + "."
		return InvalidRequest(detail, FieldError{Detail: detail, Pointer: "#/" + broken.Member})
	}
	if err != nil {
		return err
	}
	view := viewPersonal(made)
	view.Token = text
	c.JSON(http.StatusCreated, view)
	return nil
}

const day = 24 * time.Hour

// read returns the token that the owner wants, and the owner's password, if a session asks.
func (r personalRequest) read(owner security.Principal) (_ security.NewToken, current string, _ error) {
	rules := []Rule{Text("name", r.Name, 0, maxBody)}
	wanted := security.NewToken{Roles: r.Roles, Allows: r.Allows}
	if r.Days != nil {
		rules = append(rules, Number("expires_in_days", r.Days, 1, int64(security.MaxTokenLife/day)))
		wanted.Life = time.Duration(*r.Days) * day
	}
	if owner.TokenID == "" {
		rules = append(rules, Text("current_password", r.Current, 0, maxBody))
	}
	if err := Check(rules...); err != nil {
		return wanted, "", err
	}
	wanted.Name = *r.Name
	if r.Current != nil {
		current = *r.Current
	}
	return wanted, current, nil
}

// Get lists them, the newest first, expired ones included.
func (p PersonalTokens) Get(c *gin.Context) error {
	all, err := p.Service.Tokens(c.Request.Context(), principalOf(c).UserID)
	if err != nil {
		return err
	}
	response := personalsResponse{Items: []personalResponse{}}
	for _, t := range all {
		response.Items = append(response.Items, viewPersonal(t))
	}
	c.JSON(http.StatusOK, response)
	return nil
}

func viewPersonal(t models.PersonalToken) personalResponse {
	view := personalResponse{
		ID: t.ID, Name: t.Name,
		Roles: append([]string{}, t.Roles...), Allows: append([]string{}, t.Allows...),
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt,
	}
	if !t.LastUsedAt.IsZero() {
		view.LastUsedAt = &t.LastUsedAt
	}
	return view
}

// OnePersonalToken is one of the principal's personal access tokens.
type OnePersonalToken struct {
	Service *security.Service
}

// Delete deletes it. A token of somebody else is not found.
func (p OnePersonalToken) Delete(c *gin.Context) error {
	id, err := PathText(c, "id")
	if err != nil {
		return err
	}
	if err := p.Service.DeleteToken(security.ContextOf(c), principalOf(c).UserID, id); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// UserTokens are the personal access tokens of the user with the id in the path, for administrators.
type UserTokens struct {
	Service *security.Service
}

// Delete deletes them.
func (u UserTokens) Delete(c *gin.Context) error {
	id, err := PathID(c, "id")
	if err != nil {
		return err
	}
	if _, err := u.Service.DeleteUserTokens(security.ContextOf(c), id); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}
