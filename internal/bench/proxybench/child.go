//go:build linux

package proxybench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/internal/bench/load"
)

// An order is what a child is told to do.
type order struct {
	Do             string
	Kind           string // of proxy
	Network, Addr  string // of the server, or where to listen
	Upstream       string // of a proxy
	Count, Workers int    // of connections or requests, and how many of them at once
	Size           int    // of a request, or of what a connection carries each way
	Bytes          int    // of all streams together
}

// An answer is what a child says after an order.
type answer struct {
	Addr         string // of the server
	Done         lab.Done
	Median, Slow time.Duration // of requests; all but a hundredth are not as slow
	Failed       string        // why the server has not done it, if so
}

// The orders.
const (
	doServe    = "serve"    // be a proxy
	doBackend  = "backend"  // take transfers
	doSettle   = "settle"   // wait until the backend has so many connections
	doEcho     = "echo"     // echo streams
	doFetch    = "fetch"    // receive streams
	doHold     = "hold"     // open connections that carry something, and keep them
	doRelease  = "release"  // those
	doChurn    = "churn"    // open connections, each for one request
	doOpen     = "open"     // connections for requests
	doRequests = "requests" // on them
	doLatency  = "latency"  // of requests on one connection
)

// A child is a proxy, or what is before one or behind it.
type child struct {
	backend backend
	held    []net.Conn
	loads   map[string]*load.Streams // by the address of the proxy
}

func runChild() error {
	c := child{loads: make(map[string]*load.Streams)}
	lab.Content(chunk) // which is no part of any work
	return lab.Obey(c.obey)
}

func (c *child) obey(o *order, a *answer) error {
	var err error
	switch o.Do {
	case doServe:
		return serveProxy(o, a)
	case doBackend:
		return c.backend.listen(o, a)
	case doSettle:
		return c.backend.settle(o.Count)
	case doEcho:
		return serveEcho(o, a)
	case doRelease:
		return c.release()
	case doFetch:
		err = fetch(o, a)
	case doHold:
		err = c.hold(o, a)
	case doChurn:
		err = churn(o, a)
	case doOpen:
		err = c.open(o)
	case doRequests:
		a.Done, err = c.loads[o.Addr].Run(o.Count, o.Size)
	case doLatency:
		err = latency(o, a)
	default:
		return fmt.Errorf("nobody knows how to %q", o.Do)
	}
	if err != nil {
		a.Failed = err.Error() // by the server, most likely
	}
	return nil
}

// serveOn serves for as long as the process lives.
func serveOn(kind string, run func() error) {
	err := run() // returns only when it fails
	fmt.Fprintln(os.Stderr, "server", kind, err)
	os.Exit(1)
}

func serveEcho(o *order, a *answer) error {
	l, err := net.Listen(o.Network, o.Addr)
	if err != nil {
		return err
	}
	a.Addr = l.Addr().String()
	go serveOn("echo", func() error {
		var s echo.Server
		return s.Serve(l)
	})
	return nil
}

// open opens connections to a proxy.
func (c *child) open(o *order) error {
	l, err := load.Open(o.Addr, o.Count)
	if err == nil {
		c.loads[o.Addr] = l
	}
	return err
}

// latency makes requests one after another, and tells how long the median took, and the
// slowest but a hundredth.
func latency(o *order, a *answer) error {
	c, err := load.Dial(o.Addr)
	if err != nil {
		return err
	}
	buffer := make([]byte, o.Size)
	took := make([]time.Duration, o.Count)
	for i := range took {
		begin := time.Now()
		if err := c.Ask(buffer, o.Size); err != nil {
			return errors.Join(err, c.Close())
		}
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	a.Median, a.Slow = took[len(took)/2], took[len(took)*99/100]
	a.Done.Count = o.Count
	return c.Close()
}
