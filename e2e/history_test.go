package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// commit is what matters of one for an upgrade from it.
type commit struct {
	id         string
	promises   bool   // its program works with the schema of newer ones
	migrations string // names the state of the folder
}

// choose returns the newest commit with other migrations whose program works with newer ones, or else the
// newest commit that one can upgrade from, and go back to, at all.
func choose(newestFirst []commit, migrations string) (id string, err error) {
	for _, c := range newestFirst {
		if c.promises && c.migrations != migrations {
			return c.id, nil
		}
	}
	for _, c := range newestFirst {
		if c.promises || c.migrations == migrations {
			return c.id, nil
		}
	}
	return "", errors.New("no earlier commit has a program that works with newer schemas")
}

func TestChooseCommit(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		commits []commit
		want    string
	}{
		{"no history", nil, ""},
		{"the last one has other migrations", []commit{{"b", true, "old"}, {"a", true, "older"}}, "b"},
		{"the last one has the same", []commit{{"b", true, "new"}, {"a", true, "old"}}, "a"},
		{"all have the same", []commit{{"b", true, "new"}, {"a", true, "new"}}, "b"},
		{"before the promise, the same migrations", []commit{{"b", false, "new"}, {"a", false, "old"}}, "b"},
		{"before the promise, other migrations", []commit{{"a", false, "old"}}, ""},
		{"the promise is on a branch", []commit{{"b", false, "old"}, {"a", true, "old"}}, "a"},
	} {
		if got, err := choose(tt.commits, "new"); got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", tt.name, got, err, tt.want)
		}
	}
}

// previousCommit looks at the commits before this one.
func previousCommit(t *testing.T) (id string, err error) {
	t.Helper()
	here, err := git(t, "", "rev-parse", "HEAD:models/migrations")
	if err != nil {
		return "", err
	}
	ids, err := git(t, "", "rev-list", "--skip=1", "--max-count=1000", "HEAD")
	if err != nil {
		return "", err
	}
	commits, err := describe(t, strings.Fields(ids))
	if err != nil {
		return "", err
	}
	return choose(commits, strings.TrimSpace(here))
}

// describe asks for two paths of each commit: Git answers with a line each, which begins with the id of what
// is there, or ends with "missing".
func describe(t *testing.T, ids []string) (commits []commit, err error) {
	t.Helper()
	var questions strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&questions, "%[1]s:models/compatible.go\n%[1]s:models/migrations\n", id)
	}
	answers, err := git(t, questions.String(), "cat-file", "--batch-check")
	lines := strings.Split(answers, "\n")
	if err != nil || len(lines) <= 2*len(ids) {
		return nil, errors.Join(err, errors.New("git cat-file answers less than it was asked"))
	}
	for i, id := range ids {
		object, _, _ := strings.Cut(lines[2*i+1], " ")
		commits = append(commits, commit{id, !strings.HasSuffix(lines[2*i], " missing"), object})
	}
	return commits, nil
}

func git(t *testing.T, input string, args ...string) (string, error) {
	t.Helper()
	var problems strings.Builder
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Dir, command.Stdin, command.Stderr = "..", strings.NewReader(input), &problems
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, problems.String())
	}
	return string(out), nil
}

// buildCommit builds the program of a commit. A module that only it needs may be out of reach.
func buildCommit(t *testing.T, id string) (program string, err error) {
	t.Helper()
	dir := t.TempDir()
	archive, err := git(t, "", "archive", id)
	if err != nil {
		return "", err
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", dir)
	unpack.Stdin = strings.NewReader(archive)
	if out, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack commit %s: %w: %s", id, err, out)
	}
	return buildProgram(t, dir)
}
