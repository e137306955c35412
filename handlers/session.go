package handlers

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/models"
	"sherpa/security"
)

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
	all, err := s.Service.Sessions(c.Request.Context(), principalOf(c))
	if err != nil {
		return err
	}
	writeSessions(c, all)
	return nil
}

func writeSessions(c *gin.Context, all []models.Session) {
	response := sessionsResponse{Sessions: []sessionResponse{}}
	for _, session := range all {
		response.Sessions = append(response.Sessions, viewSession(session, principalOf(c).SessionID))
	}
	c.JSON(http.StatusOK, response)
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
	if err := s.Service.EndOwnSession(security.ContextOf(c), principalOf(c), id); err != nil {
		return err
	}
	c.Status(http.StatusNoContent)
	return nil
}
