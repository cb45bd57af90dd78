//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/report"
	"github.com/netparts/netparts/internal/interop"
)

// A target of a metric that is spelled in another way would never be missed.
func TestPartsAreSound(t *testing.T) {
	for _, p := range parts() {
		t.Run(p.Name, func(t *testing.T) {
			if p.Name == "" || p.Job == "" {
				t.Errorf("the part %q is for %q", p.Name, p.Job)
			}
			unique(t, "case", caseNames(&p))
			sides := make(map[string]bool)
			for i := range p.Cases {
				soundCase(t, &p.Cases[i], sides)
			}
			for _, g := range p.Growths {
				if g.Axis == "" || g.About == "" {
					t.Errorf("%s: of %q: %q", g.Name, g.Axis, g.About)
				}
				points := g.Points
				if points == nil {
					points = lab.Powers
				}
				for _, n := range points {
					c := g.Case(n)
					c.Name, c.About = fmt.Sprintf("%s, %d", g.Name, n), g.About
					soundCase(t, &c, sides)
				}
			}
			var peers []string
			for _, peer := range p.Peers {
				peers = append(peers, peer.Name)
				if !sides[peer.Name] || peer.What == "" {
					t.Errorf("the peer %q, which is %q, is a side of a case: %v", peer.Name, peer.What, sides[peer.Name])
				}
			}
			unique(t, "peer", peers)
		})
	}
}

// TestNamedTests looks for each test that the results name.
func TestNamedTests(t *testing.T) {
	name := regexp.MustCompile("`(Test\\w+)`")
	for _, p := range parts() {
		var source []byte
		files, err := filepath.Glob(filepath.Join("..", "..", p.Name, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			source = append(source, text...)
		}
		for _, what := range p.Tested {
			found := name.FindStringSubmatch(what)
			if found == nil || !bytes.Contains(source, []byte("\nfunc "+found[1]+"(t *testing.T)")) {
				t.Errorf("%s: no such test: %s", p.Name, what)
			}
		}
	}
}

// soundCase looks at one case, and adds its sides.
func soundCase(t *testing.T, c *lab.Case, sides map[string]bool) {
	t.Helper()
	if c.Name == "" || c.About == "" || c.Run == nil || len(c.Metrics) == 0 {
		t.Errorf("case %q: about %q, %d metrics", c.Name, c.About, len(c.Metrics))
		return
	}
	if len(c.Sides) == 0 || c.Sides[0].Name != lab.Ours || c.Sides[0].Cannot != "" || c.Sides[0].Missing != nil {
		t.Errorf("%s: the first side is not ours", c.Name)
	}
	if c.Metrics[0].Best == lab.None {
		t.Errorf("%s: the first metric, %s, is not compared", c.Name, c.Metrics[0].Name)
	}
	var names, metrics []string
	for _, s := range c.Sides {
		names = append(names, s.Name)
		sides[s.Name] = true
	}
	known := make(map[string]bool)
	for _, m := range c.Metrics {
		metrics = append(metrics, m.Name)
		known[m.Name] = true
	}
	unique(t, c.Name+": side", names)
	unique(t, c.Name+": metric", metrics)
	for _, target := range c.Targets {
		limits := 0
		for _, set := range []bool{target.Zero, target.AtMost != 0, target.AtLeast != 0} {
			if set {
				limits++
			}
		}
		if limits != 1 || !known[target.Metric] || target.Than == lab.Ours && target.Side == "" {
			t.Errorf("%s: a target with %d limits, of the metric %q, beside %q", c.Name, limits, target.Metric, target.Than)
		}
		for _, name := range []string{target.Side, target.Than} {
			if name != "" && !slices.Contains(names, name) {
				t.Errorf("%s: a target of the side %q", c.Name, name)
			}
		}
	}
}

func unique(t *testing.T, what string, names []string) {
	t.Helper()
	seen := make(map[string]bool)
	for _, name := range names {
		if name == "" || seen[name] {
			t.Errorf("%s %q is there twice, or has no name", what, name)
		}
		seen[name] = true
	}
}

// What is checked in comes from one run of all parts, as they are now.
func TestResultsAreCurrent(t *testing.T) {
	f, err := read(resultsFile) // which go run . -o . has written
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := report.Write(dir, parts(), f); err != nil {
		t.Fatal(err)
	}
	sameFile(t, report.PageFile, filepath.Join(dir, report.PageFile)) // to mend it: go run . -from results.json -o .
	page, err := os.ReadFile(report.PageFile)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]*lab.PartFigures)
	for i := range f.Parts {
		found[f.Parts[i].Name] = &f.Parts[i]
	}
	for _, p := range parts() {
		if found[p.Name] == nil {
			t.Errorf("%s has no figures", p.Name)
			continue
		}
		if p.Conclusion == "" || len(p.Growths) == 0 {
			t.Errorf("%s: %d growths, and the conclusion %q", p.Name, len(p.Growths), p.Conclusion)
		}
		chart := p.Name + ".svg"
		if _, err := os.Stat(chart); err != nil || !bytes.Contains(page, []byte("]("+chart+")")) {
			t.Errorf("%s: the chart is not there, or not on the page (error: %v)", p.Name, err)
		}
		completeFigures(t, &p, found[p.Name])
	}
}

