package handlers

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadline follows one deadline by the clock of the bubble: set says which ones reach the connection.
func TestDeadline(t *testing.T) {
	t.Parallel()
	const none, past = time.Duration(0), -time.Hour
	type step struct {
		name  string
		after time.Duration // since the step before
		want  time.Duration // what net/http asks for, from now
		set   bool
	}
	steps := []step{
		{"the first one", 0, 8 * time.Second, true},
		{"a later one", 0, 30 * time.Second, false},
		{"none", time.Second, none, false},
		{"as far as the first one", time.Second, 6 * time.Second, false},
		{"a sooner one", 0, time.Second, true},
		{"one in the past", 0, past, true},
		{"none again", 0, none, false},
	}
	synctest.Test(t, func(t *testing.T) {
		var set int
		d := deadline{set: func(time.Time) error { set++; return nil }}
		for _, s := range steps {
			time.Sleep(s.after)
			before, at := set, time.Time{}
			if s.want != none {
				at = time.Now().Add(s.want)
			}
			if err := d.want(at); err != nil {
				t.Fatal(err)
			}
			if got := set > before; got != s.set {
				t.Errorf("%s: set is %v, want %v", s.name, got, s.set)
			}
		}
	})
}

// TestDeadlineMoved says what happens when the deadline that is set passes.
func TestDeadlineMoved(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		wanted time.Duration // from now; 0 for none
		err    error
		next   time.Duration // that is set, from now; 0 when the error stays
	}{
		{"it is wanted now", -time.Nanosecond, os.ErrDeadlineExceeded, 0},
		{"a later one is wanted", 2 * time.Second, os.ErrDeadlineExceeded, 2 * time.Second},
		{"a much later one is wanted", time.Minute, os.ErrDeadlineExceeded, maxArmed},
		{"none is wanted", 0, os.ErrDeadlineExceeded, maxArmed},
		{"another error", time.Minute, io.ErrUnexpectedEOF, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var next time.Duration
				d := deadline{set: func(at time.Time) error { next = time.Until(at); return nil }}
				d.armed = time.Now().Add(-time.Hour)
				if tt.wanted != 0 {
					d.wanted = time.Now().Add(tt.wanted)
				}
				if moved := d.moved(tt.err); moved != (tt.next != 0) || next != tt.next {
					t.Errorf("moved is %v and %v ahead, want %v", moved, next, tt.next)
				}
			})
		})
	}
}

// TestLazyConn keeps the promises of net.Conn on real sockets.
func TestLazyConn(t *testing.T) {
	t.Parallel()
	t.Run("a read ends at its deadline", func(t *testing.T) {
		t.Parallel()
		conn, _ := tcpPair(t)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_ = conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("a read goes on when its deadline was moved", func(t *testing.T) {
		t.Parallel()
		conn, peer := tcpPair(t)
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		_ = conn.SetReadDeadline(time.Time{})
		time.AfterFunc(50*time.Millisecond, func() { _, _ = peer.Write([]byte("x")) })
		if n, err := conn.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
	t.Run("a deadline in the past ends a read that goes on", func(t *testing.T) {
		t.Parallel()
		conn, _ := tcpPair(t)
		time.AfterFunc(10*time.Millisecond, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("a write that was interrupted loses nothing", func(t *testing.T) {
		t.Parallel()
		conn, peer := tcpPair(t)
		const size = 64 << 20 // more than the buffers of both sides
		_ = conn.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_ = conn.SetWriteDeadline(time.Now().Add(time.Minute))
		time.AfterFunc(50*time.Millisecond, func() { _, _ = io.Copy(io.Discard, peer) })
		if n, err := conn.Write(make([]byte, size)); n != size || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}

// tcpPair returns both ends of a connection.
func tcpPair(t *testing.T) (*lazyConn, net.Conn) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	peer, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = conn.Close(), peer.Close() })
	return newLazyConn(conn), peer
}
