package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
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
	more, err := filepath.Glob("../deploy/forward-auth/*")
	if err != nil || len(more) == 0 {
		t.Fatal(more, err)
	}
	files = slices.DeleteFunc(append(files, more...), func(file string) bool {
		return file == filepath.Dir(more[0])
	})
	for _, file := range append(files, "../compose.yaml", "../Dockerfile") {
		for _, name := range regexp.MustCompile(`SHERPA_[A-Z_]+`).FindAllString(readFile(t, file), -1) {
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(help) {
				t.Errorf("%s: the program has no setting %s", file, name)
			}
		}
	}
}

// TestDeployStopsInTime compares the times of a stop in each file: a replica must have ended before it is
// killed. TestRollingRestart shows that the delay is long enough for the proxy.
func TestDeployStopsInTime(t *testing.T) {
	t.Parallel()
	check := func(name, delay, timeout, killed string) {
		t.Helper()
		var times [3]time.Duration
		for i, text := range []string{delay, timeout, killed} {
			var err error
			if times[i], err = time.ParseDuration(text); err != nil {
				t.Error(err)
			}
		}
		if times[0] <= 0 || times[0]+times[1] >= times[2] {
			t.Errorf("%s: delay %s, timeout %s, killed after %s", name, delay, timeout, killed)
		}
	}
	compose := func(name string) string { return composeSetting(t, name) }
	check("Compose", compose("SHERPA_SHUTDOWN_DELAY"), compose("SHERPA_SHUTDOWN_TIMEOUT"),
		compose("stop_grace_period"))
	kubernetes := func(pattern string) string { return word(t, "../deploy/kubernetes.yaml", pattern) }
	check("Kubernetes", kubernetes(`SHERPA_SHUTDOWN_DELAY, value: (\w+)`),
		kubernetes(`SHERPA_SHUTDOWN_TIMEOUT, value: (\w+)`),
		kubernetes(`terminationGracePeriodSeconds: (\d+)`)+"s")
}

// TestProxyProblems reads the answers that are the proxy's own: problem documents like the program's.
func TestProxyProblems(t *testing.T) {
	t.Parallel()
	pattern := `(?m)^\thttp-error status (\d+) .*application/problem\+json" lf-string '(.*?)' (.*)$`
	found := regexp.MustCompile(pattern).FindAllStringSubmatch(readFile(t, "../deploy/haproxy.cfg"), -1)
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
		complete := problem.Title != "" && problem.Detail != "" && problem.RequestID != ""
		if !complete || problem.Status.String() != match[1] || problem.Type != "/problems/"+problem.Code ||
			!strings.Contains(match[3], "Cache-Control no-store") {
			t.Errorf("problem %s: %+v%s", match[1], problem, match[3])
		}
		statuses = append(statuses, match[1])
	}
	if got := strings.Join(statuses, " "); got != "500 502 503 504" {
		t.Errorf("the proxy has problem documents for %s", got)
	}
}

// TestAlertsHaveTheirRunbook: whoever is woken finds the entry.
func TestAlertsHaveTheirRunbook(t *testing.T) {
	t.Parallel()
	alerts := readFile(t, "../deploy/alerts.yaml")
	names := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(alerts, -1)
	entries := regexp.MustCompile(`(?m)^ +runbook: (\S+)#(\S+)$`).FindAllStringSubmatch(alerts, -1)
	if len(names) != 7 || len(entries) != len(names) {
		t.Fatalf("%d alerts with %d entries, want 7", len(names), len(entries))
	}
	for i, entry := range entries {
		name, file, anchor := names[i][1], entry[1], entry[2]
		heading := regexp.MustCompile(`(?m)^## ` + name + `$`)
		if anchor != strings.ToLower(name) || !heading.MatchString(readFile(t, "../"+file)) {
			t.Errorf("%s has no entry %s#%s", name, file, anchor)
		}
	}
}
