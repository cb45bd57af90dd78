//go:build linux

package lab

import (
	"math"
	"runtime"
	"time"
)

// Calls are works within this process that take turns.
type Calls struct {
	T     *T
	Work  map[string]func(n int) error // by side: does the work n times, and checks it
	Count int                          // of the work of each side in one round
	Slice int                          // after how many the next side has its turn; Count if 0. It should take 50 µs or more, as reading clocks takes 1 µs
	Clean bool                         // collect garbage before each slice, so that nobody pays for others
	Unit  string                       // of times: "ns", "µs" or "ms"

	// Base, if set, is the side whose cost is taken away from that of the others, round
	// by round, for [AddedMetrics].
	Base string
}

// These follow the unit in the names of metrics.
const (
	callCPU   = " CPU"
	callWall  = " elapsed"
	callAdded = " CPU added"
)

// The other metrics of calls.
const (
	Allocs      = "allocations"
	Bytes       = "bytes allocated"
	AddedAllocs = "allocations added"
	AddedBytes  = "bytes added"
)

// CallMetrics are those of [Calls], of one call each: the CPU time with the collector's,
// the time on the clock, and what is allocated.
func CallMetrics(unit string) []Metric {
	return []Metric{{unit + callCPU, Low}, {unit + callWall, None}, {Allocs, Low}, {Bytes, None}}
}

// AddedMetrics are those of [Calls] with a base: what each of the other sides adds to it,
// and the whole CPU time.
func AddedMetrics(unit string) []Metric {
	return []Metric{{unit + callAdded, Low}, {AddedAllocs, Low}, {AddedBytes, None}, {unit + callCPU, Low}}
}

var units = map[string]float64{"ns": 1e9, "µs": 1e6, "ms": 1e3}

// Run runs all rounds.
func (c *Calls) Run() {
	t := c.T
	slice := c.Slice
	if slice == 0 {
		slice = c.Count
	}
	slice = min(slice, c.Count)
	if units[c.Unit] == 0 || c.Count < 1 {
		t.Fatalf("%d calls, told in %q", c.Count, c.Unit)
	}
	for _, side := range t.Present() {
		t.Fatal(c.Work[side](slice)) // to warm up
	}
	for t.Round() {
		cpu, wall := make(map[string]time.Duration), make(map[string]time.Duration)
		for done := 0; done < c.Count; done += slice {
			for side := range t.Turns() {
				if c.Clean {
					runtime.GC()
				}
				before, begin := t.OwnCPU(), time.Now()
				err := c.Work[side](min(slice, c.Count-done))
				wall[side] += time.Since(begin)
				cpu[side] += t.OwnCPU() - before
				if err != nil {
					t.Fatalf("%s: %w", side, err)
				}
			}
		}
		n, factor := float64(c.Count), units[c.Unit]
		costs := make(map[string]callCost)
		for _, side := range t.Present() {
			cost := c.allocations(side, slice)
			cost.cpu, cost.wall = cpu[side].Seconds()*factor/n, wall[side].Seconds()*factor/n
			costs[side] = cost
		}
		for side, cost := range costs {
			c.record(side, cost, costs[c.Base])
		}
	}
}

// A callCost is what one call takes.
type callCost struct{ cpu, wall, allocs, bytes float64 }

// record records what a call of a side takes, or what it adds to the base.
func (c *Calls) record(side string, cost, base callCost) {
	t := c.T
	t.Record(side, c.Unit+callCPU, cost.cpu)
	if c.Base == "" {
		t.Record(side, c.Unit+callWall, cost.wall)
		t.Record(side, Allocs, cost.allocs)
		t.Record(side, Bytes, cost.bytes)
	} else if side != c.Base {
		t.Record(side, c.Unit+callAdded, cost.cpu-base.cpu)
		// What the runtime itself allocates now and then is no part of a call.
		t.Record(side, AddedAllocs, max(0, math.Round(10*(cost.allocs-base.allocs))/10))
		t.Record(side, AddedBytes, math.Round(cost.bytes-base.bytes))
	}
}

// allocations does a slice more, of which it counts what is allocated: to ask for that
// stops the world, which takes longer than some slices do.
func (c *Calls) allocations(side string, slice int) callCost {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err := c.Work[side](slice)
	runtime.ReadMemStats(&after)
	if err != nil {
		c.T.Fatalf("%s: %w", side, err)
	}
	n := float64(slice)
	return callCost{allocs: float64(after.Mallocs-before.Mallocs) / n, bytes: float64(after.TotalAlloc-before.TotalAlloc) / n}
}
