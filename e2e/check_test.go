//go:build linux

package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sherpa/command/check"
	"sherpa/internal/pgtest"
	"sherpa/internal/testcert"
)

const (
	checkUser     = "ada"
	checkPassword = "eight thousand metres"
)

// startChecked starts the program with a user for the check. It believes no proxy unless env says so.
func startChecked(t *testing.T, env ...string) *process {
	t.Helper()
	p := startProcess(t, t.TempDir(), append([]string{"SHERPA_TRUSTED_PROXIES="}, env...)...)
	p.sherpa(t, checkPassword+"\n", "user", "add", checkUser)
	return p
}

// check is a command line of sherpa check.
func (p *process) check(t *testing.T, url string, more ...string) *exec.Cmd {
	t.Helper()
	args := append([]string{"check", url, "--username", checkUser, "--json"}, more...)
	c := p.program(t.Context(), args...)
	c.Stdin = strings.NewReader(checkPassword + "\n")
	return c
}

// wantRed runs the check of a URL that leads to the program. These rows must be red, separated by blanks, and
// no others. No session of the user may be left.
func (p *process) wantRed(t *testing.T, red, url string, more ...string) {
	t.Helper()
	var out, problems bytes.Buffer
	c := p.check(t, url, more...)
	c.Stdout, c.Stderr = &out, &problems
	err := c.Run()
	var report check.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s", err, problems.String())
	}
	var got []string
	wantStatus := 0
	for _, r := range report.Rows {
		if r.Outcome == check.Failed || r.Outcome == check.Warning {
			got = append(got, r.Name)
			t.Logf("%s: %s", r.Name, r.Seen)
		}
		if r.Outcome == check.Failed {
			wantStatus = 1
		}
	}
	if got := strings.Join(got, " "); got != red {
		t.Errorf("the red rows are %q, want %q", got, red)
	}
	if status := c.ProcessState.ExitCode(); status != wantStatus {
		t.Errorf("status %d (%v), want %d: %s", status, err, wantStatus, problems.String())
	}
	if left := strings.TrimSpace(p.sherpa(t, "", "session", "list", checkUser, "--json")); left != "[]" {
		t.Errorf("sessions are left: %s", left)
	}
	t.Logf("%d requests in %.2f s", report.Summary.Requests, report.Summary.Seconds)
}

func TestCheck(t *testing.T) {
	t.Parallel()
	p := startChecked(t, quiet)
	p.wantRed(t, "", "http://"+p.address)
}

// TestCheckCannotRun: what says nothing about the service has a status of its own.
func TestCheckCannotRun(t *testing.T) {
	t.Parallel()
	p := startChecked(t, quiet)
	url := "http://" + p.address
	ada := []string{"--username", checkUser}
	tests := []struct {
		name  string
		input string
		args  []string
		want  string
	}{
		{"no URL", "", ada, "expected \"<url>\""},
		{"no name", "", []string{url}, "missing flags: --username=NAME"},
		{"not a duration", "", append(ada, url, "--timeout", "soon"), "not a duration such as"},
		{"no password", "", append(ada, url), "must not be empty"},
		{"a wrong password", "a slip\n", append(ada, url), "401 invalid_credentials"},
		{"the demo user", "everest\n", []string{url, "--username", "sherpa"}, "everybody knows the password"},
		{"no TLS", "x\n", append(ada, "http://192.0.2.1"), "cross the network in clear"},
		{"nobody there", "x\n", append(ada, "http://127.0.0.1:1"), "no answer"},
		{"no certificates", "x\n", append(ada, url, "--ca-file", "none"), "read certificates"},
		{"not a URL", "x\n", append(ada, "sherpa.example"), "is not a URL such as"},
	}
	for _, tt := range tests {
		var out, problems bytes.Buffer
		c := p.program(t.Context(), append([]string{"check"}, tt.args...)...)
		c.Stdin, c.Stdout, c.Stderr = strings.NewReader(tt.input), &out, &problems
		_ = c.Run() // the status says it
		if status := c.ProcessState.ExitCode(); status != 2 || !strings.Contains(problems.String(), tt.want) {
			t.Errorf("%s: status %d, %s", tt.name, status, problems.String())
		}
		if out.Len() > 0 {
			t.Errorf("%s: printed %s", tt.name, out.String())
		}
	}
}

