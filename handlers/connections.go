package handlers

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// connections bounds how many connections are open, so that a crowd that says nothing locks nobody out. At
// the bound, the connection whose client has been silent for longest makes room for the next one. A
// connection whose whole request has arrived is never closed for this.
type connections struct {
	max    int
	report func() // is called for each connection that made room

	displaced atomic.Int64 // connections that made room

	mu    sync.Mutex
	all   list.List     // of *connection; among those that wait for their client, the most silent is first
	freed chan struct{} // has a value when a connection has closed, or waits for its client
}

func newConnections(limit int, report func()) *connections {
	return &connections{max: limit, report: report, freed: make(chan struct{}, 1)}
}

// timeToSpeak is how long a new connection is safe. Without it, clients who connect again and again would
// close one whose request is on its way.
const timeToSpeak = 20 * time.Millisecond

// connection is an open connection, and whether its client is the one to speak.
type connection struct {
	*net.TCPConn
	opened  time.Time     // or, with HTTP/2, when its latest answer was written
	place   *list.Element // nil when it is not in the table any more
	busy    atomic.Bool   // a whole request has arrived and is being answered
	streams int           // requests of HTTP/2 that have arrived as a whole and are being answered
}

// listener is the table's way in.
type listener struct {
	*net.TCPListener
	*connections
	closed  chan struct{}
	closing sync.Once
}

func (c *connections) listen(l *net.TCPListener) *listener {
	return &listener{TCPListener: l, connections: c, closed: make(chan struct{})}
}

// Accept makes room for the connection that it returns. When the process has no descriptor left, for whatever
// reason, it makes room as well, and net/http asks again.
func (l *listener) Accept() (net.Conn, error) {
	tcp, err := l.AcceptTCP()
	if err != nil {
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			l.closeMostSilent()
		}
		return nil, err
	}
	conn := &connection{TCPConn: tcp}
	for !l.add(conn) {
		if l.closeMostSilent() {
			continue
		}
		select {
		case <-l.freed:
		case <-time.After(timeToSpeak):
		case <-l.closed:
			return nil, errors.Join(net.ErrClosed, tcp.Close())
		}
	}
	conn.opened = time.Now() // here, not before: it had no time to speak while it waited for room
	return conn, nil
}

// Close also ends an Accept that waits for room.
func (l *listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return l.TCPListener.Close()
}

// add reports whether there was room.
func (c *connections) add(conn *connection) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all.Len() >= c.max {
		return false
	}
	conn.place = c.all.PushBack(conn)
	return true
}

// closeMostSilent reports whether there was a connection that waits for its client. It returns when the
// descriptor is free again.
func (c *connections) closeMostSilent() bool {
	conn := c.takeMostSilent()
	if conn == nil {
		return false
	}
	c.displaced.Add(1)
	_ = conn.Close() // net/http notices, and ends what it does for the connection
	c.report()
	return true
}

func (c *connections) takeMostSilent() *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.all.Front(); e != nil; e = e.Next() {
		conn := e.Value.(*connection)
		if conn.busy.Load() {
			continue
		}
		if time.Since(conn.opened) < timeToSpeak {
			return nil // those after it are as new, or have just spoken
		}
		c.remove(conn)
		return conn
	}
	return nil
}

// remove needs the lock.
func (c *connections) remove(conn *connection) {
	if conn.place != nil {
		c.all.Remove(conn.place)
		conn.place = nil
	}
}

// wait notes that the client is the one to speak.
func (c *connections) wait(conn *connection) {
	c.mu.Lock()
	if conn.place != nil {
		c.all.MoveToBack(conn.place)
	}
	conn.busy.Store(false)
	c.mu.Unlock()
	c.free()
}

func (c *connections) stats() ConnectionStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ConnectionStats{Open: c.all.Len(), Limit: c.max, Displaced: c.displaced.Load()}
}

func (c *connections) free() {
	select {
	case c.freed <- struct{}{}:
	default:
	}
}

// changed is net/http's ConnState. A connection is new until its first request has arrived, except for the
// body, then active until the answer is sent, and then idle. It is new as well during the handshake of TLS.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	ours, ok := unwrap(conn)
	if !ok {
		return
	}
	switch state {
	case http.StateActive:
		ours.busy.Store(true)
	case http.StateIdle:
		c.wait(ours)
	case http.StateClosed, http.StateHijacked:
		c.mu.Lock()
		c.remove(ours)
		c.mu.Unlock()
		c.free()
	case http.StateNew: // Accept has added it
	}
}

func unwrap(conn net.Conn) (*connection, bool) {
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn()
	}
	ours, ok := conn.(*connection)
	return ours, ok
}

// keyConnection is where the context of a request has its connection.
type keyConnection struct{}

func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, keyConnection{}, conn)
}

// awaitBodies notes that a request has not arrived as a whole while its body is on its way.
func (c *connections) awaitBodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			c.serveStream(next, w, r)
			return
		}
		if r.Body != http.NoBody {
			if conn, ok := unwrap(r.Context().Value(keyConnection{}).(net.Conn)); ok {
				c.wait(conn)
				r.Body = &body{r.Body, func() { conn.busy.Store(true) }}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// body is one that may still be on its way.
type body struct {
	io.ReadCloser
	arrived func()
}

// Read also notes when the whole request has arrived.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		b.arrived()
	}
	return n, err
}
