package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the program as its users do; each file of testdata/script is one story.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			address, err := freeAddress()
			env.Setenv("SHERPA_OPS_LISTEN", "") // many run side by side
			env.Setenv("ADDR", address)
			env.Setenv("PORT", address[strings.LastIndex(address, ":")+1:])
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"http": scriptHTTP, "soon": scriptSoon, "mode": scriptMode, "keep": scriptKeep,
		},
		Condition: func(name string) (bool, error) { return name == "root" && os.Geteuid() == 0, nil },
	})
}

// scriptSoon is scriptHTTP for a change that takes effect within a second.
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

// scriptHTTP is "http STATUS METHOD URL [BODY]". It waits until something listens, and prints the answer. It
// sends the token in $TOKEN when there is one.
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
	for variable, member := range map[string]string{
		"TOKEN": "access_token", "REFRESH": "refresh_token", "PERSONAL": "token", "PERSONAL_ID": "id",
	} {
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

// scriptKeep is "keep VARIABLE REGEXP". It keeps what fits in the output of the latest command.
func scriptKeep(ts *testscript.TestScript, _ bool, args []string) {
	found := regexp.MustCompile(args[1]).FindString(ts.ReadFile("stdout"))
	if found == "" {
		ts.Fatalf("nothing fits %s", args[1])
	}
	ts.Setenv(args[0], found)
}

// scriptMode is "mode OCTAL FILE".
func scriptMode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}
