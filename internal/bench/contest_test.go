//go:build linux

package bench

import "testing"

// A serverSide is what is known of one kind of server after some rounds.
type serverSide struct {
	server        *process
	rates         []float64 // things per second, of each round
	costs, client []float64 // CPU time of the server and of the client for each thing
	lost, done    int
}

// A serverContest is kinds of servers that one client has do the same in turn, each
// server in a process of its own. The first is ours.
type serverContest struct {
	client *process
	sides  []*serverSide
	rounds int
	settle func() // if not nil, waits until the servers have nothing to do
}

// each has the client obey an order at each server, without measuring.
func (c *serverContest) each(b *testing.B, o order) {
	b.Helper()
	for _, s := range c.sides {
		o.Addrs = []string{s.server.addr}
		c.client.tell(b, o)
	}
}

// round has the client obey an order at each server, and begins with another one
// each time. The server's CPU time is read from outside, so that reading it costs
// the server nothing.
func (c *serverContest) round(b *testing.B, o order) {
	b.Helper()
	for i := range c.sides {
		s := c.sides[(i+c.rounds)%len(c.sides)]
		o.Addrs = []string{s.server.addr}
		before := s.server.cpu(b)
		a := c.client.tell(b, o)
		if c.settle != nil {
			c.settle()
		}
		cpu := s.server.cpu(b) - before
		if a.Done == 0 {
			b.Fatalf("%s: nothing came back", s.server.kind)
		}
		n := float64(a.Done)
		s.rates = append(s.rates, n/a.All.Seconds())
		s.costs = append(s.costs, cpu.Seconds()/n)
		s.client = append(s.client, a.Used.CPU.Seconds()/n)
		s.done += a.Done
		s.lost += a.Lost
	}
	c.rounds++
}

// turns is some rounds, or one to see that all goes well: many that are short tell more
// on a machine that others use too.
func (c *serverContest) turns(b *testing.B, count int, o order) {
	b.Helper()
	for range of(count, 1) {
		c.round(b, o)
	}
}

// ratios is the median of the ratios of the rounds.
func ratios(ours, theirs []float64) float64 {
	list := make([]float64, len(ours))
	for i := range list {
		list[i] = ours[i] / theirs[i]
	}
	return median(list)
}

// A scale is how rates and costs are told.
type scale struct {
	rate, cost         string
	perRate, perSecond float64 // of the numbers of an serverSide
}

var (
	requests = scale{"requests/s", "CPU-µs/request", 1, 1e6}
	echoes   = scale{"echoes/s", "CPU-µs/echo", 1, 1e6}
	streams  = scale{"GB/s", "CPU-s/GB", 1e-9, 1e9}
)

// report prints a table, and has the ratios of ours to the others for metrics.
func (c *serverContest) report(b *testing.B, in scale) {
	b.Helper()
	t := newTable("", in.rate, "server "+in.cost, "client's", "CPU of ours is", "rate of ours is", "lost %")
	ours := c.sides[0]
	b.ReportMetric(median(ours.rates)*in.perRate, in.rate)
	b.ReportMetric(median(ours.costs)*in.perSecond, in.cost)
	for _, s := range c.sides {
		cpu, rate := ratios(ours.costs, s.costs), ratios(ours.rates, s.rates)
		if s != ours {
			b.ReportMetric(cpu, "x-"+s.server.kind+"-cpu")
			b.ReportMetric(rate, "x-"+s.server.kind+"-rate")
		}
		t.row(s.server.kind, median(s.rates)*in.perRate, median(s.costs)*in.perSecond,
			median(s.client)*in.perSecond, cpu, rate, 100*float64(s.lost)/float64(s.done+s.lost))
	}
	t.print(b)
}
