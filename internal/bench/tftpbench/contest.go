//go:build linux

package tftpbench

import (
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// startServer starts a server of a file of so many bytes.
func startServer(t *lab.T, kind string, size int, env ...string) *lab.Process {
	p := t.Start(kind, env...)
	a, _ := lab.Tell[answer](p, order{Do: "serve", Kind: kind, Size: size})
	p.Addr = a.Addr
	return p
}

// startServers starts those of all sides.
func startServers(t *lab.T, size int, env ...string) map[string]*lab.Process {
	servers := make(map[string]*lab.Process)
	for _, side := range t.Present() {
		servers[side] = startServer(t, side, size, env...)
	}
	return servers
}

// A contest has clients do the same at each server, which is in the order.
type contest struct {
	lab.Contest
	order order

	// turns are how many each side has in a round, one if 0. Several make a round out of
	// works that the scheduler has put onto processors in several ways.
	turns int

	// These are metrics of what the server allocates for each thing of so many bytes or
	// transfers as Per says. They are not recorded if they have no name.
	mallocs, bytes string
	per            int
}

func newContest(t *lab.T, scale lab.Scale, o order, env ...string) *contest {
	return &contest{
		Contest: lab.Contest{
			T: t, Scale: scale, Client: t.Start("client", env...),
			Servers: startServers(t, o.Size, env...),
		},
		order: o,
	}
}

// tell has the client obey the order at a server. Ours must not fail, and a peer that
// does has no more turns.
func (c *contest) tell(server *lab.Process) (answer, time.Duration) {
	o := c.order
	o.Kind, o.Addrs = server.Kind, []string{server.Addr}
	a, used := lab.Tell[answer](c.Client, o)
	if err := a.failure(); err != nil && isOurs(server.Kind) {
		c.T.Fatalf("%s: %w", server.Kind, err)
	} else if err != nil {
		c.T.GiveUp(server.Kind, "%v", err)
	}
	return a, used.CPU
}

// stream is one transfer of the file, counted in bytes.
func (c *contest) stream(server *lab.Process) lab.Done {
	a, cpu := c.tell(server)
	d := lab.Done{Count: len(a.Took) * c.order.Size, CPU: cpu}
	for _, took := range a.Took {
		d.Took += took
	}
	return d
}

// many is as many transfers as the order says.
func (c *contest) many(server *lab.Process) lab.Done {
	a, cpu := c.tell(server)
	return lab.Done{Count: len(a.Took), Took: a.All, CPU: cpu}
}

// run runs all rounds. A server is asked for what it has allocated outside of its turns, since
// answering takes CPU time: it works in these alone.
func (c *contest) run(work func(server *lab.Process) lab.Done) {
	for c.T.Round() {
		before, count := make(map[string]lab.Usage), make(map[string]int)
		for _, side := range c.T.Present() {
			before[side] = c.Servers[side].Use()
		}
		c.RoundOfSlices(max(c.turns, 1), func(server *lab.Process) lab.Done {
			d := work(server)
			count[server.Kind] += d.Count
			return d
		})
		for _, side := range c.T.Present() {
			used := c.Servers[side].Use().Since(before[side])
			things := float64(count[side]) / float64(max(c.per, 1))
			c.allocated(side, c.mallocs, float64(used.Mallocs)/things)
			c.allocated(side, c.bytes, float64(used.Bytes)/things)
		}
	}
}

func (c *contest) allocated(side, metric string, value float64) {
	if metric != "" {
		c.T.Record(side, metric, value)
	}
}
