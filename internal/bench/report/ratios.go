package report

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The measures of the panel of ratios.
const (
	titleHeight = 18
	headHeight  = 12
	headGap     = 4 // above a case
	rowHeight   = 12
	axisHeight  = 28
	labelWidth  = 120 // of the names of peers
	valueWidth  = 48  // of the ratios in figures
	indent      = 10
)

// ratios is a panel with a row for each case and peer.
type ratios struct {
	title []string
	lines []ratioLine
	span  span
	total vg.Length // of the heights of lines
}

// A ratioLine is a line of the name of a case, or a row of a peer.
type ratioLine struct {
	top    vg.Length // from that of the first line
	height vg.Length
	head   string
	peer   string
	colour color.Color
	times  lab.Summary // how many times better ours is
	absent string
}

func newRatios(p *lab.Part, f *lab.PartFigures, colours map[string]color.Color) *ratios {
	r := &ratios{title: wrap(titleText, p.Name+": how many times better ours is than each peer", width-2*margin)}
	r.span.add(0.8)
	r.span.add(1.25)
	for i := range f.Cases {
		if c := caseNamed(p, f.Cases[i].Name); c != nil && len(c.Metrics) > 0 {
			r.addCase(c, &f.Cases[i], colours)
		}
	}
	for _, l := range r.lines {
		if l.times.Rounds > 0 {
			r.span.add(l.times.Low)
			r.span.add(l.times.Median)
			r.span.add(l.times.High)
		}
	}
	r.span = r.span.with(1.12)
	return r
}

func (r *ratios) add(l ratioLine) {
	l.top = r.total
	r.total += l.height
	r.lines = append(r.lines, l)
}

// addCase adds the lines of one case.
func (r *ratios) addCase(c *lab.Case, f *lab.CaseFigures, colours map[string]color.Color) {
	m := c.Metrics[0]
	r.total += headGap
	for _, head := range wrap(headText, c.Name+" ("+m.Name+")", 0.9*width) {
		r.add(ratioLine{height: headHeight, head: head})
	}
	if f.Failed != "" {
		r.add(ratioLine{height: rowHeight, peer: lab.Ours, colour: ink, absent: "failed: " + oneLine(f.Failed)})
	}
	if m.Best == lab.None {
		return
	}
	for _, s := range f.Sides[min(1, len(f.Sides)):] {
		l := ratioLine{height: rowHeight, peer: s.Name, colour: colours[s.Name], absent: oneLine(s.Absent)}
		l.times = better(f.Ratio(m.Name, f.Sides[0].Name, s.Name), m.Best)
		if l.times.Rounds == 0 && l.absent == "" {
			if len(s.Samples[m.Name]) == 0 {
				continue // it has other figures than this one
			}
			l.absent = "less than the noise"
		}
		r.add(l)
	}
}

// better turns a ratio of ours to a peer so that more is better.
func better(s lab.Summary, b lab.Best) lab.Summary {
	if b == lab.Low {
		s.Median, s.Low, s.High = 1/s.Median, 1/s.High, 1/s.Low
	}
	return s
}

func (r *ratios) height() vg.Length {
	return vg.Length(len(r.title))*titleHeight + r.total + axisHeight
}

func (r *ratios) draw(c draw.Canvas) {
	y := c.Max.Y
	for _, line := range r.title {
		c.FillText(titleText, vg.Point{X: c.Min.X, Y: y - titleHeight/2}, line)
		y -= titleHeight
	}
	p := newPlot()
	p.HideY()
	p.Y.Scale, p.Y.Min, p.Y.Max = plot.LinearScale{}, 0, 1
	p.X.Min, p.X.Max = r.span.low, r.span.high
	p.X.Tick.Marker = r.span
	p.Add(&rows{r, c})
	drawPlot(p, draw.Crop(c, labelWidth, -valueWidth, 0, y-c.Max.Y), "times better: ours is better to the right of 1, the peer to the left")
}

// rows draws into a plot, and the names and figures beside it.
type rows struct {
	*ratios
	whole draw.Canvas
}

// Plot is what a plot calls.
func (r *rows) Plot(c draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	for _, t := range r.span.Ticks(r.span.low, r.span.high) {
		if t.Label != "" {
			c.StrokeLine2(draw.LineStyle{Color: grid, Width: 0.5}, x(t.Value), c.Min.Y, x(t.Value), c.Max.Y)
		}
	}
	c.StrokeLine2(draw.LineStyle{Color: ink, Width: 1}, x(1), c.Min.Y, x(1), c.Max.Y)
	each := (c.Max.Y - c.Min.Y) / r.total // about 1: the plot may differ from what was laid out
	for _, l := range r.lines {
		y := c.Max.Y - (l.top+l.height/2)*each
		switch {
		case l.head != "":
			r.head(y, l)
		default:
			r.name(y, l)
			r.mark(c, x, y, l)
		}
	}
}

// head writes the name of a case, which stands over the grid.
func (r *rows) head(y vg.Length, l ratioLine) {
	from := r.whole.Min.X
	r.whole.FillPolygon(color.White, []vg.Point{
		{X: from, Y: y - headHeight/2},
		{X: from + headText.Width(l.head) + 4, Y: y - headHeight/2},
		{X: from + headText.Width(l.head) + 4, Y: y + headHeight/2},
		{X: from, Y: y + headHeight/2},
	})
	r.whole.FillText(headText, vg.Point{X: from, Y: y}, l.head)
}

// name writes the name of a peer and the ratio.
func (r *rows) name(y vg.Length, l ratioLine) {
	style := rowText
	style.Color = l.colour
	name := cut(style, l.peer, labelWidth-indent-4)
	r.whole.FillText(style, vg.Point{X: r.whole.Min.X + indent, Y: y + baseline}, name)
	if l.times.Rounds > 0 {
		r.whole.FillText(right(rowText), vg.Point{X: r.whole.Max.X, Y: y + baseline}, times(l.times.Median))
	}
}

// times tells of a ratio.
func times(v float64) string {
	if math.IsInf(v, 1) {
		return "∞"
	}
	return fmt.Sprintf("× %s", figure(v))
}

// mark draws the dot of a row, and a line from the worst round to the best.
func (r *rows) mark(c draw.Canvas, x func(float64) vg.Length, y vg.Length, l ratioLine) {
	if l.times.Rounds == 0 {
		c.FillText(faintText, vg.Point{X: c.Min.X + 6, Y: y + baseline}, cut(faintText, l.absent, c.Max.X-c.Min.X))
		return
	}
	at := func(v float64) vg.Length { return x(r.span.clamp(v)) }
	c.StrokeLine2(draw.LineStyle{Color: l.colour, Width: 1.5}, at(l.times.Low), y, at(l.times.High), y)
	middle := at(l.times.Median)
	if shows(l.times.Median) {
		c.DrawGlyphNoClip(draw.GlyphStyle{Color: l.colour, Radius: 3, Shape: draw.CircleGlyph{}}, vg.Point{X: middle, Y: y})
		return
	}
	tip := vg.Length(7)
	if l.times.Median < 1 {
		tip = -tip
	}
	c.FillPolygon(l.colour, []vg.Point{{X: middle, Y: y}, {X: middle - tip, Y: y + 4}, {X: middle - tip, Y: y - 4}})
}
