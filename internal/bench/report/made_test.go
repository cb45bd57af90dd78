package report_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/netparts/netparts/internal/bench/lab"
)

// made is a part with so many cases, and what was found of it. The figures are the same in
// each run.
func made(name string, cases int) (lab.Part, lab.PartFigures) {
	random := rand.New(rand.NewPCG(1, 2))
	p := lab.Part{
		Name: name, Job: "moving bytes from A to B",
		Peers: []lab.Peer{
			{Name: "pin", What: "the library `pin/tftp`", Module: "example.com/pin"},
			{Name: "bare", What: "sockets of package net"},
			{Name: "haproxy", What: "the program", Version: func() (string, error) { return "3.0", nil }},
		},
		Conclusion: "Take ours for **windows**, and pin otherwise.\n\n- It is a list.",
	}
	f := lab.PartFigures{Name: name, Seconds: 12}
	sides := []string{"pin", "bare", "haproxy"}
	for i := range cases {
		c := lab.Case{
			Name:    fmt.Sprintf("case %d: windows of %d blocks of 1428 bytes over a long way", i, 1<<(i%12)),
			About:   "One round moves 8 MiB. Contents are compared with `cmp`, byte by byte.",
			Metrics: []lab.Metric{{Name: "server CPU ns", Best: lab.Low}, {Name: "MB/s", Best: lab.High}, {Name: "retries", Best: lab.None}},
			Sides:   lab.Sides(append([]string{lab.Ours}, sides[:1+i%3]...)...),
		}
		found := lab.CaseFigures{Name: c.Name}
		for j, s := range c.Sides {
			base := 100 * math.Pow(1.3, float64(j*(i%7)))
			samples := make(map[string][]float64)
			for range 7 {
				v := math.Round(base * (1 + 0.3*random.Float64()))
				samples["server CPU ns"] = append(samples["server CPU ns"], v)
				samples["MB/s"] = append(samples["MB/s"], math.Round(1e6/v))
				samples["retries"] = append(samples["retries"], 0)
			}
			found.Sides = append(found.Sides, lab.SideFigures{Name: s.Name, Samples: samples})
		}
		p.Cases, f.Cases = append(p.Cases, c), append(f.Cases, found)
	}
	g, grown := growth("open connections", 1e3, []string{lab.Ours, "pin", "bare"})
	p.Growths, f.Growths = append(p.Growths, g), append(f.Growths, grown)
	g, grown = growth("transfers at once, each of a small file of 10 blocks, from 16 clients", 0.02, []string{lab.Ours, "pin", "haproxy"})
	// One point failed, a peer gave up, another one has nothing.
	grown.Points[2].Failed = "the client: out of ports"
	grown.Points[2].Sides[0].Samples = nil
	for i := 3; i < len(grown.Points); i++ {
		grown.Points[i].Sides[1].Absent, grown.Points[i].Sides[1].Samples = "has 1,024 files | at most", nil
	}
	for i := range grown.Points {
		grown.Points[i].Sides[2].Absent, grown.Points[i].Sides[2].Samples = "is not installed: apt-get install haproxy", nil
	}
	p.Growths, f.Growths = append(p.Growths, g), append(f.Growths, grown)
	return p, f
}

// growth is one that has figures of all sides.
func growth(name string, cost float64, sides []string) (lab.Growth, lab.GrowthFigures) {
	metric := lab.Metric{Name: "memory KiB each"}
	g := lab.Growth{
		Name: name, About: "So many stay open.", Axis: "connections",
		Case: func(int) lab.Case {
			return lab.Case{Name: "one size", Sides: lab.Sides(sides...), Metrics: []lab.Metric{metric}}
		},
	}
	f := lab.GrowthFigures{Name: name}
	for i, n := range lab.Powers {
		point := lab.PointFigures{N: n, CaseFigures: lab.CaseFigures{Name: "one size"}}
		for j, s := range sides {
			v := cost * math.Pow(1.5, float64(i*j))
			point.Sides = append(point.Sides, lab.SideFigures{Name: s, Samples: map[string][]float64{metric.Name: {v, 1.1 * v, 0.9 * v}}})
		}
		f.Points = append(f.Points, point)
	}
	return g, f
}

