package handlers

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// maxArmed is how far ahead a deadline is set. net/http moves each deadline with each request, so one that is
// farther would soon be moved anyway.
const maxArmed = 5 * time.Second

// lazyConn is a connection whose deadlines cost less: it passes on only those that come sooner than the one
// that is set. When that one passes, it looks what is wanted meanwhile, and goes on until then. net/http sets
// six deadlines for a request; this sets two.
type lazyConn struct {
	net.Conn // not the TCP connection itself, whose ReadFrom would go past the deadlines here
	tcp      *net.TCPConn
	reading  deadline
	writing  deadline
}

func newLazyConn(tcp *net.TCPConn) *lazyConn {
	return &lazyConn{
		Conn: tcp, tcp: tcp,
		reading: deadline{set: tcp.SetReadDeadline}, writing: deadline{set: tcp.SetWriteDeadline},
	}
}

// CloseWrite is for net/http, which lets a client read the answer before it cuts the connection.
func (c *lazyConn) CloseWrite() error { return c.tcp.CloseWrite() }

// Read is that of net.Conn.
func (c *lazyConn) Read(p []byte) (int, error) {
	n, err := c.tcp.Read(p)
	for err != nil && c.reading.moved(err) {
		n, err = c.tcp.Read(p)
	}
	return n, err
}

// Write is that of net.Conn.
func (c *lazyConn) Write(p []byte) (int, error) {
	n, err := c.tcp.Write(p)
	for err != nil && c.writing.moved(err) {
		var more int
		more, err = c.tcp.Write(p[n:])
		n += more
	}
	return n, err
}

// SetReadDeadline is that of net.Conn.
func (c *lazyConn) SetReadDeadline(t time.Time) error { return c.reading.want(t) }

// SetWriteDeadline is that of net.Conn.
func (c *lazyConn) SetWriteDeadline(t time.Time) error { return c.writing.want(t) }

// SetDeadline is that of net.Conn.
func (c *lazyConn) SetDeadline(t time.Time) error {
	return errors.Join(c.reading.want(t), c.writing.want(t))
}

// deadline is one that may be wanted later than it is set.
type deadline struct {
	set    func(time.Time) error
	mu     sync.Mutex
	wanted time.Time // zero for none
	armed  time.Time // the one that is set, never later than wanted; zero for none
}

// want sets a deadline only if it is sooner than the one that is set: net/http sets one in the past to cut
// off a read that goes on meanwhile.
func (d *deadline) want(t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = t
	if t.IsZero() || !d.armed.IsZero() && !t.Before(d.armed) {
		return nil
	}
	return d.arm(t)
}

// moved reports whether err came from a deadline that was moved since, and sets the next one.
func (d *deadline) moved(err error) bool {
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	next := now.Add(maxArmed)
	if !d.wanted.IsZero() && d.wanted.Before(next) {
		next = d.wanted
	}
	return next.After(now) && d.arm(next) == nil
}

// arm needs the lock.
func (d *deadline) arm(t time.Time) error {
	d.armed = t
	return d.set(t)
}
