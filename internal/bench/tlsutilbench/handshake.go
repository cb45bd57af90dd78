//go:build linux

package tlsutilbench

import (
	"fmt"

	"github.com/netparts/netparts/internal/bench/lab"
)

// handshakes tells of the server's CPU time, which is that of one handshake with its
// connection.
var handshakes = lab.NewScale("handshakes/s", "µs", 1, 1e6)

const aboutHandshakes = "A client in a process of its own, the same for all, makes connections, two at a time, with " +
	"TLS 1.3 and keys of P-256. On each, one byte is compared when it comes back, and then both ends close. "

const aboutMutual = "The server answers only to the certificate of the client, and each must refuse a client " +
	"without one. "

// A contest is servers that one client shakes hands with, or each with one of its own.
type contest struct {
	lab.Contest
	files   folder
	mutual  bool
	clients map[string]*lab.Process // by side, where connections are held
}

func startContest(t *lab.T, mutual bool) *contest {
	c := &contest{
		Contest: lab.Contest{T: t, Scale: handshakes, Client: t.Start("client"), Servers: make(map[string]*lab.Process)},
		files:   newFolder(t), mutual: mutual, clients: make(map[string]*lab.Process),
	}
	for _, side := range t.Present() {
		server := c.startServer(side)
		c.Servers[side] = server
		if mutual {
			c.tell(server, order{Do: doIntrude})
		}
	}
	return c
}

func (c *contest) startServer(side string) *lab.Process {
	p := c.T.Start(side)
	a, _ := lab.Tell[answer](p, order{Do: doServe, Kind: side, Mutual: c.mutual, Files: c.files})
	p.Addr = a.Addr
	return p
}

// tell has the client do something at a server.
func (c *contest) tell(server *lab.Process, o order) lab.Done {
	o.Mutual, o.Files, o.Addr = c.mutual, c.files, server.Addr
	client := c.Client
	if own := c.clients[server.Kind]; own != nil {
		client = own
	}
	a, used := lab.Tell[answer](client, o)
	a.Done.CPU = used.CPU
	return a.Done
}

// rounds makes so many handshakes a side in each round, in so many turns.
func (c *contest) rounds(count, turns int, resumed func(side string) bool) {
	shake := func(server *lab.Process) lab.Done {
		return c.tell(server, order{Do: doShake, Count: count / turns, Resume: resumed(server.Kind)})
	}
	c.Each(shake) // to warm up
	for c.T.Round() {
		c.RoundOfSlices(turns, shake)
	}
}

func never(string) bool { return false }

func full() lab.Case {
	return lab.Case{
		Name:    "mutual handshake, full",
		About:   aboutHandshakes + aboutMutual + "Nothing is resumed.",
		Sides:   lab.Sides(lab.Ours, sideStatic, sidePlain, sideReading, sideJudging),
		Metrics: handshakes.Metrics(),
		Targets: []lab.Target{{
			Metric: handshakes.Server, Than: sideStatic, AtMost: 1.03,
			Reason: "Both do the same in a handshake, and the profiles show the same functions. The difference " +
				"is the noise of the machine, and the reading of the files, which goes on 50 times as often as by " +
				"default.",
		}},
		Run: func(t *lab.T) {
			startContest(t, true).rounds(lab.Of(t, 160, 2), lab.Of(t, 8, 1), never)
		},
	}
}

func resumed() lab.Case {
	return lab.Case{
		Name: "mutual handshake, resumed",
		About: aboutHandshakes + aboutMutual + "All but those of one side are resumed with the ticket of the " +
			"connection before, which is checked; ours judges the client again each time.",
		Sides:   lab.Sides(lab.Ours, sidePlain, sideFull),
		Metrics: handshakes.Metrics(),
		Targets: []lab.Target{{
			Metric: handshakes.Server, Than: sideFull, AtMost: 0.75,
			Reason: "What resuming saves are signatures and their verification. The key exchange (with ML-KEM) remains, and so " +
				"do accepting, reading and closing the connection, which the figure has in it too, and which take the same " +
				"time in both. What is judged again is a few per cent of the profile.",
		}},
		Run: func(t *lab.T) {
			startContest(t, true).rounds(lab.Of(t, 320, 2), lab.Of(t, 16, 1), func(side string) bool { return side != sideFull })
		},
	}
}

func serverOnly() lab.Case {
	return lab.Case{
		Name:    "handshake without client certificates",
		About:   aboutHandshakes + "The server alone shows a certificate, as of HTTPS. Nothing is resumed.",
		Sides:   lab.Sides(lab.Ours, sidePlain, sideReading),
		Metrics: handshakes.Metrics(),
		Run: func(t *lab.T) {
			startContest(t, false).rounds(lab.Of(t, 160, 2), lab.Of(t, 8, 1), never)
		},
	}
}

// idle is what an open connection costs that has nothing to do.
func idle() lab.Case {
	return lab.Case{
		Name: "memory of an idle connection",
		About: "A new client opens 400 connections with mutual TLS to a new server, after two that warm it up, has one byte " +
			"come back on each, and tells by how much the server's memory has grown for each. The kernel's part " +
			"has both ends of each.",
		Sides:   lab.Sides(lab.Ours, sidePlain),
		Metrics: lab.IdleMetrics(),
		Run: func(t *lab.T) {
			c := startContest(t, true)
			n := lab.Of(t, 400, 2)
			for t.Round() {
				for side := range t.Turns() {
					server, client := c.startServer(side), t.Start("client")
					c.clients[side] = client
					c.tell(server, order{Do: doHold, Count: workers})
					t.RecordIdle(side, server, n, func() { c.tell(server, order{Do: doHold, Count: n}) })
					t.EndIdle(server, client)
				}
			}
		},
	}
}

// growth shakes hands beside connections that are open.
func growth() lab.Growth {
	return lab.Growth{
		Name: "mutual handshakes beside open connections",
		About: "The server's CPU time for one more full handshake while others are held open, on which a byte " +
			"has come back and which are silent since then. " + aboutHandshakes + aboutMutual,
		Axis: "connections held open",
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:    fmt.Sprintf("beside %d connections", n),
				Sides:   lab.Sides(lab.Ours, sidePlain),
				Metrics: handshakes.Metrics(),
				Run: func(t *lab.T) {
					t.NeedFiles(n + 100)
					c := startContest(t, true)
					for _, side := range t.Present() {
						c.clients[side] = t.Start("client")
						c.tell(c.Servers[side], order{Do: doHold, Count: n})
					}
					c.rounds(lab.Of(t, 160, 2), lab.Of(t, 8, 1), never)
				},
			}
		},
	}
}
