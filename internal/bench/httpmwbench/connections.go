//go:build linux

package httpmwbench

import (
	"fmt"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// byConnections shows what a request costs the more connections there are.
func byConnections() lab.Growth {
	return lab.Growth{
		Name: "full stack, by connections",
		About: "The CPU time of the server for a greeting, with one request under way on each of so many connections that are kept alive. " +
			"All responses are compared.",
		Axis: "connections",
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:    fmt.Sprintf("full stack, %d connections", n),
				Sides:   lab.Sides(lab.Ours, chi, bare),
				Metrics: stackMetrics(),
				Run: func(t *lab.T) {
					t.NeedFiles(n + 100)
					p := newPorts(t, "text")
					p.Each(func(server *lab.Process) lab.Done {
						p.open(server, "text", n)
						return p.ask(max(n, lab.Of(t, 500, 10)))(server) // to warm up
					})
					for t.Round() {
						p.round(max(n, lab.Of(t, 4000, 10)))
					}
				},
			}
		},
	}
}

// idleCase shows what a connection costs that has nothing to do.
func idleCase() lab.Case {
	return lab.Case{
		Name: "idle connections",
		About: "Opens 1,000 connections that are kept alive, which ask for a greeting some two times each and then for nothing, and looks at the server's " +
			"memory without garbage before and after: what each connection adds. The kernel's is of both ends, and of all else on the machine.",
		Sides:   lab.Sides(lab.Ours, inNewServer, chi, bare),
		Metrics: lab.IdleMetrics(),
		Run: func(t *lab.T) {
			p := newPorts(t, "text")
			n := lab.Of(t, 1000, 5)
			for _, side := range t.Present() {
				p.idle(p.Servers[side], n, func(open func()) { open() }) // to warm up
			}
			for t.Round() {
				for side := range t.Turns() {
					server := p.Servers[side]
					p.idle(server, n, func(open func()) { t.RecordIdle(side, server, n, open) })
				}
			}
		},
	}
}

// idle has record open n connections that have nothing to do, and closes them afterwards.
func (p *ports) idle(server *lab.Process, n int, record func(open func())) {
	before := server.Use().Goroutines
	record(func() {
		p.open(server, "text", n)
		p.ask(2 * n)(server)
	})
	p.tell(p.clients[server.Kind], order{Do: "close"})
	p.settle(server, before)
}

// settle waits until a server has no more goroutines than it had.
func (p *ports) settle(server *lab.Process, goroutines int) {
	for begin := time.Now(); server.Use().Goroutines > goroutines; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			p.T.Fatalf("%s: connections stay open", server.Kind)
		}
	}
}
