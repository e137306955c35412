package handlers

import (
	"log/slog"
	"net/http"
	"time"
)

// The limits of one connection. They cut off a client that sends or reads slower than any honest one.
const (
	readTimeout    = 8 * time.Second // headers and body together: net/http sets one deadline instead of two
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 12 << 10 // net/http adds 4 KiB to it
)

// NewServer returns a server with limits for the handler. Its listener should come from Listen.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler,

		DisableGeneralOptionsHandler: true, // or OPTIONS * would go past the handler
		ReadHeaderTimeout:            readTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
