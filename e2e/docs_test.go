package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/format"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sherpa/internal/pgtest"
	"sherpa/internal/testlog"
)

// page is one of the Markdown files. A comment in front of a fenced block says how the block is tested:
//
//	<!-- transcript -->           a shell session: the commands behind "$ " print what follows them
//	<!-- file PATH -->            a new file of the program
//	<!-- after PATH: TEXT -->     lines for a file of the program, behind the line that contains TEXT
//	<!-- client PATH -->          a program that the transcript behind it runs, beside a server
//	<!-- excerpt PATH -->         parts of a file of the tree, in its order, with "…" lines between them
//
// A page with files is tested with a program that has the files of all pages. A page with a migration is
// tested on both engines.
type page struct {
	name   string
	text   string
	blocks []block
}

type block struct{ kind, path, anchor, text string }

var (
	fencedBlock = regexp.MustCompile("(?ms)^<!-- ([^\n]+) -->\n```[a-z]*\n(.*?)^```$")
	directive   = regexp.MustCompile(`^(transcript|file|after|client|excerpt)(?: ([^ :]+)(?:: (.+))?)?$`)
)

// pages reads every Markdown file; their names are relative to the root of the tree.
func pages(t *testing.T) (all []page) {
	t.Helper()
	for _, pattern := range []string{"../*.md", "../docs/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			all = append(all, readPage(t, file))
		}
	}
	if len(all) == 0 {
		t.Fatal("there is no Markdown file")
	}
	return all
}

func readPage(t *testing.T, file string) page {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p := page{name: strings.TrimPrefix(filepath.ToSlash(file), "../"), text: string(text)}
	for _, found := range fencedBlock.FindAllStringSubmatch(p.text, -1) {
		words := directive.FindStringSubmatch(found[1])
		if words == nil {
			t.Fatalf("%s: nobody knows how to test a block with the comment %q", p.name, found[1])
		}
		p.blocks = append(p.blocks, block{kind: words[1], path: words[2], anchor: words[3], text: found[2]})
	}
	return p
}

// of returns the blocks of one kind.
func (p page) of(kind string) (some []block) {
	for _, b := range p.blocks {
		if b.kind == kind {
			some = append(some, b)
		}
	}
	return some
}

// parts returns a page for each client that the page shows, or else the page itself.
func (p page) parts() (all []page) {
	for _, b := range p.blocks {
		if b.kind == "client" {
			all = append(all, page{name: p.name + " " + b.path})
		}
		if len(all) > 0 {
			last := &all[len(all)-1]
			last.blocks = append(last.blocks, b)
		}
	}
	if len(all) == 0 {
		return []page{p}
	}
	return all
}

// changes returns the blocks that change the program.
func (p page) changes() []block { return append(p.of("file"), p.of("after")...) }

// TestDocs does what the pages say, and compares what comes back word for word. "…" stands for what
// differs every time, and on a line of its own for any lines.
func TestDocs(t *testing.T) {
	t.Parallel()
	all := pages(t)
	var changes []block
	for _, p := range all {
		changes = append(changes, p.changes()...)
	}
	var changed string
	if _, err := exec.LookPath("go"); err == nil {
		changed = buildFork(t, changes)
	}
	var parts []page
	for _, p := range all {
		parts = append(parts, p.parts()...)
	}
	for _, p := range parts {
		if len(p.blocks) == 0 {
			continue
		}
		t.Run(path.Base(p.name), func(t *testing.T) {
			t.Parallel()
			skipWithout(t, "curl")
			for _, client := range p.of("client") {
				skipWithoutLanguage(t, client)
			}
			program := os.Args[0]
			if len(p.changes()) > 0 {
				skipWithout(t, "go")
				program = changed
			}
			t.Run("SQLite", func(t *testing.T) { t.Parallel(); p.replay(t, program) })
			if slices.ContainsFunc(p.changes(), func(b block) bool { return path.Ext(b.path) == ".sql" }) {
				t.Run("PostgreSQL", func(t *testing.T) {
					t.Parallel()
					url := pgtest.Database(t)
					p.replay(t, program, "SHERPA_DATABASE_URL="+url, "SHERPA_SECRET_KEY="+docsKey)
				})
			}
		})
	}
}

