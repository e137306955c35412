package e2e

import (
	"html"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// TestIndexPageCommands pastes the commands of the page into a shell.
func TestIndexPageCommands(t *testing.T) {
	t.Parallel()
	skipWithout(t, "curl")
	p := startProcess(t, t.TempDir())
	request, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+p.address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html")
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<pre")
	_, rest, _ = strings.Cut(rest, "<code>")
	commands, _, found := strings.Cut(rest, "</code></pre>")
	if !found {
		t.Fatalf("the page has no commands:\n%s", page)
	}
	shell := exec.CommandContext(t.Context(), "sh", "-c", html.UnescapeString(commands))
	shell.Env = plainEnviron()
	got, err := shell.CombinedOutput()
	if want := `{"mountain":"everest"}`; string(got) != want || err != nil {
		t.Errorf("%s\nprinted %q, want %q; %v", html.UnescapeString(commands), got, want, err)
	}
}
