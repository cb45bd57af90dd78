//go:build linux

package houseworkbench

import (
	"fmt"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/internal/bench/lab"
)

// An order is what a server or the client is told to do.
type order struct {
	Do                       string
	Kind                     string // of server or client
	Addr                     string // of the server
	CertificateFile, KeyFile string

	Count   int // of calls or chores
	Workers int // how many call at once
}

// What there is to do.
const (
	doServe = "serve" // as a server of a kind
	doFill  = "fill"  // the list of the server with so many chores
	doEmpty = "empty" // the list of the server
	doCheck = "check" // that the server has so many chores

	doDial    = "dial" // a server, by a client of a kind
	doAdd     = "add"  // so many chores, some at once
	doList    = "list" // the chores of a server, of which there are so many
	doHostile = "hostile"
)

// An answer is what comes back.
type answer struct {
	Addr string // that a server listens on
	Took time.Duration
	Code string // of the status that a call has ended with
}

// A child is what a process keeps for its orders: a server, or clients.
type child struct {
	server  server
	clients map[string]*client // by the address of the server
	wanted  []housework.Chore  // what a list has to be
}

func runChild() error {
	var c child
	return lab.Obey(c.obey)
}

func (c *child) obey(o *order, a *answer) error {
	switch o.Do {
	case doServe:
		return c.server.serve(o, a)
	case doFill:
		return c.server.fill(choreList(o.Count, false))
	case doEmpty:
		return c.server.empty()
	case doCheck:
		return c.server.check(o.Count)
	case doDial:
		return c.dial(o)
	}
	client := c.clients[o.Addr]
	if client == nil {
		return fmt.Errorf("no client of %s", o.Addr)
	}
	switch o.Do {
	case doAdd:
		return client.adds(o, a)
	case doList:
		if len(c.wanted) != o.Count {
			c.wanted = choreList(o.Count, false) // the first time, which is not measured
		}
		return client.lists(c.wanted, a)
	case doHostile:
		return client.hostile(o, a)
	}
	return fmt.Errorf("nobody knows how to %q", o.Do)
}
