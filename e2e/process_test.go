package e2e

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"sherpa/command"
	"sherpa/internal/pgtest"
	"sherpa/internal/testlog"
)

const (
	testKey = "kQ7fW2mZx9Lr4TbV8nYc1JdH6sGp3EuA" // that all replicas of these tests share

	// quiet leaves in the log what is worth reading when a test fails.
	quiet = "SHERPA_ACCESS_LOG=false"
)

// process is the program with a folder of its own, as another process.
type process struct {
	t       *testing.T
	address string
	dir     string
	env     []string          // more settings, which a test may change before a start
	client  http.RoundTripper // for TLS; nil stands for plain HTTP
	unset   string            // a variable of plainEnviron that it does not get
	before  string            // a command of the shell that starts the program, such as "ulimit -n 64"
	binary  string            // the program; "" stands for that of this tree
	command *exec.Cmd
	log     testlog.Buffer
	out     io.Writer // gets what the program writes to standard output; nil stands for log
}

// startProcess starts the program in a folder, with more settings such as "SHERPA_ACCESS_TTL=1m", and waits
// until it answers.
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

// startReplica starts the program on a PostgreSQL database.
func startReplica(t *testing.T, url string, env ...string) *process {
	t.Helper()
	p := newReplica(t, url, env...)
	p.start()
	return p
}

// newReplica is startReplica without the start.
func newReplica(t *testing.T, url string, env ...string) *process {
	t.Helper()
	env = append([]string{"SHERPA_DATABASE_URL=" + url, "SHERPA_SECRET_KEY=" + testKey}, env...)
	return newProcess(t, t.TempDir(), env...)
}

// startReplicas starts so many replicas on a new database.
func startReplicas(t *testing.T, count int, env ...string) (url string, all []*process) {
	t.Helper()
	url = pgtest.Database(t)
	for range count {
		all = append(all, startReplica(t, url, env...))
	}
	return url, all
}

// portsAsked is how many ports were tried, so that two tests of this process never get the same one.
var portsAsked atomic.Int64

// steadyAddress is below the ports that systems give to clients: no client may take it while the process that
// belongs there is stopped.
func steadyAddress(t *testing.T) string {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func freeAddress() (address string, err error) {
	first := 10000 + 200*int64(os.Getpid()%50) // other processes of tests begin elsewhere
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", first+portsAsked.Add(1))); err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}

// program is a command line of the program with the settings of the process.
func (p *process) program(ctx context.Context, args ...string) *exec.Cmd {
	binary := cmp.Or(p.binary, os.Args[0])
	c := exec.CommandContext(ctx, binary, args...)
	if p.before != "" {
		script := p.before + ` && exec "$0" "$@"`
		c = exec.CommandContext(ctx, "sh", append([]string{"-c", script, binary}, args...)...)
	}
	c.Dir = p.dir
	c.Env = append(plainEnviron(), asProgram+"=1", "SHERPA_LISTEN="+p.address)
	c.Env = append(append(c.Env, "SHERPA_TRUSTED_PROXIES=127.0.0.1"), p.env...)
	c.Env = slices.DeleteFunc(c.Env, func(entry string) bool { return entry == p.unset+"=" })
	return c
}

// plainEnviron is the environment without settings. The program refuses those of these tests, such as
// SHERPA_KILLS, because it does not know them. Without an operations address, many run side by side.
func plainEnviron() []string {
	plain := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		return strings.HasPrefix(entry, "SHERPA_")
	})
	return append(plain, "SHERPA_OPS_LISTEN=")
}

// sherpa runs a command of the program, as another process, and returns what it printed.
func (p *process) sherpa(t *testing.T, input string, args ...string) (stdout string) {
	t.Helper()
	var out, problems strings.Builder
	c := p.program(t.Context(), args...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(input), &out, &problems
	if err := c.Run(); err != nil || problems.String() != "" {
		t.Fatalf("sherpa %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), problems.String())
	}
	return out.String()
}

// silent is for a command in this process.
func silent() command.Streams {
	return command.Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}
}

func (p *process) start() {
	p.t.Helper()
	p.launch()
	waitUntilReadyFor(p.t, p.transport(), p.url())
}

// launch is start without the wait.
func (p *process) launch() {
	p.t.Helper()
	p.command = p.program(p.t.Context())
	p.command.Stdout, p.command.Stderr = &p.log, &p.log
	if p.out != nil {
		p.command.Stdout = p.out
	}
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// run starts another program, such as a proxy, which ends with the test.
func (p *process) run(name string, command *exec.Cmd) {
	p.t.Helper()
	p.command = command
	command.Stdout, command.Stderr = &p.log, &p.log
	if err := command.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		p.kill()
		if p.t.Failed() {
			p.t.Logf("log of %s:\n%s", name, p.log.String())
		}
	})
}