// TestExcerpts: what a page shows of a file stands there.
func TestExcerpts(t *testing.T) {
	t.Parallel()
	for _, p := range pages(t) {
		for _, b := range p.of("excerpt") {
			rest := readFile(t, "../"+b.path)
			for part := range strings.SplitSeq(b.text, "…\n") {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Errorf("%s: %s does not have, or not at this place:\n%s", p.name, b.path, part)
				}
				rest = after
			}
		}
	}
}

const (
	docsKey        = "Zr8QmW3vXt6LkHp1BnYs9GdCf5JuEa2o"
	defaultAddress = "127.0.0.1:5000" // the pages name it
)

// skipWithout skips the test on a machine without the program; in CI the program must be there.
func skipWithout(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing, and in CI it must not be", program)
		}
		t.Skipf("%s is missing", program)
	}
}

// skipWithoutLanguage skips the test of a client on a machine that cannot run it. What npm installs comes
// from the network, so that test runs only in CI, or when SHERPA_NPM is true.
func skipWithoutLanguage(t *testing.T, client block) {
	t.Helper()
	languages := map[string]string{".py": "python3", ".go": "go", ".sh": "sh", ".mts": "npm"}
	language, ok := languages[path.Ext(client.path)]
	if !ok {
		t.Fatalf("nobody knows how to run %s", client.path)
	}
	if language == "npm" && os.Getenv("CI") != "true" && os.Getenv("SHERPA_NPM") != "true" {
		t.Skip("it needs the network: SHERPA_NPM=true runs it")
	}
	skipWithout(t, language)
}

// replay types the commands of all transcripts of the page into one shell, beside a server in an empty
// folder.
func (p page) replay(t *testing.T, program string, env ...string) {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	dir, bin := t.TempDir(), t.TempDir()
	if err := os.Symlink(program, filepath.Join(bin, "sherpa")); err != nil {
		t.Fatal(err)
	}
	env = append(plainEnviron(), append(env, asProgram+"=1", "SHERPA_LISTEN="+address,
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))...)
	serveDocs(t, program, dir, env)
	waitUntilReady(t, "http://"+address)
	for _, client := range p.of("client") {
		client.text = strings.ReplaceAll(client.text, defaultAddress, address)
		file := filepath.Join(dir, filepath.FromSlash(client.path))
		client.write(t, file, file)
	}

	script, want := p.session()
	script = strings.ReplaceAll(script, defaultAddress, address)
	shell := exec.CommandContext(t.Context(), "sh", "-c", script)
	shell.Dir, shell.Env = dir, env
	got, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	answer := squeeze(strings.ReplaceAll(string(got), address, defaultAddress))
	pattern := regexp.MustCompile("(?m)^…$").ReplaceAllString(regexp.QuoteMeta(squeeze(want)), "(?s:.+)")
	pattern = strings.ReplaceAll(pattern, "…", ".+")
	if !regexp.MustCompile("^" + pattern + "$").MatchString(answer) {
		t.Errorf("%s says\n%s\nbut the program says\n%s", p.name, squeeze(want), answer)
	}
}

// serveDocs starts the server; it ends with the test.
func serveDocs(t *testing.T, program, dir string, env []string) {
	t.Helper()
	var log testlog.Buffer
	server := exec.CommandContext(context.Background(), program)
	server.Dir, server.Env, server.Stdout, server.Stderr = dir, env, &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // "signal: killed"
		if t.Failed() {
			t.Logf("log of the server:\n%s", log.String())
		}
	})
}

// session returns the commands of the transcripts, and what they must print. A line that begins with "> "
// goes on with the command above it.
func (p page) session() (script, want string) {
	var typed, printed strings.Builder
	for _, b := range p.of("transcript") {
		open := false // a command whose last line may still come
		for line := range strings.Lines(b.text) {
			if more, ok := strings.CutPrefix(line, "> "); ok && open {
				typed.WriteString(more)
				continue
			}
			if open {
				typed.WriteString("echo\n")
				open = false
			}
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				typed.WriteString(command)
				printed.WriteString("\n")
				open = true
				continue
			}
			printed.WriteString(line)
		}
		if open {
			typed.WriteString("echo\n")
		}
	}
	return typed.String(), printed.String()
}

