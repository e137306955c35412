package metrics

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"sherpa/internal/testpage"
)

var update = flag.Bool("update", false, "write the table of metrics into docs/operations.md")

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestMetricsTable compares docs/operations.md with the registry. Renew the page with:
//
//	go test ./metrics -run TestMetricsTable -update
func TestMetricsTable(t *testing.T) {
	t.Parallel()
	testpage.Compare(t, "../docs/operations.md", "metrics", table(gather(t)), *update,
		"go test ./metrics -run TestMetricsTable -update")
}

// gather returns all metrics, each with a value.
func gather(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	families, err := watched(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func table(families []*dto.MetricFamily) string {
	var b strings.Builder
	b.WriteString("| metric | kind | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), prefix) {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.GetName(), strings.ToLower(f.GetType().String()),
			strings.Join(labels, ", "), f.GetHelp())
	}
	return b.String()
}

// TestDeployFilesNameMetrics: a renamed metric must not leave a panel empty, or an alert silent.
func TestDeployFilesNameMetrics(t *testing.T) {
	t.Parallel()
	known := []string{"up"} // which Prometheus adds
	for _, f := range gather(t) {
		known = append(known, f.GetName())
	}
	name := regexp.MustCompile(`\b(?:sherpa|go|process|promhttp)_[a-z_]+`)
	suffix := regexp.MustCompile(`_(bucket|count|sum)$`)
	for _, file := range []string{"grafana.json", "alerts.yaml", "alerts_test.yaml"} {
		names := name.FindAllString(readFile(t, "../deploy/"+file), -1)
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, n := range names {
			if !slices.Contains(known, n) && !slices.Contains(known, suffix.ReplaceAllString(n, "")) {
				t.Errorf("%s: there is no metric %s", file, n)
			}
		}
	}
}

// TestDashboard: ten panels that have a title, say what they mean, ask something, and lie side by side.
func TestDashboard(t *testing.T) {
	t.Parallel()
	type place struct{ X, Y, W, H int }
	var dashboard struct {
		Panels []struct {
			ID                 int
			Title, Description string
			GridPos            place
			Targets            []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal([]byte(readFile(t, "../deploy/grafana.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Panels) != 10 {
		t.Errorf("%d panels, want 10", len(dashboard.Panels))
	}
	ids, taken := map[int]string{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if p.Title == "" || p.Description == "" || len(p.Targets) == 0 || p.GridPos.W < 1 || p.GridPos.H < 1 {
			t.Errorf("%+v is not complete", p)
		}
		if other, double := ids[p.ID]; double {
			t.Errorf("%s and %s have the same id", p.Title, other)
		}
		ids[p.ID] = p.Title
		for _, target := range p.Targets {
			if target.Expr == "" || target.LegendFormat == "" {
				t.Errorf("%s: %+v is not complete", p.Title, target)
			}
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, double := taken[[2]int{x, y}]; double {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