// TestCheckExpiredToken waits until a token has expired.
func TestCheckExpiredToken(t *testing.T) {
	t.Parallel()
	p := startChecked(t, quiet, "SHERPA_ACCESS_TTL=10s")
	p.wantRed(t, "", "http://"+p.address, "--wait")
}

// TestCheckInterrupted: Ctrl-C ends the sessions of the check, too.
func TestCheckInterrupted(t *testing.T) {
	t.Parallel()
	p := startChecked(t)
	c := p.check(t, "http://"+p.address, "--wait", "--timeout", "10m") // it waits for 5 minutes
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the check has come to the throttle", func() bool {
		return strings.Contains(p.log.String(), `"http.response.status_code":429`)
	})
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := c.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 2 {
		t.Errorf("%v, want status 2", err)
	}
	var report check.Report
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.Summary.Finished {
		t.Errorf("%v, %+v", err, report.Summary)
	}
	if left := strings.TrimSpace(p.sherpa(t, "", "session", "list", checkUser, "--json")); left != "[]" {
		t.Errorf("sessions are left: %s", left)
	}
}

// TestCheckBehindHAProxy: two replicas behind the file that operators run.
func TestCheckBehindHAProxy(t *testing.T) {
	t.Parallel()
	skipWithout(t, "haproxy")
	database := pgtest.Database(t)
	a, b := startReplica(t, database, quiet), startReplica(t, database, quiet)
	a.sherpa(t, checkPassword+"\n", "user", "add", checkUser)
	proxy := startProxy(t, a, b)
	a.wantRed(t, "", "http://"+proxy.address)
}

// replacement is a change of deploy/nginx.conf.
type replacement struct{ old, with string }

// TestCheckBehindNginx: deploy/nginx.conf loses nothing, and each usual mistake in it is seen.
func TestCheckBehindNginx(t *testing.T) {
	t.Parallel()
	skipWithout(t, "nginx")
	const passed = "proxy_pass http://sherpa;"
	tests := []struct {
		name    string
		changes []replacement
		red     string
	}{
		{name: "as shipped"},
		{
			name: "caches answers",
			red:  "cache-repeat cache-stranger cache-logout verify-refuses verify-logout",
			changes: []replacement{
				{"upstream sherpa {", "proxy_cache_path cache keys_zone=all:1m;\nupstream sherpa {"},
				{passed, passed + "proxy_cache all; proxy_cache_valid 200 1m; " +
					"proxy_ignore_headers Cache-Control;"},
			},
		},
		{
			name: "passes X-Forwarded-For of anybody", red: "forwarded-for",
			changes: []replacement{{"X-Forwarded-For $remote_addr", "X-Forwarded-For $http_x_forwarded_for"}},
		},
		{
			name: "hides challenges", red: "administration-closed challenge-lines challenge-invalid-token",
			changes: []replacement{{passed, passed + "proxy_hide_header WWW-Authenticate;"}},
		},
		{
			name: "has pages of its own",
			red: "session-unknown not-found trailing-slash path-slash path-double-slash path-dots no-store " +
				"nosniff request-id-everywhere problems problem-ids",
			changes: []replacement{
				{passed, passed + "proxy_intercept_errors on; error_page 404 /404.html;"},
			},
		},
		{
			name: "rewrites paths", red: "path-double-slash path-dots",
			changes: []replacement{{passed, "proxy_pass http://sherpa/;"}},
		},
		{
			name: "tells its version", red: "versions-hidden",
			changes: []replacement{{"server_tokens off;", ""}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startChecked(t, quiet, "SHERPA_TRUSTED_PROXIES=127.0.0.1", "SHERPA_LOG_LEVEL=warn")
			url, ca := startNginx(t, p, tt.changes)
			p.wantRed(t, tt.red, url, "--ca-file", ca)
		})
	}
}

