package handlers

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// The limits of one connection. They cut off a client that sends or reads slower than any honest one.
const (
	readTimeout    = 8 * time.Second // headers and body together: net/http sets one deadline instead of two
	writeTimeout   = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 12 << 10 // net/http adds 4 KiB to it

	// The limits of one HTTP/2 connection, because a client may open all its streams at once and say no
	// more. RFC 9113, section 6.5.2, recommends 100 streams or more for the sake of parallelism. We answer
	// in less than a millisecond, so fewer streams keep the processor busy too, and take less memory.
	maxStreams       = 32
	streamBuffer     = 64 << 10  // bytes of a body that may arrive before it is read: the longest body
	connectionBuffer = 128 << 10 // the same for all bodies of a connection
)

// Server is an HTTP server with limits for each connection, and for all of them together.
type Server struct {
	http.Server
	connections *connections
}

// NewServer returns a server for the handler with at most maxConnections open connections.
func NewServer(handler http.Handler, logger *slog.Logger, maxConnections int) *Server {
	rare := newRareLog(logger)
	open := newConnections(maxConnections, func() {
		rare.log(slog.LevelWarn, "crowd", "too many connections are open: closed the one whose client was "+
			"silent for longest; if these are not attacks, allow more with SHERPA_MAX_CONNECTIONS")
	})
	return newServer(handler, rare, open)
}

func newServer(handler http.Handler, rare *rareLog, open *connections) *Server {
	return &Server{connections: open, Server: http.Server{
		Handler: open.awaitBodies(handler),

		DisableGeneralOptionsHandler: true, // or OPTIONS * would go past the handler
		ReadHeaderTimeout:            readTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeaderBytes,
		ConnState:                    open.changed,
		ConnContext:                  withConnection,
		ErrorLog:                     rare.standard(),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerStream:     streamBuffer,
			MaxReceiveBufferPerConnection: connectionBuffer,
			WriteByteTimeout:              writeTimeout, // WriteTimeout ends streams, not their connection
		},
	}}
}

// ConnectionStats says how many connections are open, how many may be, and how many made room for others.
type ConnectionStats struct {
	Open, Limit int
	Displaced   int64
}

// ConnectionStats returns the numbers of this moment.
func (s *Server) ConnectionStats() ConnectionStats { return s.connections.stats() }

// Serve is that of net/http.
func (s *Server) Serve(l *net.TCPListener) error { return s.Server.Serve(s.connections.listen(l)) }

// ServeTLS is Serve over TLS 1.2 and newer (RFC 8996 forbids older ones), with HTTP/1.1 and HTTP/2. The
// configuration has the certificate, and may ask for it at each handshake. The table of connections is below
// TLS, so a client who is slow with the handshake counts as silent, and has readTimeout for it.
func (s *Server) ServeTLS(l *net.TCPListener, config *tls.Config) error {
	s.TLSConfig = config.Clone()
	s.TLSConfig.MinVersion = tls.VersionTLS12
	return s.Server.ServeTLS(s.connections.listen(l), "", "")
}
