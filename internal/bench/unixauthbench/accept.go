//go:build linux

package unixauthbench

import (
	"fmt"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/load"
)

var listeners = lab.Sides(lab.Ours, sidePlain, sideDatabase)

const aboutAccepting = "A client in a process of its own makes connections, 32 at a time, sends one byte on " +
	"each, compares the byte that comes back and closes them. Ours and the user database let in who has the " +
	"primary group of the client, and must refuse root, who has not; the plain listener lets everybody in. The " +
	"server's CPU time is that of one connection."

// accepting makes connections, each of which is decided about.
func accepting() lab.Case {
	return lab.Case{
		Name:    "connections accepted",
		About:   aboutAccepting,
		Sides:   listeners,
		Metrics: lab.Connections.Metrics(),
		Run: func(t *lab.T) {
			c := startContest(t)
			c.rounds(lab.Of(t, 4000, 8), lab.Of(t, 4, 1))
		},
	}
}

// refusing makes connections, all of which are refused.
func refusing() lab.Case {
	sides := lab.Sides(lab.Ours, sideDatabase, sidePlain)
	sides[2].Cannot = "it lets everybody in"
	return lab.Case{
		Name: "connections refused",
		About: "A client that does not have the group makes connections, one after the other, each of which " +
			"must be closed without a byte. The server's CPU time is that of one of them.",
		Sides:   sides,
		Metrics: lab.Connections.Metrics(),
		Run: func(t *lab.T) {
			who := client(t)
			c := lab.Contest{
				T: t, Scale: lab.Connections, Settle: settle,
				Client: startClient(t, &who), Servers: make(map[string]*lab.Process),
			}
			needDatabase(t, &who)
			for _, side := range t.Present() {
				c.Servers[side] = startServer(t, side, who.foreignGroup())
			}
			fail := func(server *lab.Process) lab.Done {
				return tell(c.Client, order{Do: doFail, Addr: server.Addr, Count: lab.Of(t, 500, 4)})
			}
			c.Each(fail) // to warm up
			for t.Round() {
				c.RoundOfSlices(lab.Of(t, 4, 1), fail)
			}
		},
	}
}

// settle gives the server time to close connections of which the client has all that it
// wanted.
func settle() { time.Sleep(2 * time.Millisecond) }

// tell has a client do what is measured.
func tell(client *lab.Process, o order) lab.Done {
	a, used := lab.Tell[answer](client, o)
	a.Done.CPU = used.CPU
	return a.Done
}

// A contest is servers of which each has a client of its own, as one process cannot have
// all connections that are held open.
type contest struct {
	lab.Contest
	who     identity
	clients map[string]*lab.Process // by side
}

func startContest(t *lab.T) *contest {
	c := &contest{
		Contest: lab.Contest{T: t, Scale: lab.Connections, Settle: settle, Servers: make(map[string]*lab.Process)},
		who:     client(t), clients: make(map[string]*lab.Process),
	}
	needDatabase(t, &c.who)
	for _, side := range t.Present() {
		c.Servers[side] = startServer(t, side, c.who.GID)
		c.clients[side] = startClient(t, &c.who)
	}
	c.checkRefusal()
	return c
}

func startServer(t *lab.T, kind string, group uint32) *lab.Process {
	p := t.Start(kind)
	a, _ := lab.Tell[answer](p, order{Do: doServe, Kind: kind, Group: group})
	p.Addr = a.Addr
	return p
}

func startClient(t *lab.T, who *identity) *lab.Process {
	p := t.Start("client")
	lab.Tell[answer](p, order{Do: doBecome, As: *who})
	return p
}

// checkRefusal connects as who may not, which this process is if it is root.
func (c *contest) checkRefusal() {
	if !c.who.Other {
		return
	}
	for _, side := range c.T.Present() {
		conn, err := load.Dial(c.Servers[side].Addr)
		c.T.Fatal(err)
		err = conn.Ask(make([]byte, 1), 1)
		if allowed, want := err == nil, side == sidePlain; allowed != want {
			c.T.Fatalf("%s: who does not have the group is allowed: %t, want %t (error: %w)", side, allowed, want, err)
		}
		c.T.Fatal(conn.Close())
	}
}

// rounds makes so many connections a side in each round, in so many turns.
func (c *contest) rounds(count, turns int) {
	knock := func(server *lab.Process) lab.Done {
		return tell(c.clients[server.Kind], order{Do: doKnock, Addr: server.Addr, Count: count / turns})
	}
	c.Each(knock) // to warm up
	for c.T.Round() {
		c.RoundOfSlices(turns, knock)
	}
}

// others are the files that a process may have open beside the connections that are held:
// more connections for a moment, for each of which the user database has some.
const others = 200

// hold opens connections that stay open, and on which nothing comes any more.
func (c *contest) hold(side string, server *lab.Process, n int) {
	d := tell(c.clients[side], order{Do: doHold, Addr: server.Addr, Count: n})
	if d.Count != n {
		c.T.Fatalf("%s: %d connections of %d were served", side, d.Count, n)
	}
}

// growth accepts connections beside others.
func growth() lab.Growth {
	return lab.Growth{
		Name: "connections accepted beside those that are open",
		About: "The server's CPU time for one more connection while others are held open, on which a byte has " +
			"come back and which are silent " +
			"since then. " + aboutAccepting,
		Axis: "connections held open",
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:    fmt.Sprintf("beside %d connections", n),
				Sides:   listeners,
				Metrics: lab.Connections.Metrics(),
				Run: func(t *lab.T) {
					t.NeedFiles(n + others)
					c := startContest(t)
					for _, side := range t.Present() {
						c.hold(side, c.Servers[side], n)
					}
					c.rounds(lab.Of(t, 1000, 4), 1)
				},
			}
		},
	}
}

// idle is what an open connection costs that has nothing to do.
func idle() lab.Case {
	return lab.Case{
		Name: "memory of an idle connection",
		About: "A new client opens 2,000 connections to a new server, after one that warms it up, has one byte come back on " +
			"each, and tells by how much the server's memory has grown for each. The kernel's part has both ends " +
			"of each.",
		Sides:   lab.Sides(lab.Ours, sidePlain),
		Metrics: lab.IdleMetrics(),
		Run: func(t *lab.T) {
			n := lab.Of(t, 2000, 4)
			t.NeedFiles(n + others)
			c := startContest(t)
			for t.Round() {
				for side := range t.Turns() {
					server, client := startServer(t, side, c.who.GID), startClient(t, &c.who)
					c.clients[side] = client
					c.hold(side, server, 1)
					t.RecordIdle(side, server, n, func() { c.hold(side, server, n) })
					t.EndIdle(server, client)
				}
			}
		},
	}
}
