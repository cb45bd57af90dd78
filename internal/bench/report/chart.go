package report

import (
	"bytes"
	"image/color"
	"io"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The measures of a chart, in points. A page shows it some 800 pixels wide.
const (
	width  = 600
	margin = 8
	gap    = 16 // between two panels
)

// A panel is one of the pictures in a chart.
type panel interface {
	height() vg.Length
	draw(c draw.Canvas)
}

// chart draws what was found of a part: how each case compares, and how cost grows.
func chart(w io.Writer, p *lab.Part, f *lab.PartFigures) error {
	rows := layout(p, f)
	c := vgsvg.New(width, heightOf(rows))
	paint(draw.New(c), rows)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return err
	}
	// Not every viewer has the font by which the text was laid out. Arial has its widths.
	_, err := w.Write(bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")))
	return err
}

// layout returns the panels of a chart, of which the growths stand side by side.
func layout(p *lab.Part, f *lab.PartFigures) (rows [][]panel) {
	colours := coloursOf(p, f)
	if len(f.Cases) > 0 {
		rows = append(rows, []panel{newRatios(p, f, colours)})
	}
	var pair []panel
	for i := range f.Growths {
		if g := growthNamed(p, f.Growths[i].Name); g != nil && len(f.Growths[i].Points) > 0 {
			pair = append(pair, newCurves(g, &f.Growths[i], colours))
		}
	}
	for some := range slices.Chunk(pair, 2) {
		rows = append(rows, some)
	}
	return rows
}

// coloursOf gives each side one colour in the whole chart. Where there are not enough, those
// of the curves differ, as rows have names besides.
func coloursOf(p *lab.Part, f *lab.PartFigures) map[string]color.Color {
	colours := map[string]color.Color{lab.Ours: ink}
	add := func(name string) {
		if colours[name] == nil {
			colours[name] = palette[(len(colours)-1)%len(palette)]
		}
	}
	for i := range f.Growths {
		for _, name := range growthSides(&f.Growths[i]) {
			add(name)
		}
	}
	for _, peer := range p.Peers {
		add(peer.Name)
	}
	for _, c := range f.Cases {
		for _, s := range c.Sides {
			add(s.Name)
		}
	}
	return colours
}

// highest is how high a row of panels is.
func highest(row []panel) (h vg.Length) {
	for _, p := range row {
		h = max(h, p.height())
	}
	return h
}

func heightOf(rows [][]panel) vg.Length {
	h := vg.Length(2 * margin)
	for i, row := range rows {
		if i > 0 {
			h += gap
		}
		h += highest(row)
	}
	return h
}

// paint draws the panels from the top.
func paint(c draw.Canvas, rows [][]panel) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	top := c.Max.Y - margin
	for _, row := range rows {
		x := c.Min.X + margin
		each := vg.Length(width - 2*margin)
		if _, whole := row[0].(*ratios); !whole {
			each = panelWidth
		}
		for _, p := range row {
			part := c
			part.Rectangle = vg.Rectangle{
				Min: vg.Point{X: x, Y: top - p.height()},
				Max: vg.Point{X: x + each, Y: top},
			}
			p.draw(part)
			x += each + gap
		}
		top -= highest(row) + gap
	}
}
