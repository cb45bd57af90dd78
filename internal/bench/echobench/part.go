//go:build linux

// Package echobench measures package echo.
package echobench

import (
	"path/filepath"

	"github.com/netparts/netparts/internal/bench/lab"
)

// Part is what is measured.
func Part() lab.Part {
	p := lab.Part{
		Name:       "echo",
		Job:        "streams and datagrams that come back as they are",
		Peers:      peers(),
		Conclusion: conclusion,
		Child:      obey,
	}
	for _, count := range []int{50, 1_000} {
		p.Cases = append(p.Cases, requestCase(count))
	}
	for _, network := range []string{"tcp", "unix"} {
		p.Cases = append(p.Cases, bulkCase(network))
	}
	p.Cases = append(p.Cases, idleCase(64), idleCase(16<<10))
	for _, size := range []int{64, 1200} {
		for _, coalesce := range []bool{false, true} {
			p.Cases = append(p.Cases, datagramCase(size, coalesce))
		}
	}
	p.Cases = append(p.Cases, stuckCase())
	p.Growths = []lab.Growth{requestGrowth(), idleGrowth()}
	return p
}

func peers() []lab.Peer {
	return []lab.Peer{
		{Name: wildcard, What: "ours on all addresses of the machine rather than on one, so that it has to ask where a datagram was sent to"},
		{Name: plain, What: "the loop that is written first: a goroutine for each connection that reads into 4 KiB of its own and writes, or one that calls ReadFrom and WriteTo"},
		{Name: copying, What: "a goroutine for each connection that calls io.Copy from it to itself, which has the kernel move the bytes through a pipe where it can"},
		{Name: batches, What: "one goroutine that reads and writes up to 64 datagrams with one system call", Module: "golang.org/x/net"},
		{Name: events, What: "an event-driven server with two loops, in which a handler echoes what has arrived", Module: "github.com/panjf2000/gnet/v2"},
	}
}

const conclusion = `- A small request over TCP costs about the same with every server that has a goroutine for each connection, since system calls are nearly all of it. gnet takes about half as much where one connection alone has something to say, as no goroutine has to be woken, and between that and the same where there are more.
- The process of gnet keeps least by far for an idle connection, as it has no goroutine for it. Ours keeps a goroutine and no buffer, about half of what a plain loop keeps. The kernel's part is larger than either, and after larger requests it is smallest with the plain loop, which writes 4 KiB at a time: in all a connection then takes about half of what it takes with ours or gnet. ` + "`io.Copy`" + ` keeps a pipe: three descriptors, and more memory of the kernel than all others.
- For bulk over TCP ` + "`io.Copy`" + ` takes less CPU time than ours, because the bytes do not leave the kernel; over Unix sockets the two are about equal, and a loop that reads 4 KiB at a time takes several times as much.
- gnet takes whatever a client sends that never reads, and holds it in memory without a limit, and it drops what is under way when a client half-closes. The others, ours among them, hold next to nothing and wait.
- Datagrams gain from batches, which ` + "`golang.org/x/net`" + ` has as well, with two allocations for each datagram. What none of the others does is to send a row of datagrams for one peer as one piece that the kernel cuts (UDP_SEGMENT), and to take what it has joined (UDP_GRO): ours takes about half to two thirds of their CPU time for bursts of a peer, and a small part of it where the sender coalesces too. Where each datagram is from another peer, expect the gain of batches alone.
- A server on the wildcard address has to ask where each datagram was sent to, in order to answer from there. ours, wildcard shows what that costs; the other sides let the kernel choose, which may be the wrong address on a host with several.
- Idle limits, a graceful end, the log and the guard against loops of two servers are on in ours, and none of the other sides has them. For a fixed job with clients that behave, a plain loop will do.
`

// start starts servers of a network, all at once, and a client.
func start(t *lab.T, scale lab.Scale, network string) *lab.Contest {
	c := &lab.Contest{T: t, Client: t.Start("client"), Servers: make(map[string]*lab.Process), Scale: scale}
	for _, side := range t.Present() {
		c.Servers[side] = t.Start(side)
	}
	for side, p := range c.Servers {
		listen(t, p, side, network)
	}
	return c
}

// listen has a child serve.
func listen(t *lab.T, p *lab.Process, side, network string) {
	at := "127.0.0.1:0"
	switch {
	case network == "unix":
		at = filepath.Join(t.TempDir(), "server")
	case side == wildcard:
		at = anywhere
	}
	a, _ := lab.Tell[answer](p, order{Do: doServe, Side: side, Network: network, Addr: at})
	p.Addr = a.Addr
}

// ask has a client obey an order at a server.
func ask(client, server *lab.Process, o order) lab.Done {
	o.Addr = server.Addr
	a, used := lab.Tell[answer](client, o)
	a.Done.CPU = used.CPU
	return a.Done
}
