// Package report tells of figures: as tables for a terminal, as a page in Markdown, and as
// charts.
package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/netparts/netparts/internal/bench/lab"
)

// A table has a head and rows, of which the first column is a name.
type table struct {
	head []string
	rows []row
}

// A row of a table has a note, if it is empty or not complete.
type row struct {
	cells []string
	note  string
}

// caseTable has a row for each side. The columns of a metric are the median of its rounds,
// and what that of ours is of it, with the lowest and the highest ratio of all rounds.
func caseTable(c *lab.Case, f *lab.CaseFigures) table {
	t := table{head: []string{""}}
	for _, m := range c.Metrics {
		t.head = append(t.head, m.Name+arrow(m.Best))
		if m.Best != lab.None {
			t.head = append(t.head, "ours is")
		}
	}
	for i := range f.Sides {
		s := &f.Sides[i]
		r := row{cells: []string{s.Name}, note: s.Absent}
		for _, m := range c.Metrics {
			r.cells = append(r.cells, figure(lab.Summarize(s.Samples[m.Name]).Median))
			if m.Best == lab.None {
				continue
			}
			ratio := "" // of ours to itself
			if i > 0 {
				ratio = spread(f.Ratio(m.Name, f.Sides[0].Name, s.Name))
			}
			r.cells = append(r.cells, ratio)
		}
		t.rows = append(t.rows, r)
	}
	return t
}

// arrow points to where figures are better.
func arrow(b lab.Best) string {
	switch b {
	case lab.Low:
		return " ↓"
	case lab.High:
		return " ↑"
	}
	return ""
}

// spread tells of a median with the lowest and the highest.
func spread(s lab.Summary) string {
	if s.Rounds < 2 {
		return figure(s.Median)
	}
	return fmt.Sprintf("%s (%s to %s)", figure(s.Median), figure(s.Low), figure(s.High))
}

// figure has three digits that count, or all before the point. It is empty if there is none.
func figure(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v):
		return ""
	case math.IsInf(v, 1):
		return "∞"
	case a == 0:
		return "0"
	case a >= 99.95:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// count is a number of things.
func count(n int) string { return thousands(strconv.Itoa(n)) }

// thousands puts commas into digits.
func thousands(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if n := len(digits) - i; i > 0 && n%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func (t *table) text(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "  "+strings.Join(t.head, "\t"))
	for _, r := range t.rows {
		cells := r.cells
		if r.note != "" {
			cells = append(slices.Clip(cells), oneLine(r.note))
		}
		fmt.Fprintln(tw, "  "+strings.Join(cells, "\t"))
	}
	return tw.Flush()
}

// oneLine is for errors, which can have several.
func oneLine(s string) string { return strings.Join(strings.Split(strings.TrimSpace(s), "\n"), "; ") }

// Case prints a table of a case.
func Case(w io.Writer, p *lab.Part, c *lab.Case, f *lab.CaseFigures) error {
	fmt.Fprintf(w, "\n%s: %s (%s s)\n", p.Name, c.Name, figure(f.Seconds))
	if f.Failed != "" {
		fmt.Fprintf(w, "  failed: %s\n", oneLine(f.Failed))
	}
	t := caseTable(c, f)
	if err := t.text(w); err != nil {
		return err
	}
	for _, target := range c.Targets {
		v := judge(p, c, f, target)
		line := fmt.Sprintf("  target: %s: %s", v.target, v.result)
		if v.measured != "" {
			line += ": " + v.measured
		}
		fmt.Fprintln(w, line)
	}
	return nil
}

// Growth prints a table of a growth, with the first metric of each side at each size.
func Growth(w io.Writer, p *lab.Part, g *lab.Growth, f *lab.GrowthFigures) error {
	seconds := 0.0
	for i := range f.Points {
		seconds += f.Points[i].Seconds
	}
	fmt.Fprintf(w, "\n%s: %s (%s s)\n", p.Name, g.Name, figure(seconds))
	t, notes := growthTable(g, f)
	err := t.text(w)
	for _, n := range notes {
		fmt.Fprintf(w, "  %s\n", n)
	}
	return err
}

// growthTable has a row for each side and a column for each size. The notes say what is
// missing, and why.
func growthTable(g *lab.Growth, f *lab.GrowthFigures) (t table, notes []string) {
	if len(f.Points) == 0 {
		return table{head: []string{g.Axis}}, []string{"there are no figures"}
	}
	c := g.Case(f.Points[0].N)
	metric := c.Metrics[0]
	t.head = []string{metric.Name + arrow(metric.Best)}
	for _, point := range f.Points {
		t.head = append(t.head, count(point.N))
		if point.Failed != "" {
			notes = append(notes, fmt.Sprintf("%s %s: failed: %s", count(point.N), g.Axis, oneLine(point.Failed)))
		}
	}
	for _, name := range growthSides(f) {
		r := row{cells: []string{name}}
		why := make(map[string][]string) // sizes by reason
		var reasons []string
		for _, point := range f.Points {
			cell := ""
			if s := point.Side(name); s != nil {
				cell = figure(lab.Summarize(s.Samples[metric.Name]).Median)
				if s.Absent != "" {
					if why[s.Absent] == nil {
						reasons = append(reasons, s.Absent)
					}
					why[s.Absent] = append(why[s.Absent], count(point.N))
				}
			}
			r.cells = append(r.cells, cell)
		}
		for _, reason := range reasons {
			notes = append(notes, fmt.Sprintf("%s at %s: %s", name, strings.Join(why[reason], "; "), oneLine(reason)))
		}
		t.rows = append(t.rows, r)
	}
	return t, notes
}

// growthSides are those of all points, as some have more than others.
func growthSides(f *lab.GrowthFigures) (names []string) {
	for _, point := range f.Points {
		for _, s := range point.Sides {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

// shortest is a figure with the digits that it has.
func shortest(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
