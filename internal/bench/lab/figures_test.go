package lab_test

import (
	"math"
	"testing"

	"github.com/netparts/netparts/internal/bench/lab"
)

func TestSummarize(t *testing.T) {
	for _, tt := range []struct {
		name string
		list []float64
		want lab.Summary
	}{
		{"one round", []float64{3}, lab.Summary{Median: 3, Low: 3, High: 3, Rounds: 1}},
		{"odd", []float64{9, 1, 2}, lab.Summary{Median: 2, Low: 1, High: 9, Rounds: 3}},
		{"even", []float64{4, 1, 2, 9}, lab.Summary{Median: 3, Low: 1, High: 9, Rounds: 4}},
		{"infinite", []float64{1, math.Inf(1), math.Inf(1)}, lab.Summary{Median: math.Inf(1), Low: 1, High: math.Inf(1), Rounds: 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := lab.Summarize(tt.list); got != tt.want {
				t.Errorf("Summarize(%v) = %v, want %v", tt.list, got, tt.want)
			}
		})
	}
	if got := lab.Summarize(nil); got.Rounds != 0 || !math.IsNaN(got.Median) {
		t.Errorf("Summarize(nil) = %v, want nothing", got)
	}
}

// figures are those of two sides.
func figures(ours, peer []float64) *lab.CaseFigures {
	return &lab.CaseFigures{Sides: []lab.SideFigures{
		{Name: lab.Ours, Samples: map[string][]float64{"cost": ours}},
		{Name: "peer", Samples: map[string][]float64{"cost": peer}},
	}}
}

func TestRatio(t *testing.T) {
	inf := math.Inf(1)
	for _, tt := range []struct {
		name       string
		ours, peer []float64
		want       lab.Summary
	}{
		// The ratio of the medians would be 1.
		{"within rounds", []float64{1, 2, 3}, []float64{2, 1, 6}, lab.Summary{Median: 0.5, Low: 0.5, High: 2, Rounds: 3}},
		{"a peer that was given up", []float64{1, 2, 3}, []float64{2}, lab.Summary{Median: 0.5, Low: 0.5, High: 0.5, Rounds: 1}},
		{"nothing and nothing", []float64{0}, []float64{0}, lab.Summary{Median: 1, Low: 1, High: 1, Rounds: 1}},
		{"nothing of ours", []float64{0}, []float64{2}, lab.Summary{Rounds: 1}},
		{"nothing of the peer's", []float64{2}, []float64{0}, lab.Summary{Median: inf, Low: inf, High: inf, Rounds: 1}},
		{"smaller than the noise", []float64{-1, 2}, []float64{2, 4}, lab.Summary{Median: 0.5, Low: 0.5, High: 0.5, Rounds: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := figures(tt.ours, tt.peer).Ratio("cost", lab.Ours, "peer"); got != tt.want {
				t.Errorf("Ratio of %v to %v = %v, want %v", tt.ours, tt.peer, got, tt.want)
			}
		})
	}
	if got := figures(nil, nil).Ratio("cost", lab.Ours, "nobody"); got.Rounds != 0 {
		t.Errorf("ratio to nobody: %v, want nothing", got)
	}
}

func TestCheck(t *testing.T) {
	f := figures([]float64{2, 4, 3}, []float64{6, 6, 6})
	zero := figures([]float64{0, 0, 1}, nil)
	for _, tt := range []struct {
		name    string
		figures *lab.CaseFigures
		target  lab.Target
		figure  float64
		met     bool
	}{
		{"ratio at most", f, lab.Target{Metric: "cost", Than: "peer", AtMost: 0.5}, 0.5, true},
		{"ratio over", f, lab.Target{Metric: "cost", Than: "peer", AtMost: 0.4}, 0.5, false},
		{"ratio at least", f, lab.Target{Metric: "cost", Than: "peer", AtLeast: 0.5}, 0.5, true},
		{"ratio under", f, lab.Target{Metric: "cost", Than: "peer", AtLeast: 0.6}, 0.5, false},
		{"figure", f, lab.Target{Metric: "cost", AtMost: 3}, 3, true},
		{"figure over", f, lab.Target{Metric: "cost", AtMost: 2.9}, 3, false},
		{"of another side", f, lab.Target{Metric: "cost", Side: "peer", AtMost: 5}, 6, false},
		{"another side than ours", f, lab.Target{Metric: "cost", Side: "peer", Than: lab.Ours, AtLeast: 2}, 2, true},
		{"nothing", zero, lab.Target{Metric: "cost", Zero: true}, 0, true},
		{"not nothing", f, lab.Target{Metric: "cost", Zero: true}, 3, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, met := tt.figures.Check(tt.target)
			if s.Median != tt.figure || met != tt.met {
				t.Errorf("Check(%+v) = %v, %v, want %v, %v", tt.target, s.Median, met, tt.figure, tt.met)
			}
		})
	}
	for _, target := range []lab.Target{
		{Metric: "cost", Than: "nobody", AtMost: 1},
		{Metric: "speed", AtMost: 1},
		{Metric: "cost", Side: "nobody", Zero: true},
	} {
		if s, met := f.Check(target); s.Rounds != 0 || met {
			t.Errorf("Check(%+v) = %v, %v, want nothing", target, s, met)
		}
	}
	if s, met := new(lab.CaseFigures).Check(lab.Target{Zero: true}); s.Rounds != 0 || met {
		t.Errorf("without sides: %v, %v, want nothing", s, met)
	}
}
