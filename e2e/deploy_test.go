package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// composeSetting returns the value that compose.yaml gives to a name: the word behind "NAME: ".
func composeSetting(t *testing.T, name string) string {
	t.Helper()
	return word(t, "../compose.yaml", `(?m)^ *`+name+`: *(\S+)`)
}

// word returns what the group of a pattern first matches in a file.
func word(t *testing.T, path, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(readFile(t, path))
	if found == nil {
		t.Fatalf("%s has no %s", path, pattern)
	}
	return found[1]
}

// TestDeployNamesSettings: every setting in the files for deployments is one of the program's.
func TestDeployNamesSettings(t *testing.T) {
	t.Parallel()
	p := newProcess(t, t.TempDir())
	help := p.sherpa(t, "", "--help")
	files, err := filepath.Glob("../deploy/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range append(files, "../compose.yaml", "../Dockerfile") {
		for _, name := range regexp.MustCompile(`SHERPA_[A-Z_]+`).FindAllString(readFile(t, file), -1) {
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(help) {
				t.Errorf("%s: the program has no setting %s", file, name)
			}
		}
	}
}

// TestDeployStopsInTime compares the times of a stop in each file: who gives up on a replica does so later than the
// replica. Whether the delay is long enough for the proxy is a matter of TestRollingRestart.
func TestDeployStopsInTime(t *testing.T) {
	t.Parallel()
	kubernetes := func(pattern string) string { return word(t, "../deploy/kubernetes.yaml", pattern) }
	for _, row := range []struct{ name, delay, timeout, patience string }{
		{
			"Compose", composeSetting(t, "SHERPA_SHUTDOWN_DELAY"), composeSetting(t, "SHERPA_SHUTDOWN_TIMEOUT"),
			composeSetting(t, "stop_grace_period"),
		},
		{
			"Kubernetes", kubernetes(`SHERPA_SHUTDOWN_DELAY, value: (\w+)`), kubernetes(`SHERPA_SHUTDOWN_TIMEOUT, value: (\w+)`),
			kubernetes(`terminationGracePeriodSeconds: (\d+)`) + "s",
		},
	} {
		var times [3]time.Duration
		for i, text := range []string{row.delay, row.timeout, row.patience} {
			var err error
			if times[i], err = time.ParseDuration(text); err != nil {
				t.Error(err)
			}
		}
		if times[0] <= 0 || times[0]+times[1] >= times[2] {
			t.Errorf("%s: delay %s, timeout %s, killed after %s", row.name, row.delay, row.timeout, row.patience)
		}
	}
}

// TestProxyProblems reads the answers that are the proxy's own: problem documents like the program's.
func TestProxyProblems(t *testing.T) {
	t.Parallel()
	pattern := regexp.MustCompile(`(?m)^\thttp-error status (\d+) .*application/problem\+json" lf-string '(.*?)' (.*)$`)
	found := pattern.FindAllStringSubmatch(readFile(t, "../deploy/haproxy.cfg"), -1)
	var statuses []string
	for _, match := range found {
		var problem struct {
			Type, Title, Detail, Code string
			Status                    json.Number
			RequestID                 string `json:"request_id"`
		}
		decoder := json.NewDecoder(strings.NewReader(match[2]))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&problem); err != nil {
			t.Fatalf("problem %s: %v", match[1], err)
		}
		if problem.Status.String() != match[1] || problem.Type != "/problems/"+problem.Code || problem.Title == "" ||
			problem.Detail == "" || problem.RequestID == "" || !strings.Contains(match[3], "Cache-Control no-store") {
			t.Errorf("problem %s: %+v%s", match[1], problem, match[3])
		}
		statuses = append(statuses, match[1])
	}
	if got := strings.Join(statuses, " "); got != "500 502 503 504" {
		t.Errorf("the proxy has problem documents for %s", got)
	}
}
