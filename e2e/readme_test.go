package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sherpa/command"
)

// readmeBlock returns the fenced block of README.md behind the comment with this name.
func readmeBlock(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "<!-- "+name+" -->\n```")
	_, rest, _ = strings.Cut(rest, "\n")
	block, _, ok := strings.Cut(rest, "```")
	if !ok || block == "" {
		t.Fatalf("README.md has no block %q", name)
	}
	return block
}

// skipWithout skips the test on a machine without the program; in CI the program must be there.
func skipWithout(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing, and in CI it must not be", program)
		}
		t.Skipf("%s is missing", program)
	}
}

// TestReadmeTranscript types the commands of the README and compares the answers word for word; "…" stands for
// what differs every time.
func TestReadmeTranscript(t *testing.T) {
	t.Parallel()
	skipWithout(t, "curl")
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"SHERPA_LISTEN": address, "SHERPA_DATABASE_URL": "sqlite:" + t.TempDir() + "/sherpa.db"}
	go func() {
		_ = command.Run(t.Context(), nil, func(name string) (string, bool) { text, ok := env[name]; return text, ok }, silent())
	}()
	waitUntilReady(t, "http://"+address)

	var script, want strings.Builder
	for line := range strings.Lines(readmeBlock(t, "transcript")) {
		if typed, ok := strings.CutPrefix(line, "$ "); ok {
			script.WriteString(strings.ReplaceAll(typed, "127.0.0.1:5000", address) + "\necho\n")
			want.WriteString("\n")
			continue
		}
		want.WriteString(line)
	}
	got, err := exec.CommandContext(t.Context(), "sh", "-c", script.String()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(squeeze(want.String())), "…", ".+")
	if !regexp.MustCompile("^" + pattern + "$").MatchString(squeeze(string(got))) {
		t.Errorf("the README says\n%s\nbut the server says\n%s", squeeze(want.String()), squeeze(string(got)))
	}
}

// squeeze leaves out empty lines: a terminal shows none, whether or not an answer ends its line.
func squeeze(text string) string {
	return strings.Trim(regexp.MustCompile(`\n+`).ReplaceAllString(text, "\n"), "\n")
}

// TestReadmeResource builds the program with the README's resource added.
func TestReadmeResource(t *testing.T) {
	t.Parallel()
	skipWithout(t, "go")
	routes, err := os.ReadFile("../handlers/routes.go")
	if err != nil {
		t.Fatal(err)
	}
	const mountain = "\ta.resource(protected, \"/mountain/:name\", Mountain{})\n"
	with := strings.Replace(string(routes), mountain, mountain+readmeBlock(t, "route"), 1)
	if with == string(routes) {
		t.Fatal("routes.go has no line of the mountain")
	}
	dir := t.TempDir()
	overlay := map[string]map[string]string{"Replace": {}}
	for file, text := range map[string]string{"routes.go": with, "glacier.go": readmeBlock(t, "resource")} {
		overlay["Replace"][filepath.Join("..", "handlers", file)] = filepath.Join(dir, file)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), list, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", os.DevNull, "..").CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
