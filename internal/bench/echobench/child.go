//go:build linux

package echobench

import (
	"fmt"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/load"
)

// An order is what a child is told to do.
type order struct {
	Do      string
	Side    string // of server
	Network string
	Addr    string // of the server
	Count   int    // of connections, requests or datagrams
	Size    int    // of a request or a datagram
	Bytes   int    // of a stream

	Coalesce bool          // datagrams
	Patience time.Duration // until one is lost, or a server takes nothing more
}

// An answer is what a child says after an order.
type answer struct {
	Addr string // of the server
	Done lab.Done
	Sent int // bytes that a server took
}

// A child is a server, or a client of some, by their addresses.
type child struct {
	streams map[string]*load.Streams
	packets map[string]*packetLoad
	stuck   *stuckClient
}

// obey is what a process does that the part starts.
func obey() error {
	c := child{streams: make(map[string]*load.Streams), packets: make(map[string]*packetLoad)}
	return lab.Obey(c.obey)
}

// The orders.
const (
	doServe    = "serve"    // as Side, on Network and Addr
	doOpen     = "open"     // Count connections to Addr
	doAsk      = "ask"      // for Count requests of Size bytes over them
	doClose    = "close"    // them
	doStream   = "stream"   // so many Bytes through one connection
	doSockets  = "sockets"  // are to be opened for datagrams of Size bytes
	doDatagram = "datagram" // Count of them are sent
	doStick    = "stick"    // sends up to Bytes, and reads none
	doStuck    = "stuck"    // waits until that has ended, and tells how much was sent
	doUnstick  = "unstick"  // closes its connection
)

func (c *child) obey(o *order, a *answer) (err error) {
	lab.Content(o.Size) // whose making is not part of any work
	switch o.Do {
	case doServe:
		return serve(o, a)
	case doOpen:
		c.streams[o.Addr], err = load.Open(o.Addr, o.Count)
	case doAsk:
		a.Done, err = c.streams[o.Addr].Run(o.Count, o.Size)
	case doClose:
		err = c.streams[o.Addr].Close()
		delete(c.streams, o.Addr)
	case doStream:
		a.Done, err = streamThrough(o)
	case doSockets:
		c.packets[o.Addr], err = newPacketLoad(o)
	case doDatagram:
		a.Done, err = c.packets[o.Addr].run(o.Count)
	case doStick:
		c.stuck, err = stick(o)
	case doStuck:
		a.Sent = c.stuck.wait()
	case doUnstick:
		err = c.stuck.conn.Close()
	default:
		err = fmt.Errorf("nobody knows how to %q", o.Do)
	}
	return err
}
