package handlers

import (
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/models"
	"sherpa/security"
)

// Events are what happened to the principal's account.
type Events struct {
	Service *security.Service
}

type eventResponse struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Reason    string    `json:"reason,omitempty"`
	At        time.Time `json:"at"`
	LastAt    time.Time `json:"last_at"`
	Count     int64     `json:"count"`
	Actor     string    `json:"actor"`
	TokenID   string    `json:"token_id,omitempty"` // with which the actor did it
	SessionID string    `json:"session_id,omitempty"`
	Address   string    `json:"address,omitempty"`
	UserAgent string    `json:"user_agent,omitempty"`
}

// Get lists them, the newest first.
func (e Events) Get(c *gin.Context) error {
	return ListOwn(c, e.Service.UserEvents, func(e models.Event) string { return e.ID }, viewEvent)
}

// administrator stands for a user who has changed another one.
const administrator = "administrator"

// viewEvent leaves out who the actor is: a user need not know the name of an operator, nor where an
// administrator works.
func viewEvent(e models.Event) eventResponse {
	view := eventResponse{
		ID: e.ID, Kind: string(e.Kind), Reason: e.Reason, At: e.At, LastAt: e.LastAt, Count: e.Times,
		Actor: string(e.Actor), TokenID: e.ActorToken, SessionID: e.SessionID,
		Address: e.Address, UserAgent: e.UserAgent,
	}
	if e.Actor == models.ActorUser && e.ActorID != e.SubjectID {
		view.Actor, view.TokenID, view.Address, view.UserAgent = administrator, "", "", ""
	}
	return view
}
