package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// A page is RESULTS.md while it is written.
type page struct {
	strings.Builder
	parts   []lab.Part // of the program
	figures *lab.Figures
}

// markdown writes all of the page.
func markdown(parts []lab.Part, f *lab.Figures) string {
	p := page{parts: parts, figures: f}
	p.paragraph("# Results")
	p.paragraph("What the parts of this library cost beside the packages and programs that people use for the same jobs.",
		"Each part has a section of its own that can be read alone: what to conclude for a choice, a chart, and the figures.",
		"All of this page and its charts were written by one run of the program in this folder; the figures of each round are in "+
			"[results.json](results.json). To repeat it: `"+cmp.Or(f.Command, "go run .")+"`.")
	p.contents()
	p.reading()
	p.machine()
	p.targets()
	p.each(p.part)
	return p.String()
}

// each calls do for each part that has figures, in the order of the program.
func (p *page) each(do func(part *lab.Part, f *lab.PartFigures)) {
	for i := range p.parts {
		for j := range p.figures.Parts {
			if p.figures.Parts[j].Name == p.parts[i].Name {
				do(&p.parts[i], &p.figures.Parts[j])
			}
		}
	}
}

// caseNamed returns a case of a part, or nil if it is not one of the program's.
func caseNamed(p *lab.Part, name string) *lab.Case {
	for i := range p.Cases {
		if p.Cases[i].Name == name {
			return &p.Cases[i]
		}
	}
	return nil
}

// growthNamed returns a growth of a part, or nil.
func growthNamed(p *lab.Part, name string) *lab.Growth {
	for i := range p.Growths {
		if p.Growths[i].Name == name {
			return &p.Growths[i]
		}
	}
	return nil
}

// paragraph writes sentences and a blank line.
func (p *page) paragraph(sentences ...string) {
	p.WriteString(strings.Join(sentences, "\n") + "\n\n")
}

// list writes a line for each item.
func (p *page) list(items ...string) {
	for _, item := range items {
		p.WriteString("- " + item + "\n")
	}
	p.WriteString("\n")
}

func (p *page) contents() {
	var links []string
	p.each(func(part *lab.Part, _ *lab.PartFigures) {
		job, _, _ := strings.Cut(part.Job, ". ")
		links = append(links, fmt.Sprintf("[%s](#%s) (%s)", part.Name, part.Name, prose(job)))
	})
	p.list(append([]string{"[How to read it](#how-to-read-it)", "[The machine](#the-machine)", "[Targets](#targets)"}, links...)...)
}

func (p *page) reading() {
	p.paragraph("## How to read it")
	p.list(
		"All sides of a case do the same work on the same machine in turn, round by round, each time in another order. "+
			"Every transfer, reply and record is checked in the way that its case says, and what fails a check is shown as failed.",
		"A figure is the median of the rounds. An arrow says where figures are better: "+
			"costs are better low (↓), rates high (↑). What has no arrow is told and not compared.",
		"\"Ours is\" is the figure of ours divided by that of the peer, within each round: the median of these ratios, with the lowest "+
			"and the highest. Of a cost, 0.50 means that ours takes half; of a rate, 2.00 means that ours does twice as much. "+
			"Where the lowest and the highest stand on both sides of 1, the two do not differ in a way that this run could show.",
		"CPU is the time of user and system of the process under test, and of the processes that work for it, read from outside; "+
			"where calls within one process are measured, it is that of this process, with its collector of garbage. "+
			"Where a client and a server share two processors, it tells more than throughput, which also waits for the client.",
		"Memory is what remains after a collection of garbage. The kernel's part is that of the whole machine, which has both ends of each connection.",
		"A case that a peer cannot do says so in the row of the peer, and so does a peer that is not installed or that gave up.",
		"In the charts, to the right of 1 ours is better, by so many times; the line goes from the worst round to the best. "+
			"An arrowhead stands where one of the two needs nothing at all.",
	)
}