// kill is kill -9. It does nothing when the process has ended.
func (p *process) kill() {
	if p.command == nil || p.command.Process == nil {
		return
	}
	_ = p.command.Process.Kill()
	_ = p.command.Wait() // "signal: killed"
}

// stop sends SIGTERM and waits for the end.
func (p *process) stop() error {
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.command.Wait()
}

// url is where the process listens.
func (p *process) url() string {
	if p.client != nil {
		return "https://" + p.address
	}
	return "http://" + p.address
}

func (p *process) transport() http.RoundTripper {
	if p.client != nil {
		return p.client
	}
	return http.DefaultTransport
}

func waitUntilReady(t *testing.T, url string) {
	t.Helper()
	waitUntilReadyFor(t, http.DefaultTransport, url)
}

func waitUntilReadyFor(t *testing.T, transport http.RoundTripper, url string) {
	t.Helper()
	client := &http.Client{Transport: transport}
	for range 500 {
		response, err := client.Get(url + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			return
		}
		time.Sleep(10 * time.Millisecond) // it starts meanwhile
	}
	t.Fatal("the server never answered")
}

// eventually waits for what other processes do meanwhile.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s not yet: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// reply is an answer of the server.
type reply struct {
	status    int
	header    http.Header
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	Code      string `json:"code"`
	Reason    string `json:"reason"`
	Mountain  string `json:"mountain"`
	Username  string `json:"username"`
	SessionID string `json:"session_id"`
}

// unavailable reports whether the answer is the problem of a service that cannot answer at this moment.
func (r reply) unavailable() bool {
	return r.status == http.StatusServiceUnavailable && r.Code == "unavailable" &&
		r.header.Get("Retry-After") != "" && r.header.Get("Content-Type") == "application/problem+json"
}

var errNoAnswer = errors.New("no answer")

// want takes an answer, which must have the status.
func want(t *testing.T, status int) func(reply, error) reply {
	return func(r reply, err error) reply {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r.status != status {
			t.Fatalf("status %d (%s %s), want %d", r.status, r.Code, r.Reason, status)
		}
		return r
	}
}

// ask sends a request from an address of its own, so that no other request counts against it.
func (p *process) ask(method, path, body, token string) (reply, error) {
	return p.send(p.t.Context(), p.transport(), newAddress(), method, path, body, token)
}

func newAddress() string { return fmt.Sprintf("10.%d.%d.%d", rand.N(256), rand.N(256), rand.N(256)) }

func (p *process) send(
	ctx context.Context, transport http.RoundTripper, address, method, path, body, token string,
) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, p.url()+path, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Forwarded-For", address)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
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
	body := credentials(username, password)
	return p.send(p.t.Context(), p.transport(), address, "POST", "/auth", body, "")
}

func credentials(username, password string) string {
	return fmt.Sprintf(`{"username":%q,"password":%q}`, username, password)
}

func (p *process) refresh(token string) (reply, error) {
	return p.ask("POST", "/auth/refresh", refreshBody(token), "")
}

func refreshBody(token string) string { return `{"refresh_token":"` + token + `"}` }

func (p *process) logOut(access string) (reply, error) {
	return p.ask("POST", "/auth/logout", "", access)
}

func (p *process) mountain(access string) (reply, error) {
	return p.ask("GET", "/mountain/k2", "", access)
}

func (p *process) me(access string) (reply, error) { return p.ask("GET", "/auth/me", "", access) }

// claims are those of an access token that the tests look at.
type claims struct {
	SessionID string `json:"sid"`
	ExpiresAt int64  `json:"exp"`
}

func (c claims) expired() bool { return time.Now().Unix() >= c.ExpiresAt }

// readClaims reads an access token without a check.
func readClaims(access string) (c claims, err error) {
	_, rest, _ := strings.Cut(access, ".")
	payload, _, _ := strings.Cut(rest, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(text, &c)
	}
	return c, err
}

// expired reports whether the time of an access token is over.
func expired(access string) bool {
	c, err := readClaims(access)
	return err == nil && c.expired()
}

func sessionOf(t *testing.T, access string) string {
	t.Helper()
	c, err := readClaims(access)
	if err != nil || c.SessionID == "" {
		t.Fatalf("access token %q: %v", access, err)
	}
	return c.SessionID
}
