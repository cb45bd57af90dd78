//go:build linux

package heartbeatbench

import (
	"fmt"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The metrics of fleets.
const (
	idleCPU      = "idle CPU ms/s"
	touchedCPU   = "touched CPU ms/s"
	pingerMemory = "B/pinger"
	goroutines   = "goroutines/pinger"
	pingCPU      = "CPU µs/ping"
)

const (
	many  = 10_000  // pingers, with an interval of a second
	touch = 200_000 // times in a second, all of them together
)

func fleetsCase() lab.Case {
	return lab.Case{
		Name: "10,000 pingers",
		About: "Starts 10,000 pingers with an interval of a second, spread over a second, in a process of their own. Then nothing arrives for a while, and then " +
			"200,000 touches a second, which keep all from pinging. The CPU time is that of the process in a second. Memory is heap and stacks without garbage. " +
			"It is counted how many pings are written and how many touches are made.",
		Sides:   lab.Sides(lab.Ours, goroutine, timers),
		Metrics: []lab.Metric{{Name: idleCPU}, {Name: touchedCPU}, {Name: pingerMemory}, {Name: goroutines}},
		Targets: []lab.Target{
			{Metric: idleCPU, Than: goroutine, AtMost: 0.35, Reason: idleReason},
			{Metric: touchedCPU, Than: goroutine, AtMost: 0.15},
			{Metric: pingerMemory, AtMost: 0.35 * 1024},
			{Metric: goroutines, AtMost: 0.01},
		},
		Run: func(t *lab.T) {
			s := sailing{
				T: t, count: lab.Of(t, many, 100), interval: lab.Of(t, time.Second, 20*time.Millisecond),
				spread: lab.Of(t, time.Second, 20*time.Millisecond),
				window: lab.Of(t, 500*time.Millisecond, 40*time.Millisecond), rate: lab.Of(t, touch, 20_000),
			}
			s.each(func(side string, c cost) {
				t.Record(side, idleCPU, c.idle*1e3)
				t.Record(side, touchedCPU, c.touched*1e3)
				t.Record(side, pingerMemory, c.memory)
				t.Record(side, goroutines, c.goroutines)
			})
		},
	}
}

// fleetsGrowth shows one metric, with shorter intervals, or it would take long.
func fleetsGrowth(name, metric string) lab.Growth {
	g := lab.Growth{
		Name: name, Axis: "pingers",
		About: "Pingers with an interval of a quarter of a second, started spread over one, to which nothing arrives. The CPU time is that of the process, for a ping that is written.",
	}
	if metric == pingerMemory {
		g.About = "Heap and stacks of so many pingers without garbage, for each of them."
	}
	g.Case = func(n int) lab.Case {
		return lab.Case{
			Name: fmt.Sprintf("%s, %d", name, n), Sides: lab.Sides(lab.Ours, goroutine), Metrics: []lab.Metric{{Name: metric}},
			Run: func(t *lab.T) {
				interval := lab.Of(t, 250*time.Millisecond, 20*time.Millisecond)
				s := sailing{T: t, count: n, interval: interval, spread: interval, window: interval}
				if metric == pingerMemory {
					s.interval, s.spread, s.window = time.Hour, 0, 0 // for which none has to ping
				}
				s.each(func(side string, c cost) {
					figure := c.memory
					if metric == pingCPU {
						figure = c.ping * 1e6
					}
					t.Record(side, metric, figure)
				})
			},
		}
	}
	return g
}

const settle = 150 * time.Millisecond

// A sailing has fleets of all sides at sea, one at a time.
type sailing struct {
	*lab.T
	count            int
	interval, spread time.Duration // from the first start to the last
	window           time.Duration // that is looked at, none if 0
	rate             int           // of touches in a second, 0 for none
}

// A cost is what a fleet has used.
type cost struct {
	idle, touched      float64 // seconds of CPU time in a second
	ping               float64 // seconds for each that was written when idle
	memory, goroutines float64 // of each pinger
}

// each runs all rounds, in which a process of each side has a fleet for a while.
func (s *sailing) each(record func(side string, c cost)) {
	processes := make(map[string]*lab.Process)
	for _, side := range s.Present() {
		processes[side] = s.Start(side)
	}
	for s.Round() {
		for side := range s.Turns() {
			record(side, s.one(processes[side]))
		}
	}
}

func (s *sailing) one(p *lab.Process) (c cost) {
	before := p.Footprint()
	lab.Tell[answer](p, order{Do: "start", Side: p.Kind, Count: s.count, Interval: s.interval, Limit: s.spread})
	grown := p.Footprint().Since(before, s.count)
	c.memory, c.goroutines = grown.Heap+grown.Stacks, grown.Goroutines
	if s.window > 0 {
		// The collector has more to do in the background when memory has been looked at.
		time.Sleep(lab.Of(s.T, settle, 0))
		c.idle, c.ping = s.idle(p)
	}
	if s.rate > 0 {
		c.touched = s.touched(p)
	}
	lab.Tell[answer](p, order{Do: "stop"})
	return c
}

// idle asks nothing of the process within the window.
func (s *sailing) idle(p *lab.Process) (cpu, ping float64) {
	first, _ := lab.Tell[answer](p, order{Do: "counts"})
	begin := time.Now()
	cpu = load(p, s.window)
	last, _ := lab.Tell[answer](p, order{Do: "counts"})
	pings, seconds := float64(last.Pings-first.Pings), time.Since(begin).Seconds()
	// Each pinger may have one ping more or less in the window, and a machine that has
	// much else to do is late.
	want := float64(s.count) * seconds / s.interval.Seconds()
	if !s.Tiny && (pings < 0.05*want-1 || pings > want+float64(s.count)) {
		s.Fatalf("%s: %.0f pings in %.3f s, want about %.0f", p.Kind, pings, seconds, want)
	}
	return cpu, cpu * seconds / max(pings, 1)
}

// touched lets the touches begin before the window and end after it.
func (s *sailing) touched(p *lab.Process) (cpu float64) {
	const margin = 5 * tick
	limit := s.window + 2*margin
	first, _ := lab.Tell[answer](p, order{Do: "touch", Rate: s.rate, Limit: limit})
	time.Sleep(margin)
	cpu = load(p, s.window)
	last, _ := lab.Tell[answer](p, order{Do: "touched"}) // when all are made
	if want := int(float64(s.rate) * limit.Seconds()); last.Touches < want {
		s.Fatalf("%s: %d touches, want %d", p.Kind, last.Touches, want)
	}
	// Some pingers still ping before they have their first touch, and more where a machine
	// that has much else to do makes the touches wait.
	if pings := last.Pings - first.Pings; last.Pause < s.interval/4 && pings > s.count/2 {
		s.Fatalf("%s: %d pings beside all the touches", p.Kind, pings)
	}
	return cpu
}

// load is how much CPU time a process takes in a second, looked at for a while. Before that
// it has a moment to end what it does for an order.
func load(p *lab.Process, d time.Duration) float64 {
	time.Sleep(tick)
	begin, used := time.Now(), p.CPU()
	time.Sleep(d)
	used = p.CPU() - used
	return used.Seconds() / time.Since(begin).Seconds()
}