// TestNginxProblems: the errors that are the proxy's own are problem documents like the program's.
func TestNginxProblems(t *testing.T) {
	t.Parallel()
	skipWithout(t, "nginx")
	p := newProcess(t, t.TempDir()) // nothing listens there
	url, certificate := startNginx(t, p, nil)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
	transport.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(readFile(t, certificate)))
	t.Cleanup(transport.CloseIdleConnections)
	tests := []struct {
		name   string
		method string
		body   string
		tokens []string
		status int
		code   string
	}{
		{"no service", "POST", "", nil, 503, "unavailable"},
		{"a body of 200 kB", "POST", strings.Repeat("a", 200_000), nil, 413, "content_too_large"},
		{"two tokens", "POST", "", []string{"Bearer a", "Bearer b"}, 400, "invalid_request"},
		{"a header of 20 kB", "POST", "", []string{strings.Repeat("a", 20_000)}, 400, "invalid_request"},
		{"no method of HTTP", "post", "", nil, 400, "invalid_request"},
	}
	for _, tt := range tests {
		body := strings.NewReader(tt.body)
		request, err := http.NewRequestWithContext(t.Context(), tt.method, url+"/auth", body)
		if err != nil {
			t.Fatal(err)
		}
		request.Header["Authorization"] = tt.tokens
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		var problem struct {
			Type, Title, Detail, Code string
			Status                    int
			RequestID                 string `json:"request_id"`
		}
		err = json.NewDecoder(response.Body).Decode(&problem)
		_ = response.Body.Close()
		header := response.Header
		complete := problem.Title != "" && problem.Detail != "" && problem.Type == "/problems/"+tt.code &&
			problem.RequestID != "" && problem.RequestID == header.Get("X-Request-Id") &&
			header.Get("Content-Type") == "application/problem+json" &&
			header.Get("Cache-Control") == "no-store" && header.Get("X-Content-Type-Options") == "nosniff"
		if err != nil || !complete || response.StatusCode != tt.status || problem.Status != tt.status ||
			problem.Code != tt.code || (tt.status == 503) != (header.Get("Retry-After") != "") {
			t.Errorf("%s: %v, %d %v %+v", tt.name, err, response.StatusCode, header, problem)
		}
	}
}

// startNginx starts nginx with deploy/nginx.conf in front of the program. It returns the URL, and the file
// with the certificate.
func startNginx(t *testing.T, p *process, changes []replacement) (url, certificate string) {
	t.Helper()
	n := &process{t: t, address: steadyAddress(t)}
	return "https://" + n.address, n.runNginx("../deploy/nginx.conf", append(changes,
		replacement{"server 127.0.0.1:5000;", "server " + p.address + ";"},
		replacement{"/etc/ssl/certs/sherpa.pem", "certificate.pem"},
		replacement{"/etc/ssl/private/sherpa.key", "key.pem"},
	))
}

// runNginx runs nginx with a file for operators, which must have what is replaced once. It returns the file
// with the certificate.
func (p *process) runNginx(file string, changes []replacement) (certificate string) {
	p.t.Helper()
	dir := p.t.TempDir()
	certificate = filepath.Join(dir, "certificate.pem")
	testcert.New(p.t, time.Now().AddDate(0, 3, 0)).Write(p.t, certificate, filepath.Join(dir, "key.pem"))
	config := readFile(p.t, file)
	for _, change := range append(changes, replacement{"listen 443 ssl;", "listen " + p.address + " ssl;"}) {
		if strings.Count(config, change.old) != 1 {
			p.t.Fatalf("%s must have %q once", file, change.old)
		}
		config = strings.Replace(config, change.old, change.with, 1)
	}
	// One process, with all its files in a folder of the test: whoever runs the test can run it.
	frame := "daemon off; master_process off; pid nginx.pid; error_log stderr warn;\n" +
		"events { worker_connections 256; }\nhttp { access_log off; client_body_temp_path body; " +
		"proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n" +
		config + "}\n"
	written := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(written, []byte(frame), 0o600); err != nil {
		p.t.Fatal(err)
	}
	p.run("nginx", exec.CommandContext(p.t.Context(), "nginx", "-p", dir, "-c", written, "-e", "stderr"))
	p.listens()
	return certificate
}

// listens waits until something takes connections at the address.
func (p *process) listens() {
	p.t.Helper()
	eventually(p.t, p.address+" listens", func() bool {
		conn, err := net.Dial("tcp", p.address)
		return err == nil && conn.Close() == nil
	})
}
