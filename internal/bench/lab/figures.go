package lab

import (
	"math"
	"slices"
)

// Figures are what a run has found.
type Figures struct {
	Machine Machine
	Command string // that made them
	Rounds  int
	Seconds int // that all took
	Parts   []PartFigures
}

// A Machine is what the figures belong to.
type Machine struct {
	Processor, System, Go string
	Processors            int
	Memory                int64             // bytes
	Versions              map[string]string // of peers, by the names of their sides
	Missing               map[string]string // what is not installed, with the reason
	Noise                 []float64         // seconds of a fixed piece of work, before each case
}

// PartFigures are those of one part.
type PartFigures struct {
	Name    string
	Seconds int
	Cases   []CaseFigures
	Growths []GrowthFigures
}

// CaseFigures are those of one case.
type CaseFigures struct {
	Name    string
	Failed  string  // why the case has no figures, or not all
	Seconds float64 // that it took
	Sides   []SideFigures
}

// SideFigures are those of one side.
type SideFigures struct {
	Name    string
	Absent  string               // why it has no figures, or not all
	Samples map[string][]float64 // by metric, one a round
}

// GrowthFigures are those of a case at several sizes.
type GrowthFigures struct {
	Name   string
	Points []PointFigures
}

// PointFigures are those of one size.
type PointFigures struct {
	N int
	CaseFigures
}

// Side returns the figures of one side, or nil.
func (c *CaseFigures) Side(name string) *SideFigures {
	for i := range c.Sides {
		if c.Sides[i].Name == name {
			return &c.Sides[i]
		}
	}
	return nil
}

// A Summary is what is told of the figures of some rounds.
type Summary struct {
	Median, Low, High float64
	Rounds            int // 0 if there is nothing to tell
}

// Summarize returns the median, the lowest and the highest.
func Summarize(list []float64) Summary {
	if len(list) == 0 {
		return Summary{Median: math.NaN(), Low: math.NaN(), High: math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return Summary{
		Median: (sorted[(n-1)/2] + sorted[n/2]) / 2,
		Low:    sorted[0], High: sorted[n-1], Rounds: n,
	}
}

// Ratio returns the summary of the ratios of two sides within each round. The rounds of a
// side are the first ones, if it has not all.
func (c *CaseFigures) Ratio(metric, side, than string) Summary {
	a, b := c.Side(side), c.Side(than)
	if a == nil || b == nil {
		return Summarize(nil)
	}
	var list []float64
	for i, v := range a.Samples[metric] {
		if i < len(b.Samples[metric]) {
			if r, ok := quotient(v, b.Samples[metric][i]); ok {
				list = append(list, r)
			}
		}
	}
	return Summarize(list)
}

// quotient returns the ratio of two figures, if they have one: nothing is as much as
// nothing, and anything infinitely more. A growth of memory that is smaller than the noise
// can be negative, which is no share of anything.
func quotient(a, b float64) (float64, bool) {
	switch {
	case a < 0 || b < 0:
		return 0, false
	case a == b:
		return 1, true
	case b == 0:
		return math.Inf(1), true
	}
	return a / b, true
}

// Check returns the figure that a target is about, and whether it keeps the limit. There
// is no figure if its Rounds is 0.
func (c *CaseFigures) Check(t Target) (Summary, bool) {
	if len(c.Sides) == 0 {
		return Summarize(nil), false
	}
	side := t.Side
	if side == "" {
		side = c.Sides[0].Name
	}
	var s Summary
	if t.Than != "" {
		s = c.Ratio(t.Metric, side, t.Than)
	} else if f := c.Side(side); f != nil {
		s = Summarize(f.Samples[t.Metric])
	}
	switch {
	case s.Rounds == 0:
		return s, false
	case t.AtLeast != 0:
		return s, s.Median >= t.AtLeast
	}
	return s, s.Median <= t.AtMost // which is 0 where Zero is set
}
