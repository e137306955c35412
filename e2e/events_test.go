package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
)

// TestEventsFollow: `sherpa events --follow` shows what a server does, as another process, until Ctrl-C.
func TestEventsFollow(t *testing.T) {
	t.Parallel()
	p := startProcess(t, t.TempDir())
	follow := p.program(t.Context(), "events", "--follow", "--json")
	follow.Stderr = os.Stderr
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = follow.Process.Kill() }()
	lines := bufio.NewScanner(out)
	next := func() (event struct{ Kind, Reason, Username string }) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the events end: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		return event
	}
	for next().Kind != "server_started" {
	}
	tests := []struct {
		name, body, want string
	}{
		{"login", `{"username":"sherpa","password":"everest"}`, "login  sherpa"},
		{"failed login", `{"username":"sherpa","password":"k2"}`, "login_failed wrong_password sherpa"},
	}
	for _, tt := range tests {
		if _, err := p.sendRaw(postBody("/auth", tt.body)); err != nil {
			t.Fatal(err)
		}
		if e := next(); strings.Join([]string{e.Kind, e.Reason, e.Username}, " ") != tt.want {
			t.Errorf("%s: %+v", tt.name, e)
		}
	}
	p.sherpa(t, "", "user", "disable", "sherpa")
	if first, second := next(), next(); first.Kind != "session_ended" || second.Kind != "user_disabled" {
		t.Errorf("%+v, %+v", first, second)
	}
	if err := follow.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := follow.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
}
