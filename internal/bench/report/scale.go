package report

import (
	"math"

	"gonum.org/v1/plot"
)

// A span is what a logarithmic axis has to show.
type span struct{ low, high float64 }

// The axis ends there, as no difference that matters is larger.
const (
	tiniest = 1e-9
	hugest  = 1e12
)

// shows reports whether a logarithmic axis can show a figure.
func shows(v float64) bool { return v >= tiniest && v <= hugest }

// add has the axis show a figure, if it can.
func (s *span) add(v float64) {
	if !shows(v) {
		return
	}
	if s.low == 0 || v < s.low {
		s.low = v
	}
	s.high = max(s.high, v)
}

// with is the axis with some room at its ends, and never so short that it has no ticks.
func (s span) with(room float64) span {
	if s.low == 0 {
		s = span{1, 1}
	}
	s.low, s.high = s.low/room, s.high*room
	if narrow := math.Sqrt(8 / (s.high / s.low)); narrow > 1 {
		s.low, s.high = s.low/narrow, s.high*narrow
	}
	return s
}

// clamp is the nearest figure that the axis shows.
func (s span) clamp(v float64) float64 { return min(max(v, s.low), s.high) }

// Ticks are at 1, 2 and 5 if the axis is short, and at powers of ten otherwise.
func (s span) Ticks(low, high float64) (list []plot.Tick) {
	decades := math.Log10(high / low)
	step := 1 // in decades
	if decades > 8 {
		step = 2
	}
	for e := int(math.Floor(math.Log10(low))); e <= int(math.Ceil(math.Log10(high))); e++ {
		for d := 1; d < 10; d++ {
			v := float64(d) * math.Pow10(e)
			if v < low || v > high {
				continue
			}
			named := d == 1 && e%step == 0 || decades < 2.2 && (d == 2 || d == 5)
			switch {
			case named:
				list = append(list, plot.Tick{Value: v, Label: shortest(v)})
			case decades < 5 || d == 1:
				list = append(list, plot.Tick{Value: v})
			}
		}
	}
	return list
}