// squeeze leaves out empty lines: a terminal shows none, whether or not an answer ends its line.
func squeeze(text string) string {
	return strings.Trim(regexp.MustCompile(`\n+`).ReplaceAllString(text, "\n"), "\n")
}

// buildFork applies the blocks to the tree, checks it and returns the program.
func buildFork(t *testing.T, changes []block) string {
	t.Helper()
	f := newFork(t)
	for _, change := range changes {
		f.apply(t, change)
	}
	if err := f.run(t, "vet", "./handlers", "./models"); err != nil {
		t.Fatal(err)
	}
	return f.build(t)
}

// fork is this tree with changes. They stand in a folder of their own, and Go sees them in their places
// (-overlay): what did not change is not built again, as it would be in a copy of the tree.
type fork struct {
	dir     string
	Replace map[string]string // the member of the file for -overlay: place to what stands there instead
}

func newFork(t *testing.T) fork {
	t.Helper()
	return fork{dir: t.TempDir(), Replace: map[string]string{}}
}

func (f fork) apply(t *testing.T, b block) {
	t.Helper()
	place, err := filepath.Abs(filepath.Join("..", filepath.FromSlash(b.path)))
	if err != nil {
		t.Fatal(err)
	}
	from, to := place, filepath.Join(f.dir, strings.ReplaceAll(b.path, "/", "."))
	if _, again := f.Replace[place]; again {
		from = to
	}
	b.write(t, from, to)
	f.Replace[place] = to
}

// run runs a command of Go that knows -overlay.
func (f fork) run(t *testing.T, command string, args ...string) error {
	t.Helper()
	overlay := filepath.Join(f.dir, "overlay.json")
	text, err := json.Marshal(f)
	if err == nil {
		err = os.WriteFile(overlay, text, 0o600)
	}
	if err != nil {
		return err
	}
	return runGo(t, "..", append([]string{command, "-overlay", overlay}, args...)...)
}

func (f fork) build(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(f.dir, "sherpa.program")
	if err := f.run(t, "build", "-o", program, "."); err != nil {
		t.Fatal(err)
	}
	return program
}

// buildProgram builds the program of a tree.
func buildProgram(t *testing.T, dir string) (program string, err error) {
	t.Helper()
	program = filepath.Join(dir, "sherpa.program")
	return program, runGo(t, dir, "build", "-o", program, ".")
}

func runGo(t *testing.T, dir string, args ...string) error {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", args[0], err, out)
	}
	return nil
}

