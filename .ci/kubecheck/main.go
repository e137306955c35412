// Command kubecheck reads the files for Docker Compose and Kubernetes as those programs do, and checks what must hold
// in them. It is run in the root of the repository, prints a line for each thing that holds, and exits 1 at the first
// that does not.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const proxyFile = "deploy/haproxy.cfg"

func main() {
	for _, check := range []func(context.Context) error{settings, problems, checkCompose, checkKubernetes} {
		if err := check(context.Background()); err != nil {
			fmt.Println("deploy: FAIL:", err)
			os.Exit(1)
		}
	}
}

// settings compares the settings that are named anywhere in the files with the README's table.
func settings(context.Context) error {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(SHERPA_[A-Z_]+)` \\|").FindAllStringSubmatch(string(readme), -1) {
		known[row[1]] = true
	}
	files, err := filepath.Glob("deploy/*")
	if err != nil {
		return err
	}
	names := 0
	for _, file := range append(files, composeFile) {
		text, err := os.ReadFile(file) //nolint:gosec // G304: a file of the repository
		if err != nil {
			return err
		}
		for _, name := range regexp.MustCompile(`SHERPA_[A-Z_]+`).FindAllString(string(text), -1) {
			if !known[name] {
				return fmt.Errorf("%s: README.md has no setting %s", file, name)
			}
			names++
		}
	}
	holds("settings: README.md has all that the files name, at %d places", names)
	return nil
}

// problems reads what the proxy itself answers: problem documents like Sherpa's own.
func problems(context.Context) error {
	text, err := os.ReadFile(proxyFile)
	if err != nil {
		return err
	}
	catalogue, err := os.ReadFile("handlers/problems.go")
	if err != nil {
		return err
	}
	statuses := ""
	for _, match := range regexp.MustCompile(`(?m)^\thttp-error status (\d+) content-type "application/problem\+json" lf-string '(.*?)' (.*)$`).FindAllStringSubmatch(string(text), -1) {
		var problem struct {
			Type, Title, Detail, Code string
			Status                    int
			RequestID                 string `json:"request_id"`
		}
		decoder := json.NewDecoder(strings.NewReader(match[2]))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&problem); err != nil {
			return fmt.Errorf("%s: problem %s: %w", proxyFile, match[1], err)
		}
		if err := first(
			need(fmt.Sprint(problem.Status) == match[1], "problem %s says %d", match[1], problem.Status),
			need(problem.Type == "/problems/"+problem.Code && problem.Detail != "" && problem.RequestID != "", "problem %s lacks something", match[1]),
			need(bytes.Contains(catalogue, []byte(`"`+problem.Title+`"`)), "problem %s: Sherpa does not know the title", match[1]),
			need(strings.Contains(match[3], "hdr Cache-Control no-store"), "problem %s may be kept by a cache", match[1]),
		); err != nil {
			return fmt.Errorf("%s: %w", proxyFile, err)
		}
		statuses += " " + match[1]
	}
	if statuses != " 500 502 503 504" {
		return fmt.Errorf("%s: problem documents for%s only", proxyFile, statuses)
	}
	holds("proxy: its own errors%s are problem documents", statuses)
	return nil
}

// stopping is how long a replica of this environment may take to stop, and how long it says so before.
func stopping(environment map[string]string) (total, delay time.Duration, err error) {
	if delay, err = time.ParseDuration(environment["SHERPA_SHUTDOWN_DELAY"]); err != nil {
		return 0, 0, fmt.Errorf("SHERPA_SHUTDOWN_DELAY: %w", err)
	}
	timeout, err := time.ParseDuration(environment["SHERPA_SHUTDOWN_TIMEOUT"])
	if err != nil {
		return 0, 0, fmt.Errorf("SHERPA_SHUTDOWN_TIMEOUT: %w", err)
	}
	return delay + timeout, delay, nil
}

// proxyTime reads a time of the proxy's configuration: the word behind the name.
func proxyTime(configuration, name string) (time.Duration, error) {
	match := regexp.MustCompile(`(?m)^[^#\n]*\b` + name + ` (\S+)`).FindStringSubmatch(configuration)
	if match == nil {
		return 0, fmt.Errorf("%s: no %s", proxyFile, name)
	}
	return time.ParseDuration(match[1])
}

// need returns an error unless the condition is true.
func need(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func holds(format string, args ...any) {
	fmt.Printf("deploy: "+format+"\n", args...)
}

// secretPath reports whether a variable names a file, and its secrets are therefore not in the environment.
func secretPath(name string) bool { return strings.HasSuffix(name, "_FILE") }
