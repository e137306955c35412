package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sherpa/command"
	"sherpa/internal/pgtest"
)

// asProgram makes the test binary be the program: for a test that needs its process id.
const asProgram = "SHERPA_TEST_AS_PROGRAM"

// main is the program.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command.Run(ctx, os.Args[1:], os.LookupEnv, command.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, "sherpa:", err)
		os.Exit(1)
	}
}

func silent() command.Streams {
	return command.Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}
}

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	testscript.Main(sharedServer{m}, map[string]func(){"sherpa": main})
}

// sharedServer stops the PostgreSQL server that the tests have shared.
type sharedServer struct{ m *testing.M }

func (s sharedServer) Run() int { return pgtest.Main(s.m) }

// TestScripts runs the program as its users do; each file of testdata/script is one story.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			address, err := freeAddress()
			env.Setenv("ADDR", address)
			env.Setenv("PORT", address[strings.LastIndex(address, ":")+1:])
			return err
		},
		Cmds:      map[string]func(*testscript.TestScript, bool, []string){"http": scriptHTTP, "soon": scriptSoon, "mode": scriptMode},
		Condition: func(name string) (bool, error) { return name == "root" && os.Geteuid() == 0, nil },
	})
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// scriptSoon is scriptHTTP for what takes effect within a second.
func scriptSoon(ts *testscript.TestScript, _ bool, args []string) {
	deadline := time.Now().Add(time.Second)
	for {
		status, text := exchange(ts, args)
		if status == args[0] {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("status %s after a second, want %s: %s", status, args[0], text)
		}
		time.Sleep(10 * time.Millisecond) // another process changes the answer meanwhile
	}
}

// scriptHTTP is "http STATUS METHOD URL [BODY]". It waits until something listens, and prints the answer; $TOKEN is
// sent when set.
func scriptHTTP(ts *testscript.TestScript, _ bool, args []string) {
	if status, text := exchange(ts, args); status != args[0] {
		ts.Fatalf("status %s, want %s: %s", status, args[0], text)
	}
}

// exchange returns the status and the body of the answer.
func exchange(ts *testscript.TestScript, args []string) (status, answer string) {
	if len(args) < 3 {
		ts.Fatalf("usage: http STATUS METHOD URL [BODY]")
	}
	body := ""
	if len(args) > 3 {
		body = args[3]
	}
	request, err := http.NewRequest(args[1], args[2], strings.NewReader(body))
	ts.Check(err)
	request.Header.Set("Content-Type", "application/json")
	if token := ts.Getenv("TOKEN"); token != "" {
		request.Header.Set("Authorization", "JWT "+token)
	}
	response := sendWhenReady(ts, request)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	ts.Check(err)
	for variable, member := range map[string]string{"TOKEN": "access_token", "REFRESH": "refresh_token"} {
		if _, rest, ok := strings.Cut(string(text), `"`+member+`":"`); ok {
			token, _, _ := strings.Cut(rest, `"`)
			ts.Setenv(variable, token)
		}
	}
	_, err = ts.Stdout().Write(text)
	ts.Check(err)
	return strconv.Itoa(response.StatusCode), string(text)
}

func sendWhenReady(ts *testscript.TestScript, request *http.Request) *http.Response {
	var err error
	for range 500 {
		var response *http.Response
		request.Body, _ = request.GetBody()
		if response, err = http.DefaultTransport.RoundTrip(request); err == nil {
			return response
		}
		time.Sleep(10 * time.Millisecond) // another process starts meanwhile
	}
	ts.Fatalf("no answer: %v", err)
	return nil
}

// scriptMode is "mode OCTAL FILE".
func scriptMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

func TestSIGTERM(t *testing.T) {
	t.Parallel()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	program := exec.CommandContext(t.Context(), os.Args[0])
	program.Dir = t.TempDir()
	program.Env = append(os.Environ(), asProgram+"=1", "SHERPA_LISTEN="+address)
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	waitUntilReady(t, "http://"+address)
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := program.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// slowReader holds a request body back until it is released.
type slowReader struct{ release chan struct{} }

func (r slowReader) Read([]byte) (int, error) {
	<-r.release
	return 0, io.EOF
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	env := map[string]string{"SHERPA_LISTEN": address, "SHERPA_DATABASE_URL": "sqlite:" + t.TempDir() + "/sherpa.db"}
	go func() {
		done <- command.Run(ctx, nil, func(name string) (string, bool) { text, ok := env[name]; return text, ok }, silent())
	}()
	waitUntilReady(t, "http://"+address)

	body := slowReader{make(chan struct{})}
	request, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/auth",
		io.MultiReader(strings.NewReader(`{"username":"sherpa","password":"everest"}`), body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Expect", "100-continue") // the body is sent when the handler has begun to read it
	status := make(chan int, 1)
	started := make(chan struct{})
	go func() { status <- statusOf(request, started) }()
	<-started
	stop()
	waitUntilRefused(t, address)
	close(body.release)
	if got := <-status; got != 200 {
		t.Errorf("the request under way got %d", got)
	}
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}

// statusOf closes started as soon as the server asks for the body.
func statusOf(request *http.Request, started chan struct{}) int {
	request.Body = io.NopCloser(io.MultiReader(startSignal{started}, request.Body))
	transport := &http.Transport{ExpectContinueTimeout: time.Minute}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return -1
	}
	defer response.Body.Close()
	return response.StatusCode
}

// startSignal is an empty reader that tells when it is first read.
type startSignal struct{ started chan struct{} }

func (s startSignal) Read([]byte) (int, error) {
	close(s.started)
	return 0, io.EOF
}

func waitUntilReady(t *testing.T, url string) {
	t.Helper()
	for range 500 {
		response, err := http.Get(url + "/readyz")
		if err == nil {
			_ = response.Body.Close()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server never answered")
}

func waitUntilRefused(t *testing.T, address string) {
	t.Helper()
	for range 500 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_ = conn.Close()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server still accepts connections")
}
