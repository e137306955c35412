package check_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"sherpa/command/check"

	"sherpa/internal/testpage"
)

var update = flag.Bool("update", false, "write docs/check.md")

// TestCheckPage compares the table in docs/check.md with the rows. Renew the page with:
//
//	go test ./command/check -run TestCheckPage -update
func TestCheckPage(t *testing.T) {
	t.Parallel()
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
	testpage.Compare(t, "../../docs/check.md", "rows", b.String(), *update,
		"go test ./command/check -run TestCheckPage -update")
}
