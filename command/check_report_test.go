package command

import (
	"strings"
	"testing"
	"unicode/utf8"

	"sherpa/command/check"
)

func TestPrintReport(t *testing.T) {
	t.Parallel()
	report := check.Report{URL: "http://127.0.0.1:5000", Rows: []check.Result{
		{Name: "tls", Group: "connection", Checks: "no clear text", Outcome: check.OK, Seen: "TLS 1.3"},
		{
			Name: "cache-stranger", Group: "caches", Checks: "the same URL without a token gets 401",
			Outcome: check.Failed,
			Seen:    "got 200 \x1b[2J\u009b31m and \"ÉÉÉ\" from a cache, want 401 token_missing",
			Means:   "Strangers get from a cache what a user was answered.",
			Mend:    "Switch caching off for the service.",
		},
	}, Summary: check.Summary{OK: 1, Failed: 1, Started: 2, Alive: 1}}
	for _, columns := range []int{40, 60, 100} {
		var b strings.Builder
		if err := printReport(&b, report, columns); err != nil {
			t.Fatal(err)
		}
		text := b.String()
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > columns {
				t.Errorf("a line of %d columns, more than %d: %q", n, columns, line)
			}
			if strings.ContainsAny(line, "\x1b\u009b") || strings.TrimRight(line, " ") != line {
				t.Errorf("the line %q", line)
			}
		}
		words := strings.Join(strings.Fields(text), " ")
		for _, want := range []string{
			"connection ok tls TLS 1.3", "caches FAILED cache-stranger got 200 [2J 31m and",
			"token_missing wanted: the same", "means: Strangers", "mend: Switch",
			"1 ok, 0 warnings, 1 failed", "2 started, 1 could not be ended",
		} {
			if !strings.Contains(words, want) {
				t.Errorf("%d columns: no %q in\n%s", columns, want, text)
			}
		}
		if strings.Contains(words, "no clear text") {
			t.Error("a row that is ok is explained")
		}
	}
}
