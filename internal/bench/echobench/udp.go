//go:build linux

package echobench

import (
	"fmt"
	"math"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// lostTime is when what has not come back counts as lost. A machine that does not measure
// may be a busy one.
const (
	lostTime     = 50 * time.Millisecond
	tinyLostTime = time.Second
)

// echoes is how the cost of datagrams is told.
var echoes = lab.NewScale("echoes/s", "µs", 1, 1e6)

// datagramCase keeps 8 bursts of 32 datagrams under way, each from a socket of its own.
// The plain client sends each datagram by itself, though a burst with one system call; the
// other one has the kernel cut and join bursts.
func datagramCase(size int, coalesce bool) lab.Case {
	sender, about, limit, reason := "plain sender", "each datagram sent by itself", 0.7, lonePackets
	if coalesce {
		sender, about, limit, reason = "coalescing sender", "each burst handed to the kernel as one piece, which it cuts and joins (UDP_SEGMENT, UDP_GRO)", 0.06, joinedPackets
	}
	return lab.Case{
		Name: fmt.Sprintf("UDP, %d bytes, %s", size, sender),
		About: fmt.Sprintf("Keeps 8 bursts of 32 datagrams of %d bytes under way, each burst from a socket of its own, %s. "+
			"All that comes back is compared with what was sent; what has not come back after %d ms is lost. "+
			"Allocations are told to the thousandth of one for a datagram.", size, about, lostTime.Milliseconds()),
		Sides:   lab.Sides(lab.Ours, wildcard, plain, batches, events),
		Metrics: append(echoes.MetricsWithLost(), lab.Metric{Name: lab.Allocs, Best: lab.Low}),
		Targets: []lab.Target{
			{Metric: echoes.Server, Than: plain, AtMost: limit, Reason: reason},
			{Metric: lab.Allocs, Zero: true},
		},
		Run: func(t *lab.T) { datagrams(t, size, coalesce) },
	}
}

// These are why ours is where it is beside a plain loop.
const (
	lonePackets = "Nearly all of the time is in system calls, and most of that in sending, up to the receiver's queue over loopback. " +
		"Datagrams that one peer has sent in a row leave as one piece that the kernel cuts; the shorter such runs are, the less is saved, as where the server keeps up with each datagram."
	joinedPackets = "So little is left to do for a burst that about a third of the time goes into sleeping, being woken and waking the client, which is for each burst whatever its size, " +
		"and the largest part of the rest into the kernel's copying of the bytes."
)

func datagrams(t *lab.T, size int, coalesce bool) {
	c := start(t, echoes, "udp")
	o := order{Size: size, Coalesce: coalesce, Patience: lab.Of(t, lostTime, tinyLostTime)}
	work := func(server *lab.Process) lab.Done { return ask(c.Client, server, o) }
	o.Do = doSockets
	c.Each(work)
	o.Do, o.Count = doDatagram, 4*burst
	c.Each(work) // to warm up
	// A server is asked for its allocations before and after all turns of a round: it works
	// in its own alone, and answering would cost CPU time there.
	asking := make(map[string]float64) // allocates this
	for side, p := range c.Servers {
		asking[side] = -mallocs(p)
		asking[side] += mallocs(p)
	}
	o.Count = lab.Of(t, 40_000, 8*burst)
	for t.Round() {
		allocated, came := make(map[string]float64), make(map[string]int)
		for side, p := range c.Servers {
			allocated[side] = -mallocs(p)
		}
		c.Round(func(server *lab.Process) lab.Done {
			d := work(server)
			came[server.Kind] = d.Count
			return d
		})
		for side, p := range c.Servers {
			allocated[side] += mallocs(p) - asking[side]
			each := max(allocated[side], 0) / float64(came[side])
			t.Record(side, lab.Allocs, math.Round(1_000*each)/1_000)
		}
	}
}

// mallocs is how often a process has allocated.
func mallocs(p *lab.Process) float64 { return float64(p.Use().Mallocs) }
