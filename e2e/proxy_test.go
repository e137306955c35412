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

// haproxy is a running HAProxy with the file that operators run; its address takes requests.
type haproxy struct {
	process
	control string // a socket that takes commands
}

func startProxy(t *testing.T, a, b *process) *haproxy {
	t.Helper()
	skipWithout(t, "haproxy")
	dir := t.TempDir()
	p := &haproxy{process: process{t: t, address: steadyAddress(t)}, control: filepath.Join(dir, "control")}
	more := filepath.Join(dir, "control.cfg")
	if err := os.WriteFile(more, []byte("global\n\tstats socket "+p.control+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "haproxy", "-db", "-f", "../deploy/haproxy.cfg", "-f", more)
	command.Env = append(os.Environ(),
		"PROXY_BIND="+p.address, "REPLICA_A="+a.address, "REPLICA_B="+b.address)
	p.run("HAProxy", command)
	p.await(t, "a", "UP")
	p.await(t, "b", "UP")
	return p
}

// await waits until the proxy finds that a replica is "UP", so that it gets requests, or "DOWN".
func (p *haproxy) await(t *testing.T, replica, state string) {
	t.Helper()
	var now string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		if now = p.state(replica); now == state {
			return
		}
		time.Sleep(10 * time.Millisecond) // it looks at the replicas meanwhile
	}
	t.Fatalf("replica %s is %q for the proxy, want %q", replica, now, state)
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
		fields := strings.Split(scanner.Text(), ",")
		if len(fields) > status && fields[0] == "ready" && fields[1] == replica {
			return fields[status]
		}
	}
	return ""
}

// TestRollingRestart restarts two replicas behind HAProxy, one after the other and twice around. No request
// may fail.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	delay := "SHERPA_SHUTDOWN_DELAY=" + composeSetting(t, "SHERPA_SHUTDOWN_DELAY")
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
			if err := p.stopUnused(t, proxy, name); err != nil {
				t.Fatalf("the end of replica %s: %v", name, err)
			}
			stopped := time.Since(start)
			p.start()
			proxy.await(t, name, "UP")
			t.Logf("replica %s stopped in %v, and was back after %v",
				name, stopped.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
		}
	}
	clients.work(100)
	clients.check(&proxy.process, database)
	t.Logf("%d requests, each with the right answer: %v", clients.requests(), !t.Failed())
}

// stopUnused stops a replica, which must serve until the proxy sends it no more requests.
func (p *process) stopUnused(t *testing.T, proxy *haproxy, name string) error {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	proxy.await(t, name, "DOWN")
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		return fmt.Errorf("it no longer serves, and the proxy only now knows: %w", err)
	}
	return errors.Join(conn.Close(), p.command.Wait())
}

// wire sends each request exactly once: the transport of net/http sends some again by itself.
type wire struct {
	from int32 // an address of this machine: HAProxy tells it to the replicas, and they count logins by it
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

// TestProxy takes from two replicas behind HAProxy first one replica, then the database, then both replicas.
func TestProxy(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	operator := pgtest.Connect(t, server.URL())
	a := startReplica(t, server.URL()+"&application_name=a")
	b := startReplica(t, server.URL()+"&application_name=b")
	proxy := startProxy(t, a, b)
	session := want(t, 200)(proxy.login())
	served := func(t *testing.T, requests int) {
		t.Helper()
		for range requests {
			want(t, 200)(proxy.mountain(session.Access))
		}
	}
	t.Run("addresses", func(t *testing.T) {
		ask := func(forged string) {
			transport := &wire{from: 99}
			want(t, 200)(proxy.send(t.Context(), transport, forged, "GET", "/mountain/x", "", session.Access))
		}
		for range 8 {
			ask("203.0.113.7")
		}
		for _, p := range []*process{a, b} {
			eventually(t, "the replica logs requests from the client's address", func() bool {
				return strings.Count(p.log.String(), "127.0.1.99") >= 2
			})
			if strings.Contains(p.log.String(), "203.0.113.7") {
				t.Error("a client can forge its address")
			}
		}
	})
	t.Run("a replica killed", func(t *testing.T) {
		a.kill()
		served(t, 40)
		eventually(t, "the dead replica's connections are gone", func() bool {
			return backends(t, operator, "application_name = 'a'") == 0
		})
		a.start()
		proxy.await(t, "a", "UP")
	})
	t.Run("no database", func(t *testing.T) {
		const polled = "state = 'idle' AND query LIKE '%revocations%' AND application_name = "
		await(t, operator, polled+"'a'") // a replica uses its cache only after it has read the feed
		await(t, operator, polled+"'b'")
		served(t, 4) // both replicas have the session in their caches
		server.Stop(t)
		proxy.await(t, "a", "DOWN")
		proxy.await(t, "b", "DOWN")
		served(t, 4)
		if r := want(t, 503)(proxy.login()); !r.unavailable() {
			t.Errorf("a login: %+v", r)
		}
		server.Resume(t)
		proxy.await(t, "a", "UP")
		proxy.await(t, "b", "UP")
		want(t, 200)(proxy.login())
	})
	t.Run("no replica", func(t *testing.T) {
		for _, p := range []*process{a, b} {
			if err := p.stop(); err != nil {
				t.Error(err)
			}
		}
		if r := want(t, 503)(proxy.mountain(session.Access)); !r.unavailable() {
			t.Errorf("the proxy's own answer: %+v", r)
		}
	})
	if err := proxy.command.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if err := proxy.command.Wait(); err != nil {
		t.Errorf("the proxy's end: %v", err)
	}
}
