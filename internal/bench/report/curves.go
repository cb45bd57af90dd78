package report

import (
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The measures of a panel of curves.
const (
	panelWidth = (width - 2*margin - gap) / 2
	lineHeight = 12
	plotHeight = 170
	swatch     = 14 // the line before a name in the legend
)

// curves is a panel that shows how cost grows with the number of things.
type curves struct {
	title  []string
	metric string
	axis   string
	curves []curve
	legend [][]int // the curves of each line of it
	x, y   span
}

// A curve is that of one side.
type curve struct {
	name   string
	colour color.Color
	points plotter.XYs
}

func newCurves(g *lab.Growth, f *lab.GrowthFigures, colours map[string]color.Color) *curves {
	metric := g.Case(f.Points[0].N).Metrics[0]
	p := &curves{
		title: wrap(headText, g.Name, panelWidth), axis: g.Axis,
		metric: cut(faintText, metric.Name+arrow(metric.Best)+", by "+g.Axis, panelWidth),
	}
	for _, name := range growthSides(f) {
		c := curve{name: name, colour: colours[name]}
		for _, point := range f.Points {
			p.x.add(float64(point.N))
			s := point.Side(name)
			if s == nil {
				continue
			}
			if v := lab.Summarize(s.Samples[metric.Name]).Median; shows(v) {
				c.points = append(c.points, plotter.XY{X: float64(point.N), Y: v})
				p.y.add(v)
			}
		}
		if len(c.points) > 0 {
			p.curves = append(p.curves, c)
		}
	}
	p.x, p.y = p.x.with(1.25), p.y.with(1.25)
	p.layLegend()
	return p
}

// layLegend puts as many names into a line as there is room for.
func (p *curves) layLegend() {
	used := vg.Length(panelWidth)
	for i, c := range p.curves {
		w := entryWidth(c.name)
		if used+w > panelWidth {
			p.legend = append(p.legend, nil)
			used = 0
		}
		last := len(p.legend) - 1
		p.legend[last] = append(p.legend[last], i)
		used += w
	}
}

// entryWidth is how wide a name with its line and its distance from the next is, in which
// there is some room for wider letters.
func entryWidth(name string) vg.Length { return swatch + 3 + rowText.Width(name) + 14 }

func (p *curves) height() vg.Length {
	return vg.Length(len(p.title)+1+len(p.legend))*lineHeight + plotHeight
}

func (p *curves) draw(c draw.Canvas) {
	y := c.Max.Y
	for _, line := range p.title {
		c.FillText(headText, vg.Point{X: c.Min.X, Y: y - lineHeight/2}, line)
		y -= lineHeight
	}
	c.FillText(faintText, vg.Point{X: c.Min.X, Y: y - lineHeight/2}, p.metric)
	y -= lineHeight
	for _, line := range p.legend {
		x := c.Min.X
		for _, i := range line {
			e := p.curves[i]
			c.StrokeLine2(draw.LineStyle{Color: e.colour, Width: 2}, x, y-lineHeight/2, x+swatch, y-lineHeight/2)
			c.FillText(rowText, vg.Point{X: x + swatch + 3, Y: y - lineHeight/2 + baseline}, e.name)
			x += entryWidth(e.name)
		}
		y -= lineHeight
	}
	if len(p.curves) == 0 {
		c.FillText(faintText, vg.Point{X: c.Min.X, Y: y - lineHeight}, "no figures")
		return
	}
	drawPlot(p.plot(), draw.Crop(c, 0, 0, 0, y-c.Max.Y-4), p.axis)
}

// plot is the axes with the curves, of which ours stands above the others.
func (p *curves) plot() *plot.Plot {
	pl := newPlot()
	pl.X.Min, pl.X.Max = p.x.low, p.x.high
	pl.Y.Min, pl.Y.Max = p.y.low, p.y.high
	pl.X.Tick.Marker, pl.Y.Tick.Marker = p.x, p.y
	lines := plotter.NewGrid()
	lines.Vertical.Color, lines.Horizontal.Color = grid, grid
	pl.Add(lines)
	for i := len(p.curves) - 1; i >= 0; i-- {
		c := p.curves[i]
		line := &plotter.Line{XYs: c.points, LineStyle: draw.LineStyle{Color: c.colour, Width: 1.5}}
		dots := &plotter.Scatter{XYs: c.points, GlyphStyle: draw.GlyphStyle{Color: c.colour, Radius: 2.5, Shape: draw.CircleGlyph{}}}
		pl.Add(line, dots)
	}
	return pl
}
