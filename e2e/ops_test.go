package e2e

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// opsGet asks the operations address.
func opsGet(t *testing.T, address, path string) (status int, body string) {
	t.Helper()
	response, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestOpsAddress(t *testing.T) {
	t.Parallel()
	address := steadyAddress(t)
	p := startProcess(t, t.TempDir(), quiet, "SHERPA_OPS_LISTEN="+address)
	for path, want := range map[string]string{
		"/metrics": "sherpa_build_info{", "/healthz": `"status":"ok"`, "/readyz": `"status":"ok"`,
	} {
		if status, body := opsGet(t, address, path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if r, err := p.ask("GET", "/metrics", "", ""); err != nil || r.status != 404 {
		t.Errorf("public: %d %v", r.status, err)
	}
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get("http://" + address + "/healthz"); err == nil {
		t.Error("the operations address outlives the process")
	}
}

// TestNoOpsAddress: an empty variable is one that was chosen, unlike those of other settings.
func TestNoOpsAddress(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir(), quiet, "SHERPA_OPS_LISTEN=")
	if log := p.log.String(); strings.Contains(log, "operations") || strings.Contains(log, "metrics") {
		t.Errorf("it listens, or misses something: %s", log)
	}
}

// TestOpsAddressIsTaken: nobody asked for the default one, so its loss must not stop a start; a chosen one
// must not be missing in silence.
func TestOpsAddressIsTaken(t *testing.T) {
	t.Parallel()
	t.Run("clients have the default one", func(t *testing.T) {
		p := newProcess(t, t.TempDir(), quiet)
		p.address, p.unset = "127.0.0.1:5001", "SHERPA_OPS_LISTEN"
		if !isFree(p.address) {
			t.Skip("another program has the port")
		}
		p.start()
		p.wantLog("there are no metrics")
		p.kill()
	})
	if holder, err := net.Listen("tcp", "127.0.0.1:5001"); err == nil { // else somebody else has it
		t.Cleanup(func() { _ = holder.Close() })
	}
	t.Run("the default one", func(t *testing.T) {
		t.Parallel()
		p := newProcess(t, t.TempDir(), quiet)
		p.unset = "SHERPA_OPS_LISTEN"
		p.start()
		p.wantLog("there are no metrics")
		p.wantLog("SHERPA_OPS_LISTEN")
	})
	t.Run("the default one, chosen", func(t *testing.T) {
		t.Parallel()
		refuses(t, "127.0.0.1:5001")
	})
	t.Run("another one", func(t *testing.T) {
		t.Parallel()
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		refuses(t, taken.Addr().String())
	})
}

func refuses(t *testing.T, address string) {
	t.Helper()
	p := newProcess(t, t.TempDir(), quiet, "SHERPA_OPS_LISTEN="+address)
	p.launch()
	if err := p.command.Wait(); err == nil {
		t.Error("the start succeeds")
	}
	p.wantLog("another program listens on " + address + "; choose another address with --ops-listen")
	if strings.Contains(p.log.String(), "DEMO") {
		t.Error("the start creates a user before it fails")
	}
}

func (p *process) wantLog(text string) {
	p.t.Helper()
	if log := p.log.String(); !strings.Contains(log, text) {
		p.t.Errorf("the log does not have %q: %s", text, log)
	}
}

func isFree(address string) bool {
	l, err := net.Listen("tcp", address)
	return err == nil && l.Close() == nil
}
