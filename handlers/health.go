package handlers

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"sherpa/security"
)

// The paths that proxies and container engines ask.
const (
	pathHealth = "/healthz"
	pathReady  = "/readyz"
)

type healthResponse struct {
	Status  string `json:"status"`
	Version string `json:"version,omitempty"`
}

// Health says that the process runs: restart it when this fails.
type Health struct{ Version string }

// Get answers 200 whenever it can answer at all.
func (h Health) Get(c *gin.Context) error {
	c.JSON(http.StatusOK, healthResponse{Status: "ok", Version: h.Version})
	return nil
}

// Ready says that the process can do its work: send it no requests while this fails.
type Ready struct {
	Service  *security.Service
	Stopping <-chan struct{} // closed when the process has been told to stop; nil is never
}

// Get answers 200 when the database answers and the process is not about to stop, else 503.
func (r Ready) Get(c *gin.Context) error {
	select {
	case <-r.Stopping:
		return &Error{
			Code: stopping, RetryAfter: time.Second,
			Detail: "This server has been told to stop. It still serves, but send new requests elsewhere.",
		}
	default:
	}
	if err := r.Service.Ready(c.Request.Context()); err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	c.JSON(http.StatusOK, healthResponse{Status: "ok"})
	return nil
}
