// Package testpage holds generated parts of pages to the program. Only tests import it.
package testpage

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Compare demands that the page has the text between the lines "<!-- name -->" and "<!-- end of name -->".
// With update it writes the text there instead. The remedy is the command that does so.
func Compare(t *testing.T, page, name, text string, update bool, remedy string) {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->\n"
	old, err := os.ReadFile(page) //nolint:gosec // G304: a test names it
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(old), begin)
	got, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s does not have the lines %q and %q", page, begin, end)
	}
	if update {
		if err := os.WriteFile(page, []byte(head+begin+text+end+tail), 0o600); err != nil { //nolint:gosec // G703: as above
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text, got); diff != "" {
		t.Errorf("%s is stale; run `%s`: %s", page, remedy, diff)
	}
}
