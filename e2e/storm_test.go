//go:build unix

package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestStorm lets 300 clients hold half-open connections to a server with 64 descriptors. Whoever speaks at
// once must be answered, and the log must tell. SHERPA_STORM=1s says within what time; without it there is
// enough for a machine that runs other tests meanwhile, but less than a lockout takes.
func TestStorm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		says  string
		again bool // connect again as soon as the server closes the connection
	}{
		{"that hold on", "", false},
		{"that come again, silent", "", true},
		{"that come again with half a request", "GET / HTTP/1.1\r\nHost", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { // one after the other: each is a load of its own
			p := newProcess(t, t.TempDir())
			p.before = "ulimit -n 64"
			p.start()
			const credentials = `{"username":"sherpa","password":"everest"}`
			login := want(t, http.StatusOK)(p.ask("POST", "/auth", credentials, ""))
			storm := startStorm(t, p.address, tt.says, tt.again)
			patience, slowest := patienceInStorm(t), time.Duration(0)
			for range 10 {
				slowest = max(slowest, p.askAtOnce(t, patience, "/healthz", ""))
				slowest = max(slowest, p.askAtOnce(t, patience, "/mountain/x", login.Access))
			}
			t.Logf("the slowest answer took %v; the crowd connected %d times", slowest, storm())
			if !strings.Contains(p.log.String(), "too many connections are open") {
				t.Error("the log says nothing")
			}
			if strings.Contains(p.log.String(), "too many open files") {
				t.Error("the process had no descriptor left")
			}
		})
	}
}

func patienceInStorm(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("SHERPA_STORM")
	if text == "" {
		return 20 * time.Second
	}
	patience, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return patience
}

// startStorm returns what ends the storm, and says how many connections there were.
func startStorm(t *testing.T, address, says string, again bool) (end func() int64) {
	t.Helper()
	const clients = 300
	ctx, cancel := context.WithCancel(t.Context())
	var all, connected sync.WaitGroup
	var count atomic.Int64
	for range clients {
		connected.Add(1)
		all.Go(func() {
			first := sync.OnceFunc(connected.Done)
			defer first()
			for ctx.Err() == nil {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
				if err != nil {
					continue
				}
				count.Add(1)
				first()
				stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
				_, _ = io.WriteString(conn, says)
				_, _ = io.Copy(io.Discard, conn) // until the server closes it
				stop()
				_ = conn.Close()
				if !again {
					return
				}
			}
		})
	}
	connected.Wait()
	end = sync.OnceValue(func() int64 { cancel(); all.Wait(); return count.Load() })
	t.Cleanup(func() { end() })
	return end
}

// askAtOnce sends a request over its own connection, and returns how long the answer took. Like a browser
// it tries again when its connection is cut.
func (p *process) askAtOnce(t *testing.T, patience time.Duration, path, token string) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true}
	sent := time.Now()
	r, err := p.send(ctx, transport, newAddress(), http.MethodGet, path, "", token)
	for err != nil && ctx.Err() == nil {
		r, err = p.send(ctx, transport, newAddress(), http.MethodGet, path, "", token)
	}
	if err != nil || r.status != http.StatusOK {
		t.Errorf("%s in the storm: status %d, %v", path, r.status, err)
	}
	return time.Since(sent)
}