func (p *page) machine() {
	f, m := p.figures, &p.figures.Machine
	p.paragraph("## The machine")
	t := table{head: []string{"", ""}}
	add := func(name, value string) {
		if value != "" {
			t.rows = append(t.rows, row{cells: []string{name, value}})
		}
	}
	add("Processor", strings.TrimSpace(fmt.Sprintf("%s, %d of them", m.Processor, m.Processors)))
	add("Memory", figure(float64(m.Memory)/(1<<30))+" GiB")
	add("Kernel", m.System)
	add("Go", m.Go)
	add("Command", f.Command)
	add("Rounds", fmt.Sprintf("%d of each case that does not say otherwise, %d of each size where cost grows", f.Rounds, min(f.Rounds, lab.GrowthRounds)))
	add("It took", (time.Duration(f.Seconds) * time.Second).String())
	names := make(map[string][]string) // of peers by their versions, as some are ways to use the same
	for _, name := range slices.Sorted(maps.Keys(m.Versions)) {
		names[m.Versions[name]] = append(names[m.Versions[name]], name)
	}
	for _, version := range slices.Sorted(maps.Keys(names)) {
		add("Peer "+strings.Join(names[version], "; "), version)
	}
	p.WriteString(strings.Replace(t.markdown(), "|--:|", "|---|", 1) + "\n")
	p.noise()
	if len(m.Missing) > 0 {
		p.paragraph("What was not installed was left out:")
		var items []string
		for _, name := range slices.Sorted(maps.Keys(m.Missing)) {
			items = append(items, plain(name)+": "+prose(oneLine(m.Missing[name])))
		}
		p.list(items...)
	}
}

func (p *page) noise() {
	s := lab.Summarize(p.figures.Machine.Noise)
	if s.Rounds == 0 {
		return
	}
	ms := func(seconds float64) string { return figure(seconds*1e3) + " ms" }
	p.paragraph(
		fmt.Sprintf("Noise: the same piece of work, which needs one processor and nothing else, was timed %s times, before each case.", count(s.Rounds)),
		fmt.Sprintf("It took %s in the median, %s at best and %s at worst.", ms(s.Median), ms(s.Low), ms(s.High)),
		"A difference between two sides that is smaller than this one, in proportion, says little.")
}

func (p *page) targets() {
	by := make(map[string][]verdict)
	total := 0
	p.each(func(part *lab.Part, f *lab.PartFigures) {
		for _, v := range verdicts(part, f) {
			by[v.result] = append(by[v.result], v)
			total++
		}
	})
	p.paragraph("## Targets")
	if total == 0 {
		p.paragraph("There are none.")
		return
	}
	summary := fmt.Sprintf("What the library set out to reach, and what came of it: of %d targets %d are met, %d are missed", total, len(by[met]), len(by[missed]))
	if n := len(by[notMeasured]); n > 0 {
		summary += fmt.Sprintf(", and %d were not measured", n)
	}
	p.paragraph(summary+".", "A target with a peer in it is about the ratio of ours to the peer. The median of the rounds has to keep it.")
	if list := by[missed]; len(list) > 0 {
		p.paragraph("### Missed")
		p.verdicts(list, true, "No reason is known.")
	}
	if list := by[notMeasured]; len(list) > 0 {
		p.paragraph("### Not measured")
		p.verdicts(list, true, "")
	}
	if list := by[met]; len(list) > 0 {
		p.paragraph("### Met")
		p.verdicts(list, false, "")
	}
	p.tested()
}

// tested lists the targets that have no case.
func (p *page) tested() {
	var items []string
	p.each(func(part *lab.Part, _ *lab.PartFigures) {
		for _, what := range part.Tested {
			items = append(items, fmt.Sprintf("[%s](#%s): %s", part.Name, part.Name, prose(what)))
		}
	})
	if len(items) > 0 {
		p.paragraph("### Shown by tests", "What yields no ratio, or takes programs and time that a case has not, is a test of the package:")
		p.list(items...)
	}
}

// verdicts writes a table of targets.
func (p *page) verdicts(list []verdict, reasons bool, unknown string) {
	head, rule := "| part | case | target | measured |", "|---|---|---|---|"
	if reasons {
		head, rule = head+" why |", rule+"---|"
	}
	p.WriteString(head + "\n" + rule + "\n")
	last := ""
	for _, v := range list {
		fmt.Fprintf(p, "| [%s](#%s) | %s | %s | %s |", v.part, v.part, plain(v.name), plain(v.target), plain(v.measured))
		if reasons {
			why := v.reason
			switch why {
			case "":
				why = unknown
			case last:
				why = "As above."
			}
			last = v.reason
			fmt.Fprintf(p, " %s |", prose(why))
		}
		p.WriteString("\n")
	}
	p.WriteString("\n")
}