// odd is a part in which everything is odd that can be.
func odd() (lab.Part, lab.PartFigures) {
	cost := []lab.Metric{{Name: "allocations", Best: lab.Low}}
	side := func(name, absent string, figures ...float64) lab.SideFigures {
		return lab.SideFigures{Name: name, Absent: absent, Samples: map[string][]float64{"allocations": figures}}
	}
	p := lab.Part{
		Name: "odd", Job: "a | b <c> & *d*",
		Peers:      []lab.Peer{{Name: "p|pe<r>", What: "a peer | with <tags> & `a|b`"}, {Name: "gone", What: "a program"}},
		Conclusion: "Nothing.",
		Tested:     []string{"It has no | in it (`TestOdd`)."},
		Cases: []lab.Case{
			{
				Name: "names | with <tags> & signs_of_markup", About: "It has <b>, |, and an odd ` quote.",
				Sides: lab.Sides(lab.Ours, "p|pe<r>", "gone"), Metrics: cost,
				Targets: []lab.Target{
					{Metric: "allocations", Zero: true, Reason: "The profile says so | honestly, of `a|b`."},
					{Metric: "allocations", AtMost: 1, Reason: "The profile says so | honestly, of `a|b`."},
					{Metric: "allocations", Than: "p|pe<r>", AtMost: 0.25},
					{Metric: "allocations", Than: "gone", AtMost: 0.5},
					{Metric: "allocations", Side: "p|pe<r>", AtLeast: 3},
				},
			},
			{Name: "nothing of ours", Sides: lab.Sides(lab.Ours, "p|pe<r>"), Metrics: cost, Targets: []lab.Target{{Metric: "allocations", Zero: true}}},
			{Name: "nothing of the peer's", Sides: lab.Sides(lab.Ours, "p|pe<r>"), Metrics: cost},
			{Name: "failed", Sides: lab.Sides(lab.Ours, "p|pe<r>"), Metrics: cost, Targets: []lab.Target{{Metric: "allocations", AtMost: 1}}},
			{Name: "smaller than the noise", Sides: lab.Sides(lab.Ours, "p|pe<r>"), Metrics: cost},
			{Name: "one side", Sides: lab.Sides(lab.Ours), Metrics: []lab.Metric{{Name: "allocations", Best: lab.None}}},
		},
		Growths: []lab.Growth{
			{Name: "a growth <without> points", Axis: "things"},
			{Name: "zeros", Axis: "things", Case: func(int) lab.Case { return lab.Case{Sides: lab.Sides(lab.Ours), Metrics: cost} }},
		},
	}
	f := lab.PartFigures{Name: "odd", Cases: []lab.CaseFigures{
		{Name: p.Cases[0].Name, Sides: []lab.SideFigures{
			side(lab.Ours, "", 2, 2), side("p|pe<r>", "", 4, 5), side("gone", "no program gone:\napt-get install gone"),
		}},
		{Name: p.Cases[1].Name, Sides: []lab.SideFigures{side(lab.Ours, "", 0, 0), side("p|pe<r>", "", 4, 4)}},
		{Name: p.Cases[2].Name, Sides: []lab.SideFigures{side(lab.Ours, "", 1, 1), side("p|pe<r>", "", 0, 0)}},
		{Name: p.Cases[3].Name, Failed: "what came back differs\nclient: exit status 1", Sides: []lab.SideFigures{side(lab.Ours, ""), side("p|pe<r>", "")}},
		{Name: p.Cases[4].Name, Sides: []lab.SideFigures{side(lab.Ours, "", -1), side("p|pe<r>", "", 4)}},
		{Name: p.Cases[5].Name, Sides: []lab.SideFigures{side(lab.Ours, "", 12345678)}},
		{Name: "a case that the program no longer has"},
	}, Growths: []lab.GrowthFigures{
		{Name: p.Growths[0].Name},
		{Name: "zeros", Points: []lab.PointFigures{{N: 1, CaseFigures: lab.CaseFigures{Sides: []lab.SideFigures{side(lab.Ours, "", 0)}}}}},
		{Name: "a growth that the program no longer has"},
	}}
	return p, f
}

// results are figures of several parts. One of the program's has none, and one has figures
// that is none of the program's.
func results() ([]lab.Part, *lab.Figures) {
	small, foundSmall := made("tftp", 2)
	large, foundLarge := made("echo", 15)
	strange, foundStrange := odd()
	return []lab.Part{small, large, {Name: "unmeasured"}, strange}, &lab.Figures{
		Command: "go run . -o .", Rounds: 7, Seconds: 754,
		Parts: []lab.PartFigures{foundStrange, foundLarge, foundSmall, {Name: "forgotten"}},
		Machine: lab.Machine{
			Processor: "A Processor (R) @ 2.0 GHz", System: "Linux 6.1", Go: "go1.26", Processors: 2, Memory: 8 << 30,
			Versions: map[string]string{"pin": "example.com/pin v3.2.0", "another": "1.0", "pin, twice": "example.com/pin v3.2.0", "bare": ""},
			Missing:  map[string]string{"haproxy": "apt-get install haproxy", "gone": "apt-get install gone"},
			Noise:    []float64{0.021, 0.02, 0.031},
		},
	}
}