// completeFigures looks at the figures of a part: each case has some, and each target that
// is missed a reason.
func completeFigures(t *testing.T, p *lab.Part, f *lab.PartFigures) {
	t.Helper()
	cases := make(map[string]*lab.CaseFigures)
	for i := range f.Cases {
		cases[f.Cases[i].Name] = &f.Cases[i]
	}
	for _, c := range p.Cases {
		found := cases[c.Name]
		if found == nil || found.Failed != "" {
			t.Errorf("%s: %s has no figures, or failed", p.Name, c.Name)
			continue
		}
		for _, target := range c.Targets {
			if s, met := found.Check(target); !met && s.Rounds > 0 && target.Reason == "" {
				t.Errorf("%s: %s: %s at %.3g misses its target without a reason: %+v", p.Name, c.Name, target.Metric, s.Median, target)
			}
		}
	}
	grown := make(map[string]bool)
	for _, g := range f.Growths {
		grown[g.Name] = len(g.Points) > 0
	}
	for _, g := range p.Growths {
		if !grown[g.Name] {
			t.Errorf("%s: %s has no figures", p.Name, g.Name)
		}
	}
}

// TestInteropPeers does as little as can be of what takes other programs. Where they are
// required, each side has to take part.
func TestInteropPeers(t *testing.T) {
	for _, p := range parts() {
		names, cannot, missing := needy(&p)
		if len(names) == 0 {
			continue
		}
		t.Run(p.Name, func(t *testing.T) {
			absent := t.Skipf
			if interop.Required() {
				absent = t.Fatalf
			}
			if len(missing) > 0 {
				absent("%s", strings.Join(missing, "\n"))
			}
			dir := t.TempDir()
			var stdout, stderr bytes.Buffer
			args := []string{"-tiny", "-rounds=1", "-parts=" + p.Name, "-cases=^(?:" + strings.Join(names, "|") + ")$", "-o=" + dir}
			if code := run(t.Context(), parts(), args, &stdout, &stderr); code != 0 {
				t.Fatalf("exit status %d: %s", code, &stderr)
			}
			f, err := read(filepath.Join(dir, resultsFile))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range f.Parts[0].Cases {
				for _, s := range c.Sides {
					if s.Absent != "" && !cannot[c.Name+"\n"+s.Name] {
						absent("%s: %s: %s", c.Name, s.Name, s.Absent)
					}
				}
			}
		})
	}
}

// needy returns expressions for the names of the cases that take other programs, the cases
// and sides that cannot do the work at all, and what is missing.
func needy(p *lab.Part) (names []string, cannot map[string]bool, missing []string) {
	cannot = make(map[string]bool)
	for _, peer := range p.Peers {
		if peer.Version != nil {
			if _, err := peer.Version(); err != nil {
				missing = append(missing, fmt.Sprintf("%s: %v", peer.Name, err))
			}
		}
	}
	for _, c := range p.Cases {
		needs := false
		for _, s := range c.Sides {
			cannot[c.Name+"\n"+s.Name] = s.Cannot != ""
			if s.Missing == nil {
				continue
			}
			needs = true
			if err := s.Missing(); err != nil {
				missing = append(missing, fmt.Sprintf("%s: %s: %v", c.Name, s.Name, err))
			}
		}
		if needs {
			names = append(names, regexp.QuoteMeta(c.Name))
		}
	}
	return names, cannot, missing
}
