package e2e

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sherpa/command"
)

func TestSIGTERM(t *testing.T) {
	t.Parallel()
	if err := startProcess(t, t.TempDir()).stop(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// heldBody is a request body whose end waits until the test releases it.
type heldBody struct{ release chan struct{} }

func (b heldBody) Read([]byte) (int, error) {
	<-b.release
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
	env := append(plainEnviron(), "SHERPA_LISTEN="+address,
		"SHERPA_DATABASE_URL=sqlite:"+t.TempDir()+"/sherpa.db")
	go func() { done <- command.Run(ctx, nil, env, command.Build{}, silent()) }()
	waitUntilReady(t, "http://"+address)

	body := heldBody{make(chan struct{})}
	request, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+address+"/auth",
		io.MultiReader(strings.NewReader(credentials("sherpa", "everest")), body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Expect", "100-continue") // the body waits until the handler begins to read it
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

// startSignal is an empty reader that closes a channel at its first read.
type startSignal struct{ started chan struct{} }

func (s startSignal) Read([]byte) (int, error) {
	close(s.started)
	return 0, io.EOF
}

func waitUntilRefused(t *testing.T, address string) {
	t.Helper()
	for range 500 {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return
		}
		_ = conn.Close()
		time.Sleep(10 * time.Millisecond) // the server stops meanwhile
	}
	t.Fatal("the server still accepts connections")
}
