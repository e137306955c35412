package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	// longestCut is more than the 8 s that a request may take to arrive, for a busy machine.
	longestCut = 30 * time.Second

	slowRequest = "slow client"
	idleRequest = "GET /healthz" // on a connection that is idle in between
)

// addStrangers starts clients that send garbage, send slowly, keep connections idle, or hang up.
func (c *crowd) addStrangers(p *process) {
	for i := range 2 {
		c.wg.Go(func() { c.sendGarbage(p, i) })
		c.repeat(func() { c.sendSlowly(p, "GET /healthz HTTP/1.1\r\nX: ", 0) })
		c.repeat(func() {
			c.sendSlowly(p, post("/auth", "Content-Length: 100")+"{", http.StatusRequestTimeout)
		})
		c.repeat(func() { c.idle(p) })
	}
	c.repeat(func() {
		time.Sleep(rand.N(2 * c.pace))
		c.hangUp(p)
	})
}

// repeat does something again and again, until the clients end.
func (c *crowd) repeat(do func()) {
	c.wg.Go(func() {
		for !c.ending() && !c.t.Failed() {
			do()
		}
	})
}

// sendSlowly sends the beginning of a request and then a byte each second, until the server has had enough.
// Its last word is the problem request_timeout with this status; 0 stands for no word.
func (c *crowd) sendSlowly(p *process, beginning string, status int) {
	start := time.Now()
	got, err := p.trickle(beginning)
	took := time.Since(start)
	var last rawAnswer
	if err == nil && len(got) > 0 {
		if last, err = readAnswer(bufio.NewReader(bytes.NewReader(got))); err == nil {
			err = (refusal{status: status, code: "request_timeout"}).check(last)
		}
	}
	c.note(p, slowRequest, reply{status: last.status, header: last.header}, err, took)
	if last.status != status {
		c.t.Errorf("a slow client got %q after %v, want the status %d", got, took, status)
	}
}

// trickle returns what the server has sent when it has closed the connection.
func (p *process) trickle(beginning string) (got []byte, err error) {
	conn, err := p.dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err = io.WriteString(conn, beginning); err != nil {
		return nil, err
	}
	part := make([]byte, 4096)
	for end := time.Now().Add(longestCut); time.Now().Before(end); {
		_ = conn.SetReadDeadline(time.Now().Add(time.Second))
		n, err := conn.Read(part)
		got = append(got, part[:n]...)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			_, err = conn.Write([]byte("a"))
		}
		if err != nil {
			return got, nil // closed
		}
	}
	return got, fmt.Errorf("the connection is open after %v", longestCut)
}

// idle asks now and then, always on the same connection.
func (c *crowd) idle(p *process) {
	conn, err := p.dial()
	if err != nil {
		c.t.Errorf("idle client: %v", err)
		return
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	for range 10 {
		start := time.Now()
		_ = conn.SetDeadline(start.Add(longestCut))
		_, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		if err != nil {
			c.t.Errorf("idle client: %v", err)
			return
		}
		a, err := readAnswer(answers)
		c.note(p, idleRequest, reply{status: a.status, header: a.header}, err, time.Since(start))
		if err != nil || a.status != http.StatusOK {
			c.t.Errorf("an idle client got %d %s, %v", a.status, a.body, err)
			return
		}
		if c.wait(rand.N(5 * time.Second)) {
			return
		}
	}
}

// wait waits, and reports whether the clients shall end.
func (c *crowd) wait(long time.Duration) bool {
	select {
	case <-c.over:
		return true
	case <-time.After(long):
		return false
	}
}

// hangUp sends a request, or half of it, and closes the connection.
func (c *crowd) hangUp(p *process) {
	request := get("/mountain/x", bearer(c.draw(noAccess)))
	if rand.N(2) == 0 {
		request = postBody("/auth/refresh", refreshBody(strings.Repeat("a", 1000)))
	}
	if rand.N(2) == 0 {
		request = request[:rand.N(len(request))]
	}
	if err := p.abandon(request, rand.N(5*time.Millisecond)); err != nil {
		c.t.Errorf("hang up: %v", err)
	}
}

// abandon sends bytes and closes the connection after a while, every second time with a reset.
func (p *process) abandon(request string, after time.Duration) error {
	conn, err := p.dial()
	if err != nil {
		return err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && rand.N(2) == 0 {
		_ = tcp.SetLinger(0)
	}
	if _, err := io.WriteString(conn, request); err != nil && !errors.Is(err, syscall.EPIPE) {
		return errors.Join(err, conn.Close())
	}
	time.Sleep(after) // the server works meanwhile
	return conn.Close()
}
