//go:build linux

package lab

import "time"

// A Contest is servers, each a process of its own, that one client has do the same in
// turn.
type Contest struct {
	T       *T
	Client  *Process
	Servers map[string]*Process // by side
	Scale   Scale

	// Settle, if not nil, waits until the servers have nothing to do.
	Settle func()
}

// Done is what a client has done in one turn.
type Done struct {
	Count int           // of things that came back, each of them checked
	Lost  int           // of those that did not
	Took  time.Duration // by the wall clock
	CPU   time.Duration // of the client
}

// A Scale is how rates and costs are told.
type Scale struct {
	Rate, Server, Client string // metrics
	PerRate, PerSecond   float64
}

// The scales of most contests. The CPU time is that of one thing.
var (
	Requests    = NewScale("requests/s", "µs", 1, 1e6)
	Connections = NewScale("connections/s", "µs", 1, 1e6)
	Streams     = NewScale("GB/s", "s/GB", 1e-9, 1e9)
)

// NewScale makes the names of the metrics from that of the rate and the unit of costs. A
// thing by the second, and a second of CPU time for a thing, are multiplied by the factors.
func NewScale(rate, cost string, perRate, perSecond float64) Scale {
	return Scale{rate, "server CPU " + cost, "client CPU " + cost, perRate, perSecond}
}

// Lost is the metric of things that did not come back, in per cent.
const Lost = "lost %"

// Metrics are those of the scale. The first is what the server costs.
func (s Scale) Metrics() []Metric {
	return []Metric{{s.Server, Low}, {s.Rate, High}, {s.Client, None}}
}

// MetricsWithLost has what is lost besides.
func (s Scale) MetricsWithLost() []Metric { return append(s.Metrics(), Metric{Lost, None}) }

// Each has the client work at each server, without measuring.
func (c *Contest) Each(work func(server *Process) Done) {
	for _, side := range c.T.Present() {
		work(c.Servers[side])
	}
}

// Round has each side do the work once, and records what it costs. It records nothing of
// a side that is given up meanwhile.
func (c *Contest) Round(work func(server *Process) Done) {
	c.RoundOfSlices(1, work)
}

// RoundOfSlices is a round in which the sides have n turns each, so that what else the
// machine does meets all of them alike.
func (c *Contest) RoundOfSlices(n int, work func(server *Process) Done) {
	sums, cpu := make(map[string]Done), make(map[string]time.Duration)
	for range n {
		for side := range c.T.Turns() {
			server := c.Servers[side]
			before := server.CPU()
			d := work(server)
			if c.Settle != nil {
				c.Settle()
			}
			cpu[side] += server.CPU() - before
			sum := sums[side]
			sums[side] = Done{
				Count: sum.Count + d.Count, Lost: sum.Lost + d.Lost,
				Took: sum.Took + d.Took, CPU: sum.CPU + d.CPU,
			}
		}
	}
	for side, sum := range sums {
		c.record(side, sum, cpu[side])
	}
}

// record notes what a side has done in this round, and what that cost its server.
func (c *Contest) record(side string, d Done, cpu time.Duration) {
	if !c.T.Has(side) {
		return // it was given up in its turn
	}
	if d.Count == 0 {
		c.T.Fatalf("%s: nothing came back", side)
	}
	n := float64(d.Count)
	c.T.Record(side, c.Scale.Rate, n/d.Took.Seconds()*c.Scale.PerRate)
	c.T.Record(side, c.Scale.Server, cpu.Seconds()/n*c.Scale.PerSecond)
	c.T.Record(side, c.Scale.Client, d.CPU.Seconds()/n*c.Scale.PerSecond)
	if c.T.HasMetric(Lost) {
		c.T.Record(side, Lost, 100*float64(d.Lost)/float64(d.Count+d.Lost))
	}
}
