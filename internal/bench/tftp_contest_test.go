//go:build linux

package bench

import (
	"strings"
	"testing"
	"time"
)

// startServer starts a server of a file of so many bytes.
func startServer(b *testing.B, kind string, size int, env ...string) *process {
	b.Helper()
	p := start(b, kind, env)
	p.addr = p.tell(b, order{Do: "serve", Kind: kind, Size: size}).Addr
	return p
}

// A side is what is known of one kind after some rounds.
type side struct {
	server         *process
	rates          []float64 // MB/s or transfers/s of each round
	serves, fetchs usage     // of all rounds
	done           int       // transfers that went well
	fails          []string
}

// A contest is two kinds or more at the same work in turn, so that all meet the
// same moods of the machine. The first is ours, and must not fail.
type contest struct {
	client *process
	sides  []*side
	size   int
}

func newContest(b *testing.B, size int, env []string, kinds ...string) *contest {
	b.Helper()
	c := &contest{client: startClient(b, env...), size: size}
	for _, kind := range kinds {
		c.sides = append(c.sides, &side{server: startServer(b, kind, size, env...)})
	}
	return c
}

// round has each side obey the order once. The rate is made from the answer.
func (c *contest) round(b *testing.B, o order, rate func(answer) float64) {
	b.Helper()
	for _, s := range c.sides {
		o.Kind, o.Addrs, o.Size = s.server.kind, []string{s.server.addr}, c.size
		before := s.server.use(b)
		a := c.client.tell(b, o)
		u := s.server.use(b).since(before)
		s.add(a, u)
		if len(a.Fails) > 0 && strings.HasPrefix(s.server.kind, kindOurs) {
			b.Fatalf("%s: %d failures: %s", s.server.kind, len(a.Fails), a.Fails[0])
		}
		if len(a.Took) > 0 {
			s.rates = append(s.rates, rate(a))
		}
	}
}

func (s *side) add(a answer, u usage) {
	s.done += len(a.Took)
	s.fails = append(s.fails, a.Fails...)
	for _, sum := range []struct{ to, add *usage }{{&s.serves, &u}, {&s.fetchs, &a.Used}} {
		sum.to.CPU += sum.add.CPU
		sum.to.Mallocs += sum.add.Mallocs
		sum.to.Bytes += sum.add.Bytes
	}
}

// rate is in MB/s, of the one transfer of a round.
func (c *contest) rate(a answer) float64 {
	return float64(c.size) / 1e6 / a.Took[0].Seconds()
}

// report prints a table. The CPU time, in the given unit, and what was allocated
// are for one of so many things that a transfer consists of.
func (c *contest) report(b *testing.B, what, thing string, unit time.Duration, cpuThings, things float64) {
	b.Helper()
	t := newTable("", what, "server CPU", "client CPU",
		"server mallocs/"+thing, "B", "client mallocs", "B", "ours is", "failed")
	var first float64
	for i, s := range c.sides {
		middle := median(s.rates)
		if i == 0 {
			first = middle
			b.ReportMetric(middle, "ours-"+what)
		} else if middle > 0 {
			b.ReportMetric(first/middle, "x-"+s.server.kind)
		}
		n := float64(s.done)
		t.row(s.server.kind, middle,
			float64(s.serves.CPU)/float64(unit)/n/cpuThings, float64(s.fetchs.CPU)/float64(unit)/n/cpuThings,
			float64(s.serves.Mallocs)/n/things, float64(s.serves.Bytes)/n/things,
			float64(s.fetchs.Mallocs)/n/things, float64(s.fetchs.Bytes)/n/things,
			first/middle, len(s.fails))
	}
	t.print(b)
}
