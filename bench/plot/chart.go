package main

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"
)

//go:embed chart.svg.tmpl
var chartTemplate string

// Where things are, in the units of the picture, which is 720 wide.
const (
	barLeft   = 224.0
	barWidth  = 326.0 // of the best round of the fastest server
	headings  = 96
	firstRow  = 122
	rowHeight = 36
)

// chart is what the template shows.
type chart struct {
	Rows            []row
	Summary, Source string
	BarLeft         float64
	// From the top.
	HeadY, RuleY, FootY, SourceY, CardHeight, Height int
}

// row is a server of the chart. Its kind chooses its look: ours, other, limit or quoted.
type row struct {
	Kind, Fill, Name, Note, Rate, Times string
	Y                                   int
	Width                               float64 // of the bar
	Least, Most                         float64 // where the whisker begins and ends
	NoteX                               float64
}

func draw(out io.Writer, r run) error {
	t, err := template.New("chart").Parse(chartTemplate)
	if err != nil {
		return err
	}
	return t.Execute(out, newChart(r))
}

func newChart(r run) chart {
	c := chart{Rows: rows(r), Summary: summary(r), Source: source(r), BarLeft: barLeft, HeadY: headings}
	for i := range c.Rows {
		c.Rows[i].Y = firstRow + i*rowHeight
	}
	c.RuleY = firstRow + len(c.Rows)*rowHeight - 6
	c.FootY = c.RuleY + 24
	c.SourceY = c.FootY + 20
	c.CardHeight = c.SourceY + 20
	c.Height = c.CardHeight + 1
	return c
}

func rows(r run) (all []row) {
	scale := barWidth / r.fastest()
	for _, s := range r.servers {
		kind, fill := look(s.name)
		all = append(all, row{
			Kind: kind, Fill: fill, Name: s.name, Rate: grouped(s.rate, narrowSpace), Times: r.times(s),
			Width: scale * s.rate, Least: barLeft + scale*s.least, Most: barLeft + scale*s.most,
		})
	}
	width := scale * supabaseRate
	return append(all, row{
		Kind: "quoted", Name: supabaseName, Note: supabaseNote, Rate: grouped(supabaseRate, narrowSpace),
		Width: width, NoteX: barLeft + width + 10,
	})
}

// narrowSpace does not break.
const narrowSpace = "\u202f"

// look returns the kind of a row, and its colour on white.
func look(name string) (kind, fill string) {
	switch name {
	case sherpa:
		return "ours", "#0d9488"
	case bare:
		return "limit", "#dae0e7"
	default:
		return "other", "#aeb7c2"
	}
}

func (r run) fastest() (most float64) {
	for _, s := range r.servers {
		most = max(most, s.most)
	}
	return most
}

// summary is for readers who hear the picture.
func summary(r run) string {
	var parts []string
	for _, s := range r.servers {
		parts = append(parts, s.name+": "+grouped(s.rate, " "))
	}
	return fmt.Sprintf("%s; %s: %s, %s.", strings.Join(parts, "; "), supabaseName, grouped(supabaseRate, " "),
		supabaseNote)
}

// source says where the figures are from. The name of the file is of no interest.
func source(r run) string {
	command, _, _ := strings.Cut(r.command, " --out")
	date, _, _ := strings.Cut(r.date, " ")
	return fmt.Sprintf("%s on %s · %s · commit %s", command, date, r.cpu, r.commit)
}
