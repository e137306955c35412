package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/models"
	"sherpa/security"
)

// Users are all users, for administrators.
type Users struct {
	Service *security.Service
}

type userResponse struct {
	ID                int64      `json:"id"`
	Username          string     `json:"username"`
	Roles             []string   `json:"roles"`
	CreatedAt         time.Time  `json:"created_at"`
	PasswordChangedAt *time.Time `json:"password_changed_at"`
	DisabledAt        *time.Time `json:"disabled_at"`
}

func viewUser(u models.User) userResponse {
	view := userResponse{
		ID: u.ID, Username: u.Username, Roles: append([]string{}, u.Roles...), CreatedAt: u.CreatedAt,
	}
	if u.HasPassword() {
		view.PasswordChangedAt = &u.PasswordChangedAt
	}
	if u.Disabled() {
		view.DisabledAt = &u.DisabledAt
	}
	return view
}

func writeUser(c *gin.Context, status int, user models.User) {
	WriteETag(c, user.Version())
	c.JSON(status, viewUser(user))
}

// Get lists them in the order of their names.
func (u Users) Get(c *gin.Context) error {
	filter, err := readUserFilter(c)
	if err != nil {
		return err
	}
	page, err := ReadPage[string](c, "prefix", "role", "disabled")
	if err != nil {
		return err
	}
	rows, err := u.Service.UserPage(c.Request.Context(), filter, page)
	var rejected *security.RejectedError
	if errors.As(err, &rejected) {
		return InvalidRequest("The query parameter `role`: " + rejected.Reason + ".")
	}
	if err != nil {
		return err
	}
	return WritePage(c, page, rows, func(u models.User) string { return u.Username }, viewUser)
}

func readUserFilter(c *gin.Context) (models.UserFilter, error) {
	filter := models.UserFilter{Prefix: c.Query("prefix"), Role: c.Query("role")}
	if _, given := c.GetQuery("role"); given && filter.Role == "" {
		return filter, InvalidRequest("The query parameter `role` is empty: no user has such a role.")
	}
	switch text, given := c.GetQuery("disabled"); {
	case !given:
	case text == "true", text == "false":
		filter.Disabled = new(text == "true")
	default:
		return filter, InvalidRequest("The query parameter `disabled` is `true` or `false`.")
	}
	return filter, nil
}

type newUserRequest struct {
	Username *string  `json:"username"`
	Password *string  `json:"password"`
	Roles    []string `json:"roles"`
}

// createdUserResponse has the token of an invitation where there is one.
type createdUserResponse struct {
	userResponse

	Invitation *resetResponse `json:"invitation,omitempty"`
}

// Post creates one. Without a password, it is an invitation.
func (u Users) Post(c *gin.Context) error {
	request, err := ReadJSON[newUserRequest](c)
	if err != nil {
		return err
	}
	if err := Check(Text("username", request.Username, 0, maxBody)); err != nil {
		return err
	}
	if request.Password == nil {
		return u.invite(c, *request.Username, request.Roles)
	}
	user, err := u.Service.CreateUser(
		security.ContextOf(c), *request.Username, *request.Password, request.Roles)
	if err != nil {
		return err
	}
	writeCreated(c, user, nil)
	return nil
}

func (u Users) invite(c *gin.Context, username string, roles []string) error {
	user, reset, err := u.Service.InviteUser(security.ContextOf(c), username, roles)
	if err != nil {
		return err
	}
	invitation := viewReset(reset)
	writeCreated(c, user, &invitation)
	return nil
}

func writeCreated(c *gin.Context, user models.User, invitation *resetResponse) {
	c.Header("Location", fmt.Sprint(pathUsers, "/", user.ID))
	WriteETag(c, user.Version())
	c.JSON(http.StatusCreated, createdUserResponse{viewUser(user), invitation})
}

// OneUser is the user with the id in the path, for administrators.
type OneUser struct {
	Service *security.Service
}

// Get describes the user.
func (u OneUser) Get(c *gin.Context) error {
	id, err := PathID(c, "id")
	if err != nil {
		return err
	}
	user, err := u.Service.User(c.Request.Context(), id)
	if err != nil {
		return err
	}
	writeUser(c, http.StatusOK, user)
	return nil
}

type patchUserRequest struct {
	Roles    []string `json:"roles"`
	Disabled *bool    `json:"disabled"`
}

// Patch changes what the body has, and nothing else.
func (u OneUser) Patch(c *gin.Context) error {
	id, err := PathID(c, "id")
	if err != nil {
		return err
	}
	versions, err := ReadIfMatch(c)
	if err != nil {
		return err
	}
	request, err := ReadJSON[patchUserRequest](c)
	if err != nil {
		return err
	}
	if request.Roles == nil && request.Disabled == nil {
		return InvalidRequest("Send `roles`, `disabled`, or both.")
	}
	user, err := u.Service.ChangeUser(security.ContextOf(c), id,
		security.UserChange{Versions: versions, Roles: request.Roles, Disabled: request.Disabled})
	if err != nil {
		return err
	}
	writeUser(c, http.StatusOK, user)
	return nil
}

// Delete deletes the user.
func (u OneUser) Delete(c *gin.Context) error {
	id, err := PathID(c, "id")
	if err != nil {
		return err
	}
	versions, err := ReadIfMatch(c)
	if err != nil {
		return err
	}
	if err := u.Service.DeleteUser(security.ContextOf(c), id, versions...); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}

// UserSessions are those of the user with the id in the path, for administrators.
type UserSessions struct {
	Service *security.Service
}

// Get lists them as Sessions does.
func (u UserSessions) Get(c *gin.Context) error {
	id, err := PathID(c, "id")
	if err != nil {
		return err
	}
	all, err := u.Service.UserSessions(c.Request.Context(), id)
	if err != nil {
		return err
	}
	writeSessions(c, all)
	return nil
}

// Delete ends them.
func (u UserSessions) Delete(c *gin.Context) error {
	id, err := PathID(c, "id")
	if err != nil {
		return err
	}
	if _, err := u.Service.EndUserSessions(security.ContextOf(c), id); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}