// write applies the block to a file, which need not be there yet, and writes the result to another place, or
// the same.
func (b block) write(t *testing.T, file, to string) {
	t.Helper()
	text := b.text
	if b.kind == "after" {
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before, behind, found := strings.Cut(string(old), b.anchor)
		rest, behind, whole := strings.Cut(behind, "\n")
		if !found || !whole || strings.Contains(behind, b.anchor) {
			t.Fatalf("%s must have one line with %q", b.path, b.anchor)
		}
		text = before + b.anchor + rest + "\n" + b.text + behind
	} else if _, err := os.Stat(file); err == nil {
		t.Fatalf("%s exists already", b.path)
	}
	if path.Ext(b.path) == ".go" {
		formatted, err := format.Source([]byte(text))
		if err != nil || !bytes.Equal(formatted, []byte(text)) {
			t.Errorf("%s is not as gofmt writes it: %v", b.path, err)
		}
	}
	if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// noPackage matches the names of folders that hold no package of ours: of tools, of test data, of a server.
var noPackage = regexp.MustCompile(`^(\..*|testdata|node_modules|data|secrets.*)$`)

// goFolders returns the folders that hold Go files, with "/" in their names.
func goFolders(t *testing.T) (folders []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(".."), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && noPackage.MatchString(entry.Name()):
			return fs.SkipDir
		case path.Ext(name) == ".go" && !slices.Contains(folders, path.Dir(name)):
			folders = append(folders, path.Dir(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

// TestArchitectureNamesEveryPackage compares the table of packages in docs/architecture.md with the tree.
// The programs below bench/ share a row.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(readPage(t, "../docs/architecture.md").text, "\n## Packages\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var named, there []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9/.]+)` \\|").FindAllStringSubmatch(table, -1) {
		named = append(named, strings.TrimSuffix(row[1], "/"))
	}
	for _, folder := range goFolders(t) {
		switch {
		case folder == ".":
			folder = "main.go"
		case strings.HasPrefix(folder, "bench/"):
			folder = "bench"
		}
		there = append(there, folder)
	}
	slices.Sort(named)
	slices.Sort(there)
	if diff := cmp.Diff(slices.Compact(there), named); diff != "" {
		t.Errorf("docs/architecture.md (+) names other packages than the tree has (-):\n%s", diff)
	}
}

// TestDocsNameFilesThatExist reads every file name in backticks. Files of the worked examples, and those
// of a section whose heading begins with "Planned", need not exist.
func TestDocsNameFilesThatExist(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile("`([a-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*\\.(?:go|sql|yaml|cfg|txt|mod)|" +
		"[a-z.]+(?:/[a-z0-9-]+)+)`")
	unbuilt := regexp.MustCompile(`(?ms)^## Planned.*?(\n## |\z)`)
	for _, p := range pages(t) {
		if p.name == "CHANGELOG.md" { // it tells of files that have gone
			continue
		}
		example := map[string]bool{}
		for _, b := range p.blocks {
			example[b.path] = true
		}
		for _, found := range name.FindAllStringSubmatch(unbuilt.ReplaceAllString(p.text, "$1"), -1) {
			_, err := os.Stat(filepath.Join("..", filepath.FromSlash(found[1])))
			if err != nil && !example[found[1]] {
				t.Errorf("%s names %s, which is not there", p.name, found[1])
			}
		}
	}
}

// TestDocsNameTestsThatExist looks for the tests that "go test -run NAME ./FOLDER" would run.
func TestDocsNameTestsThatExist(t *testing.T) {
	t.Parallel()
	command := regexp.MustCompile(`go test[^\n]* -run (\S+) \./([a-z0-9/]+)`)
	for _, p := range pages(t) {
		for _, found := range command.FindAllStringSubmatch(p.text, -1) {
			files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(found[2]), "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(files, func(file string) bool { return hasTest(t, file, found[1]) }) {
				t.Errorf("%s: %s has no test %s", p.name, found[2], found[1])
			}
		}
	}
}

func hasTest(t *testing.T, file, name string) bool {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(text, []byte("\nfunc "+name))
}

// TestDocsAreShort holds the limits of the pages: the README's length, the width of prose, the size of
// the example.
func TestDocsAreShort(t *testing.T) {
	t.Parallel()
	const maxReadme, maxColumns, maxExample = 150, 110, 86
	fence := regexp.MustCompile("(?ms)^```.*?^```$")
	for _, p := range pages(t) {
		if n := strings.Count(p.text, "\n"); p.name == "README.md" && n > maxReadme {
			t.Errorf("README.md has %d lines, more than %d", n, maxReadme)
		}
		for line := range strings.Lines(fence.ReplaceAllString(p.text, "")) {
			line = strings.TrimSuffix(line, "\n")
			if width := utf8.RuneCountInString(line); width > maxColumns && !strings.HasPrefix(line, "|") {
				t.Errorf("%s: a line of %d columns, more than %d: %s", p.name, width, maxColumns, line)
			}
		}
		if n := p.codeLines(); p.name == "docs/stored-resource.md" && n > maxExample {
			t.Errorf("%s has %d lines of code, more than %d", p.name, n, maxExample)
		}
	}
}

// codeLines counts the lines of the page's files that are neither empty nor a comment. A description for
// clients is no code, and as long as they need it.
func (p page) codeLines() (n int) {
	comment := regexp.MustCompile(`^\s*(//.*|--.*)?$`)
	for _, b := range p.changes() {
		if path.Ext(b.path) == ".yaml" {
			continue
		}
		for line := range strings.Lines(b.text) {
			if !comment.MatchString(strings.TrimSuffix(line, "\n")) {
				n++
			}
		}
	}
	return n
}
