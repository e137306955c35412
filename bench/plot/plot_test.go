package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBarsAreProportional reads the picture as a viewer does.
func TestBarsAreProportional(t *testing.T) {
	t.Parallel()
	r, picture := drawExample(t)
	var want, got []float64
	for _, s := range r.servers {
		want = append(want, s.rate)
	}
	want = append(want, supabaseRate)
	for _, e := range elements(t, picture, "rect") {
		if strings.HasPrefix(attribute(e, "class"), "bar ") {
			got = append(got, number(t, attribute(e, "width")))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d bars, want %d", len(got), len(want))
	}
	for i := range want {
		if ratio := got[i] / got[0] * want[0] / want[i]; math.Abs(ratio-1) > 0.001 {
			t.Errorf("bar %d has a length of %g, which is %g of what it should have", i, got[i], ratio)
		}
	}
}

// TestWhiskersReachFromWorstToBest compares each whisker with the bar of its row.
func TestWhiskersReachFromWorstToBest(t *testing.T) {
	t.Parallel()
	r, picture := drawExample(t)
	path := regexp.MustCompile(`^M([0-9.]+) 0H([0-9.]+)`)
	var whiskers [][]string
	for _, e := range elements(t, picture, "path") {
		if attribute(e, "class") == "whisker" {
			whiskers = append(whiskers, path.FindStringSubmatch(attribute(e, "d")))
		}
	}
	if len(whiskers) != len(r.servers) {
		t.Fatalf("%d whiskers, want %d", len(whiskers), len(r.servers))
	}
	scale := barWidth / r.fastest()
	for i, s := range r.servers {
		least, most := number(t, whiskers[i][1]), number(t, whiskers[i][2])
		if math.Abs(least-barLeft-scale*s.least) > 0.01 || math.Abs(most-barLeft-scale*s.most) > 0.01 {
			t.Errorf("%s: the whisker goes from %g to %g", s.name, least, most)
		}
	}
}

// TestPictureStandsAlone makes sure that nothing in the picture asks another server or runs.
func TestPictureStandsAlone(t *testing.T) {
	t.Parallel()
	_, picture := drawExample(t)
	for _, name := range []string{"script", "image", "use", "foreignObject", "a"} {
		if found := elements(t, picture, name); len(found) > 0 {
			t.Errorf("the picture has %d elements %s", len(found), name)
		}
	}
	rest := strings.ReplaceAll(picture, `xmlns="http://www.w3.org/2000/svg"`, "")
	if regexp.MustCompile(`https?:|@import|url\([^#]`).MatchString(rest) {
		t.Error("the picture names something outside of it")
	}
	if got := attribute(elements(t, picture, "svg")[0], "width"); got != "720" {
		t.Errorf("width %s, want 720", got)
	}
	if !strings.Contains(picture, "prefers-color-scheme: dark") || !strings.Contains(picture, supabaseNote) {
		t.Error("the picture has no colours for the dark, or does not say which figure is quoted")
	}
}

// TestTextIsEscaped: a CPU may have any name.
func TestTextIsEscaped(t *testing.T) {
	t.Parallel()
	r := example(t)
	r.cpu = `A <fast> & "new" one`
	var picture bytes.Buffer
	if err := draw(&picture, r); err != nil {
		t.Fatal(err)
	}
	elements(t, picture.String(), "svg") // fails unless the XML is well-formed
}

func TestParseRunRefuses(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/peers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"a server that is missing":      {"\nSherpa\t", "\nOther\t"},
		"a row that is too short":       {"\t26.9\n", "\n"},
		"a rate that is no number":      {"\t65412\t", "\tmany\t"},
		"a median below the worst one":  {"\t65412\t", "\t1\t"},
		"a median above the best round": {"\t65412\t", "\t70000\t"},
		"a rate of zero":                {"\t65412\t63900\t66200\t", "\t0\t0\t0\t"},
	} {
		changed := strings.Replace(string(text), change[0], change[1], 1)
		if changed == string(text) {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := parseRun(changed); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	r := example(t)
	got := []string{
		grouped(90641, " "), grouped(7060, " "), grouped(999.6, " "), grouped(1234567, " "), grouped(7, " "),
		r.times(r.server(bare)), r.times(r.server(pocketBase)), r.times(server{rate: 2650}), source(r),
	}
	want := []string{
		"90 600", "7 060", "1 000", "1 230 000", "7",
		"0.72", "9.3", "25",
		"bench/peers 5 4 on 2026-11-24 · an example, 2 cores · commit none: invented figures",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func example(t *testing.T) run {
	t.Helper()
	r, err := readRun("testdata/peers.tsv")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func drawExample(t *testing.T) (run, string) {
	t.Helper()
	r := example(t)
	var picture bytes.Buffer
	if err := plot([]string{"testdata/peers.tsv"}, &picture); err != nil {
		t.Fatal(err)
	}
	return r, picture.String()
}

// elements returns the elements of a name, in the order of the picture.
func elements(t *testing.T, picture, name string) (found []xml.StartElement) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(picture))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatalf("the picture is not well-formed: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == name {
			found = append(found, e.Copy())
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
