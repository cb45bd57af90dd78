package report

import (
	"fmt"
	"strings"

	"github.com/netparts/netparts/internal/bench/lab"
)

// part writes the section of one part.
func (p *page) part(part *lab.Part, f *lab.PartFigures) {
	p.paragraph("## " + part.Name)
	if part.Job != "" {
		p.paragraph("*" + prose(part.Job) + "*")
	}
	if text := strings.TrimSpace(part.Conclusion); text != "" {
		p.paragraph(text)
	}
	p.paragraph(fmt.Sprintf("![%s beside its peers: the ratio of each case, and how cost grows](%s)", part.Name, chartFile(part)))
	p.peers(part)
	for i := range f.Cases {
		if c := caseNamed(part, f.Cases[i].Name); c != nil {
			p.oneCase(c, &f.Cases[i])
		}
	}
	for i := range f.Growths {
		if g := growthNamed(part, f.Growths[i].Name); g != nil {
			p.growth(g, &f.Growths[i])
		}
	}
}

// peers writes what each of the sides is.
func (p *page) peers(part *lab.Part) {
	var items []string
	m := &p.figures.Machine
	for _, peer := range part.Peers {
		item := "**" + plain(peer.Name) + "**: " + prose(peer.What)
		if v := m.Versions[peer.Name]; v != "" {
			item += " (" + plain(v) + ")"
		}
		if why := m.Missing[peer.Name]; why != "" {
			item += ", which was not there: " + prose(oneLine(why))
		}
		items = append(items, item)
	}
	if len(items) > 0 {
		p.paragraph("Ours is compared with:")
		p.list(items...)
	}
}

func (p *page) oneCase(c *lab.Case, f *lab.CaseFigures) {
	p.paragraph("### " + plain(c.Name))
	if c.About != "" {
		p.paragraph(prose(c.About))
	}
	p.failed(f.Failed)
	t := caseTable(c, f)
	p.WriteString(t.markdown() + "\n")
}

func (p *page) failed(why string) {
	if why != "" {
		p.paragraph("**Failed**: " + prose(oneLine(why)))
	}
}

func (p *page) growth(g *lab.Growth, f *lab.GrowthFigures) {
	p.paragraph("### " + plain(g.Name))
	if g.About != "" {
		p.paragraph(prose(g.About))
	}
	t, notes := growthTable(g, f)
	if len(t.head) > 1 {
		p.paragraph("By the number of " + prose(g.Axis) + ":")
		p.WriteString(t.markdown() + "\n")
	}
	if len(notes) > 0 {
		var items []string
		for _, n := range notes {
			items = append(items, prose(n))
		}
		p.list(items...)
	}
}
