//go:build linux

package echobench

import (
	"fmt"
	"math"
	"syscall"

	"github.com/netparts/netparts/internal/bench/lab"
)

// requestSize is that of a request, in bytes.
const requestSize = 64

// requestSides are those of streams with small requests.
func requestSides() []lab.Side { return lab.Sides(lab.Ours, plain, copying, events) }

// requestCase makes requests over some connections, one under way on each.
func requestCase(count int) lab.Case {
	return lab.Case{
		Name: fmt.Sprintf("TCP requests, %d connections", count),
		About: fmt.Sprintf("One thread of a client makes requests of %d bytes over %d connections, with one under way on each. "+
			"All replies are compared with what was sent.", requestSize, count),
		Sides:   requestSides(),
		Metrics: lab.Requests.Metrics(),
		Targets: []lab.Target{
			{Metric: lab.Requests.Server, Than: plain, AtMost: 1, Reason: threeCalls},
			{Metric: lab.Requests.Server, Than: events, AtMost: 1.4, Reason: threeCalls},
		},
		Run: func(t *lab.T) { requests(t, lab.Of(t, count, min(count, 50)), lab.Of(t, 20_000, 400)) },
	}
}

// threeCalls is why ours is where it is beside the others.
const threeCalls = "Nearly all of the time is in system calls: a read, a write, in which the kernel delivers over loopback, and a read that finds nothing, " +
	"after which the goroutine waits. A plain loop makes the same three, so that the two differ by the noise. " +
	"An event loop learns from epoll what to read next, and is spared the third one. " +
	"Asking with the read how much is left (TCP_INQ) gained nothing."

// requestGrowth shows what a request costs the more connections there are.
func requestGrowth() lab.Growth {
	return lab.Growth{
		Name: "CPU of TCP requests",
		About: fmt.Sprintf("CPU time of the server for a request of %d bytes, with one under way on each of so many connections. "+
			"All replies are compared with what was sent.", requestSize),
		Axis: "connections",
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:    fmt.Sprintf("TCP requests, %d connections", n),
				Sides:   requestSides(),
				Metrics: lab.Requests.Metrics(),
				// A connection alone waits for the reply each time, so that there are
				// fewer requests in the same time.
				Run: func(t *lab.T) { requests(t, n, lab.Of(t, max(min(5_000*n, 20_000), 2*n), 10*n)) },
			}
		},
	}
}

// requests has each side answer so many requests in each round.
func requests(t *lab.T, conns, count int) {
	limit := needDescriptors(t, conns)
	c := start(t, lab.Requests, "tcp")
	clients := make(map[*lab.Process]*lab.Process)
	for _, server := range c.Servers {
		clients[server] = c.Client
		if len(c.Servers)*conns > limit { // and a client for each can have them
			clients[server] = t.Start("client of " + server.Kind)
		}
	}
	c.Each(func(server *lab.Process) lab.Done {
		client := clients[server]
		ask(client, server, order{Do: doOpen, Count: conns})
		return ask(client, server, order{Do: doAsk, Count: lab.Of(t, 4, 1) * conns, Size: requestSize}) // to warm up
	})
	for t.Round() {
		c.Round(func(server *lab.Process) lab.Done {
			return ask(clients[server], server, order{Do: doAsk, Count: count, Size: requestSize})
		})
	}
}

// needDescriptors ends a case, or gives up a side, that the system's limit of descriptors
// does not allow. It returns how many connections a process can have.
func needDescriptors(t *lab.T, conns int) int {
	var limit syscall.Rlimit
	t.Fatal(syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	const others = 64 // that a process has besides, and more than enough
	have := int(min(limit.Max, math.MaxInt32)) - others
	for side, each := range map[string]int{lab.Ours: 1, copying: 3} {
		if each*conns > have {
			t.GiveUp(side, "%d connections take %d descriptors, and a process may have %d", conns, each*conns, limit.Max)
		}
	}
	return have
}
