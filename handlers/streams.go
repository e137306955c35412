package handlers

import (
	"net"
	"net/http"
	"time"
)

// serveStream answers one request of HTTP/2, whose connection may carry others at the same time. Such a
// connection is busy while at least one request that has arrived as a whole is being answered. Otherwise a
// client could keep its place for ever with a body that never ends.
func (c *connections) serveStream(next http.Handler, w http.ResponseWriter, r *http.Request) {
	conn, ok := unwrap(r.Context().Value(keyConnection{}).(net.Conn))
	if !ok {
		next.ServeHTTP(w, r)
		return
	}
	s := &stream{connections: c, conn: conn}
	defer s.answered()
	if isWhole(r) {
		s.arrived()
	} else {
		c.count(conn, 0)
		r.Body = &body{r.Body, s.arrived}
	}
	next.ServeHTTP(w, r)
}

// isWhole reports whether the header ended the stream. net/http does not tell, but then it sets the length to
// 0 without a header that says so. A client that announces 0 bytes may still leave the stream open.
func isWhole(r *http.Request) bool {
	return r.ContentLength == 0 && len(r.Header["Content-Length"]) == 0
}

// stream is one request of HTTP/2.
type stream struct {
	*connections
	conn  *connection
	whole bool
}

func (s *stream) arrived() {
	if !s.whole {
		s.whole = true
		s.count(s.conn, 1)
	}
}

// answered gives the answer timeToSpeak: net/http writes it afterwards.
func (s *stream) answered() {
	if s.whole {
		s.count(s.conn, -1)
	}
}

// count adds to the requests that are being answered.
func (c *connections) count(conn *connection, more int) {
	c.mu.Lock()
	conn.streams += more
	busy := conn.streams > 0
	conn.busy.Store(busy)
	if more < 0 {
		conn.opened = time.Now()
	}
	if !busy && conn.place != nil {
		c.all.MoveToBack(conn.place)
	}
	c.mu.Unlock()
	if !busy {
		c.free()
	}
}
