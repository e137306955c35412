package check_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sherpa/command/check"
)

var update = flag.Bool("update", false, "write docs/check.md")

// TestCheckPage compares the table in docs/check.md with the rows. Renew the page with:
//
//	go test ./command/check -run TestCheckPage -update
func TestCheckPage(t *testing.T) {
	t.Parallel()
	const page, begin, end = "../../docs/check.md", "<!-- rows -->\n", "<!-- end of rows -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	got, tail, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s does not have the lines %q and %q", page, begin, end)
	}
	var b strings.Builder
	b.WriteString("| group | row | what must hold |\n|---|---|---|\n")
	group := ""
	for _, row := range check.Rows() {
		if row.Group == group {
			row.Group = ""
		} else {
			group = row.Group
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", row.Group, row.Name, row.Checks)
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+begin+b.String()+end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(b.String(), got); diff != "" {
		t.Errorf("%s is stale; run `go test ./command/check -run TestCheckPage -update`: %s", page, diff)
	}
}
