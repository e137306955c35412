package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the figures of docs/peers.tsv into the picture and the pages")

// TestPages compares the picture and the tables with the figures that they show. After a new run of
// bench/peers: go test ./bench/plot -run TestPages -update.
func TestPages(t *testing.T) {
	t.Parallel()
	r, err := readRun("../../docs/peers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var picture bytes.Buffer
	if err := draw(&picture, r); err != nil {
		t.Fatal(err)
	}
	table := "<!-- peers -->\n\n" + table(r) + "\n<!-- end of peers -->\n"
	for _, page := range []struct{ file, pattern, text string }{
		{"../../docs/peers.svg", `(?s)^.*$`, picture.String()},
		{"../../docs/performance.md", `(?s)<!-- peers -->\n.*<!-- end of peers -->\n`, table},
		{"../../README.md", `(?m)^\| protected requests a second \|.*\n`, comparison(r)},
	} {
		keep(t, page.file, regexp.MustCompile(page.pattern), page.text)
	}
}

// keep makes sure that what the pattern finds in the file is the text, or writes it.
func keep(t *testing.T, file string, pattern *regexp.Regexp, text string) {
	t.Helper()
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := pattern.FindAllIndex(old, -1)
	if len(found) != 1 {
		t.Fatalf("%s has %d places for the figures", file, len(found))
	}
	begin, end := found[0][0], found[0][1]
	if !*update {
		if diff := cmp.Diff(text, string(old[begin:end])); diff != "" {
			t.Errorf("%s (+) differs from docs/peers.tsv (-); renew it with -update\n%s", file, diff)
		}
		return
	}
	renewed := string(old[:begin]) + text + string(old[end:])
	if err := os.WriteFile(file, []byte(renewed), 0o600); err != nil {
		t.Fatal(err)
	}
}

// table is the block of docs/performance.md.
func table(r run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "`%s` on %s,\n%s, %s, commit %s,\nload %s:\n\n",
		r.command, r.date, r.cpu, r.version, r.commit, r.load)
	b.WriteString("| server | `GET /mountain/x` a second | worst to best round | p50; p99 " +
		"| memory under load | start to first answer | program | Sherpa is |\n" +
		"|---|---|---|---|---|---|---|---|\n")
	for _, s := range r.servers {
		times := r.times(s)
		if times != "" {
			times += " times"
		}
		fmt.Fprintf(&b, "| %s | %s | %s to %s | %s ms; %s ms | %s MiB | %s ms | %s MB | %s |\n", s.name,
			grouped(s.rate, " "), grouped(s.least, " "), grouped(s.most, " "),
			s.p50, s.p99, s.memory, s.start, s.size, times)
	}
	fmt.Fprintf(&b, "| %s: %s | %s | | | | | | |\n",
		supabaseName, supabaseNote, grouped(supabaseRate, " "))
	return b.String()
}

// comparison is the row of the README's table.
func comparison(r run) string {
	rate := func(name string) string { return grouped(r.server(name).rate, " ") }
	return fmt.Sprintf("| protected requests a second | %s | %s; %s with sessions in SQLite "+
		"| %s; %s without its request log | %s (`GET /user`) |\n", rate(sherpa), rate(stock), rate(session),
		rate(pocketBase), rate(silent), grouped(supabaseRate, " "))
}
