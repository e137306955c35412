package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"

	"sherpa/command/check"
)

const (
	fileWidth     = 100 // columns of what goes to a file or a pipe
	leastWidth    = 40
	outcomeColumn = 9 // columns of the outcome, with the blanks after it
)

// width returns how many columns a line may have.
func width(out io.Writer) int {
	file, ok := out.(*os.File)
	if !ok {
		return fileWidth
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return fileWidth
	}
	return max(columns, leastWidth)
}

// printReport prints a line for each row, and below a failure what it means and how to mend it.
func printReport(out io.Writer, report check.Report, columns int) error {
	var b strings.Builder
	names, group := nameColumn(report.Rows), ""
	for _, r := range report.Rows {
		if r.Group != group {
			group = r.Group
			fmt.Fprintf(&b, "%s\n", group)
		}
		head := fmt.Sprintf("%-*s%-*s", outcomeColumn, outcomeText(r.Outcome), names, r.Name)
		writeWrapped(&b, head, r.Seen, columns)
		indent := strings.Repeat(" ", outcomeColumn)
		for _, more := range []struct{ label, text string }{
			{"wanted: ", r.Checks}, {"means:  ", r.Means}, {"mend:   ", r.Mend},
		} {
			if r.Means != "" {
				writeWrapped(&b, indent+more.label, more.text, columns)
			}
		}
	}
	for _, line := range summaryLines(report) {
		writeWrapped(&b, "", line, columns)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// outcomeText makes failures stand out, also without colours.
func outcomeText(outcome check.Outcome) string {
	if outcome == check.Failed {
		return "FAILED"
	}
	return string(outcome)
}

func nameColumn(rows []check.Result) (longest int) {
	for _, r := range rows {
		longest = max(longest, len(r.Name)+2)
	}
	return longest
}

// writeWrapped writes a head and a text whose further lines begin below its first. The text may hold what a
// server has sent: nothing in it may reach the terminal as a command.
func writeWrapped(b *strings.Builder, head, text string, columns int) {
	indent := min(len(head), columns/2)
	at := len(head)
	b.WriteString(head)
	for i, word := range strings.Fields(printable(text)) {
		size := utf8.RuneCountInString(word)
		switch {
		case at+1+size > columns && at > indent:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		case i > 0:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += size
	}
	b.WriteString("\n")
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}

func summaryLines(report check.Report) []string {
	s := report.Summary
	lines := []string{fmt.Sprintf("%s: %d ok, %d warnings, %d failed, %d skipped; %d requests in %.1f s",
		report.URL, s.OK, s.Warnings, s.Failed, s.Skipped, s.Requests, s.Seconds)}
	if s.Alive > 0 {
		return append(lines,
			fmt.Sprintf("sessions of this check: %d started, %d could not be ended", s.Started, s.Alive))
	}
	return append(lines, fmt.Sprintf("sessions of this check: %d started, all ended", s.Started))
}
