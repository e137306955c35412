package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"sherpa/internal/testlog"
)

// process is the program on a folder of its own, as another process.
type process struct {
	t       *testing.T
	address string
	dir     string
	env     []string // more settings, which may be changed before a start
	command *exec.Cmd
	log     testlog.Buffer
}

// startProcess starts the program in a folder, with more settings such as "SHERPA_ACCESS_TTL=1m", and waits until it
// answers.
func startProcess(t *testing.T, dir string, env ...string) *process {
	t.Helper()
	p := newProcess(t, dir, env...)
	p.start()
	return p
}

// newProcess is startProcess without the start.
func newProcess(t *testing.T, dir string, env ...string) *process {
	t.Helper()
	p := &process{t: t, address: steadyAddress(t), dir: dir, env: env}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", p.address, p.log.String())
		}
	})
	return p
}

// steadyAddress is below the ports that systems hand out to clients: none of them may take it while the process that
// belongs there is away.
func steadyAddress(t *testing.T) string {
	t.Helper()
	var err error
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 10000+rand.N(10000))); err == nil {
			_ = l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal(err)
	return ""
}

// startReplica starts the program on a PostgreSQL database, with the keys that all replicas of these tests share.
func startReplica(t *testing.T, url string, env ...string) *process {
	t.Helper()
	p := newReplica(t, url, env...)
	p.start()
	return p
}

// newReplica is startReplica without the start.
func newReplica(t *testing.T, url string, env ...string) *process {
	t.Helper()
	return newProcess(t, t.TempDir(), append([]string{"SHERPA_DATABASE_URL=" + url, "SHERPA_SECRET_KEY=" + testKey}, env...)...)
}

const testKey = "kQ7fW2mZx9Lr4TbV8nYc1JdH6sGp3EuA"

// program is a command line of the program with the settings of the process.
func (p *process) program(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Dir = p.dir
	c.Env = append(os.Environ(), asProgram+"=1", "SHERPA_LISTEN="+p.address, "SHERPA_TRUSTED_PROXIES=127.0.0.1")
	c.Env = append(c.Env, p.env...)
	return c
}

func (p *process) start() {
	p.t.Helper()
	p.launch()
	waitUntilReady(p.t, "http://"+p.address)
}

// launch is start without waiting.
func (p *process) launch() {
	p.t.Helper()
	p.command = p.program(p.t.Context())
	p.command.Stdout, p.command.Stderr = &p.log, &p.log
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill is kill -9; the process may be dead already.
func (p *process) kill() {
	if p.command == nil || p.command.Process == nil {
		return
	}
	_ = p.command.Process.Kill()
	_ = p.command.Wait() // "signal: killed"
}

// stop is SIGTERM, and waits for the end.
func (p *process) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.command.Wait()
}

// reply is what came back.
type reply struct {
	status    int
	header    http.Header
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	Code      string `json:"code"`
	Reason    string `json:"reason"`
	Username  string `json:"username"`
	SessionID string `json:"session_id"`
}

var errNoAnswer = errors.New("no answer")

// ask sends a request from an address of its own, so that nobody is throttled.
func (p *process) ask(method, path, body, token string) (reply, error) {
	return p.send(p.t.Context(), http.DefaultTransport, newAddress(), method, path, body, token)
}

func newAddress() string { return fmt.Sprintf("10.%d.%d.%d", rand.N(256), rand.N(256), rand.N(256)) }

func (p *process) send(ctx context.Context, transport http.RoundTripper, address, method, path, body, token string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.address+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", address)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return receive(transport, request)
}

// receive sends the request and reads the answer.
func receive(transport http.RoundTripper, request *http.Request) (reply, error) {
	response, err := transport.RoundTrip(request)
	if err != nil {
		return reply{}, errors.Join(errNoAnswer, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return reply{}, errors.Join(errNoAnswer, err)
	}
	r := reply{status: response.StatusCode, header: response.Header}
	if len(text) > 0 {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

func (p *process) login() (reply, error) { return p.loginAs("sherpa", "everest") }

// loginAs logs in from a new address.
func (p *process) loginAs(username, password string) (reply, error) {
	return p.loginFrom(newAddress(), username, password)
}

func (p *process) loginFrom(address, username, password string) (reply, error) {
	return p.send(p.t.Context(), http.DefaultTransport, address, "POST", "/auth", credentials(username, password), "")
}

func credentials(username, password string) string {
	return fmt.Sprintf(`{"username":%q,"password":%q}`, username, password)
}

func (p *process) refresh(token string) (reply, error) {
	return p.ask("POST", "/auth/refresh", refreshBody(token), "")
}

func refreshBody(token string) string { return `{"refresh_token":"` + token + `"}` }
