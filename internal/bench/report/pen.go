package report

import (
	"image/color"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// The colours of a chart, which stands on white also where the page is dark.
var (
	ink   = color.Gray{0x20}
	faint = color.Gray{0x6a}
	grid  = color.Gray{0xdd}
)

// palette has colours of peers that differ for most eyes, also those that see fewer.
var palette = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff},
	color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x5c, 0x9d, 0xff},
	color.RGBA{0xd9, 0x9a, 0x00, 0xff},
	color.RGBA{0x3a, 0xa5, 0xe0, 0xff},
	color.RGBA{0x8c, 0x56, 0x4b, 0xff},
	color.RGBA{0x6a, 0x3d, 0x9a, 0xff},
	color.RGBA{0x7a, 0x8b, 0x1f, 0xff},
	color.RGBA{0xa5, 0x0f, 0x4a, 0xff},
	color.RGBA{0x1b, 0x7f, 0x8c, 0xff},
	color.RGBA{0x84, 0x84, 0x84, 0xff},
}

// letters are a style of text, with what is left of it at its point.
func letters(size vg.Length, c color.Color, bold bool) text.Style {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return text.Style{
		Font: f, Color: c, XAlign: draw.XLeft, YAlign: draw.YCenter,
		Handler: text.Plain{Fonts: font.DefaultCache},
	}
}

// The styles of a chart, for a width of 600 points.
var (
	titleText = letters(11, ink, true)
	headText  = letters(9, ink, true)
	rowText   = letters(8.5, ink, false)
	faintText = letters(8, faint, false)
)

// baseline raises text so that its small letters, not its ascenders and descenders, are in
// the middle.
const baseline = 0.8

// right is the style with what is right of it at its point.
func right(s text.Style) text.Style {
	s.XAlign = draw.XRight
	return s
}

// wrap breaks text into lines that are no wider than they may be, unless a word is.
func wrap(s text.Style, words string, width vg.Length) (lines []string) {
	line := ""
	for w := range strings.FieldsSeq(words) {
		longer := strings.TrimSpace(line + " " + w)
		if line != "" && s.Width(longer) > width {
			lines = append(lines, line)
			longer = w
		}
		line = longer
	}
	return append(lines, line)
}

// cut leaves so much of text as there is room for.
func cut(s text.Style, words string, width vg.Length) string {
	if s.Width(words) <= width {
		return words
	}
	runes := []rune(words)
	for len(runes) > 0 && s.Width(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return strings.TrimSpace(string(runes)) + "…"
}

// newPlot is a plot without data, with logarithmic axes in the style of a chart.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Scale = plot.LogScale{}
		a.Color, a.Tick.Color, a.Tick.Length = faint, faint, 4
		label := letters(8, faint, false)
		label.XAlign, label.YAlign = a.Tick.Label.XAlign, a.Tick.Label.YAlign
		a.Tick.Label = label
		a.Padding = 0
	}
	return p
}

// drawPlot draws a plot with the name of its horizontal axis below. A plot has room for such
// a name where the middle of the axis would be if it were not logarithmic.
func drawPlot(p *plot.Plot, c draw.Canvas, axis string) {
	const below = 12
	middle := faintText
	middle.XAlign = draw.XCenter
	above := draw.Crop(c, 0, 0, below, 0)
	p.Draw(above)
	data := p.DataCanvas(above)
	c.FillText(middle, vg.Point{X: (data.Min.X + data.Max.X) / 2, Y: c.Min.Y + below/2}, axis)
}
