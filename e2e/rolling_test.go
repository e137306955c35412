//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sherpa/internal/pgtest"
)

// TestRollingRestart restarts two replicas behind HAProxy, with the file that operators run, one after the other and
// twice around. No request may fail.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	skipWithout(t, "haproxy")
	database := pgtest.Database(t)
	delay := "SHERPA_SHUTDOWN_DELAY=3s" // as in compose.yaml
	a, b := startReplica(t, database, quiet, delay), startReplica(t, database, quiet, delay)
	proxy := startProxy(t, a, b)
	clients := newCrowd(t, &proxy.process)
	clients.steady = true
	var clientNumber atomic.Int32
	clients.add(4, func() http.RoundTripper { return &wire{from: clientNumber.Add(1), keep: true} })
	clients.add(4, func() http.RoundTripper { return &wire{from: clientNumber.Add(1)} })

	for range 2 {
		for name, p := range map[string]*process{"a": a, "b": b} {
			clients.work(100)
			start := time.Now()
			if err := p.stop(); err != nil {
				t.Fatalf("the end of replica %s: %v", name, err)
			}
			stopped := time.Since(start)
			p.start()
			proxy.await(t, name)
			t.Logf("replica %s stopped in %v, and was back after %v", name, stopped.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
		}
	}
	clients.work(100)
	clients.check(&proxy.process, database)
	t.Logf("%d requests, each answered as it should be: %v", clients.count(-1), !t.Failed())
}

// wire sends each request exactly once: the transport of net/http sends some again by itself.
type wire struct {
	from int32 // which address of this machine, for HAProxy tells the replicas, and they count logins by it
	keep bool  // the connection, for the next request

	conn   net.Conn
	reader *bufio.Reader
}

// RoundTrip reads the whole answer.
func (w *wire) RoundTrip(request *http.Request) (*http.Response, error) {
	if w.conn == nil {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(w.from))}}
		conn, err := dialer.DialContext(request.Context(), "tcp", request.URL.Host)
		if err != nil {
			return nil, err
		}
		w.conn, w.reader = conn, bufio.NewReader(conn)
	}
	request.Close = !w.keep
	response, err := w.exchange(request)
	if err != nil || response.Close || request.Close {
		err = errors.Join(err, w.conn.Close())
		w.conn = nil
	}
	return response, err
}

func (w *wire) exchange(request *http.Request) (*http.Response, error) {
	if deadline, ok := request.Context().Deadline(); ok {
		if err := w.conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	if err := request.Write(w.conn); err != nil {
		return nil, err
	}
	response, err := http.ReadResponse(w.reader, request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(text))
	return response, err
}

// haproxy is a running HAProxy; its address takes requests.
type haproxy struct {
	process
	control string // a socket that takes commands
}

func startProxy(t *testing.T, a, b *process) *haproxy {
	t.Helper()
	dir := t.TempDir()
	p := &haproxy{process: process{t: t, address: steadyAddress(t), dir: dir}, control: filepath.Join(dir, "control")}
	more := filepath.Join(dir, "control.cfg")
	if err := os.WriteFile(more, []byte("global\n\tstats socket "+p.control+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.command = exec.CommandContext(t.Context(), "haproxy", "-db", "-f", "../deploy/haproxy.cfg", "-f", more)
	p.command.Env = append(os.Environ(), "PROXY_BIND="+p.address, "REPLICA_A="+a.address, "REPLICA_B="+b.address)
	p.command.Stdout, p.command.Stderr = &p.log, &p.log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.command.Process.Signal(syscall.SIGTERM)
		_ = p.command.Wait()
		if t.Failed() {
			t.Logf("log of HAProxy:\n%s", p.log.String())
		}
	})
	p.await(t, "a")
	p.await(t, "b")
	return p
}

// await waits until the proxy sends requests to a replica.
func (p *haproxy) await(t *testing.T, replica string) {
	t.Helper()
	var state string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if state = p.state(replica); state == "UP" {
			return
		}
		time.Sleep(10 * time.Millisecond) // it looks at the replicas meanwhile
	}
	t.Fatalf("the proxy does not use replica %s, which is %q", replica, state)
}

// state is what the proxy thinks of a replica: "UP", "DOWN", or "" when it does not answer.
func (p *haproxy) state(replica string) string {
	conn, err := net.Dial("unix", p.control)
	if err != nil {
		return ""
	}
	defer conn.Close()
	fmt.Fprintln(conn, "show stat")
	for scanner := bufio.NewScanner(conn); scanner.Scan(); {
		const status = 17
		if fields := strings.Split(scanner.Text(), ","); len(fields) > status && fields[0] == "ready" && fields[1] == replica {
			return fields[status]
		}
	}
	return ""
}
