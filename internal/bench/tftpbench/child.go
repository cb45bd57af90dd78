//go:build linux

package tftpbench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// An order is what a server or a client is told to do.
type order struct {
	Do   string // see obey
	Kind string // of server or client
	Size int    // bytes of the file

	Addrs         []string // of servers
	Count         int      // of transfers
	Block, Window int
	Workers       int           // how many work at once
	Limit         time.Duration // of one transfer
}

// An answer is what comes back.
type answer struct {
	Addr  string          // of the server
	Took  []time.Duration // of each transfer that went well
	Fails []string        // of those that did not
	All   time.Duration   // of all together
}

// failure tells of the transfers that did not go well, if there are any.
func (a *answer) failure() error {
	if len(a.Fails) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d transfers failed, such as by: %s", len(a.Fails), len(a.Fails)+len(a.Took), a.Fails[0])
}

// A child is a process with a server, or with clients.
type child struct {
	open []silent
}

func runChild() error {
	var c child
	return lab.Obey(c.obey)
}

func (c *child) obey(o *order, a *answer) error {
	switch o.Do {
	case "serve":
		return serve(o, a)
	case "get":
		return each(len(o.Addrs), o, a, func(i int) error { return getWithin(o, o.Addrs[i]) })
	case "load":
		return each(o.Count, o, a, func(int) error { return getSmall(o) })
	case "open":
		return c.openTransfers(o)
	case "end":
		return c.endTransfers()
	case "forget":
		return c.forgetTransfers()
	}
	return fmt.Errorf("nobody knows how to %q", o.Do)
}

func serve(o *order, a *answer) error {
	conn, err := listen()
	if err != nil {
		return err
	}
	a.Addr = conn.LocalAddr().String()
	file := lab.Content(o.Size)
	go func() {
		err := serveKind(o.Kind, conn, file) // returns only when it fails
		fmt.Fprintln(os.Stderr, "server", o.Kind, err)
		os.Exit(1)
	}()
	return nil
}

func listen() (*net.UDPConn, error) {
	return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

// each does n transfers and times them.
func each(n int, o *order, a *answer, do func(i int) error) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	next := 0
	begin := time.Now()
	for range min(max(o.Workers, 1), n) {
		group.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				begin := time.Now()
				err := do(i)
				took := time.Since(begin)
				mu.Lock()
				if err != nil {
					a.Fails = append(a.Fails, err.Error())
				} else {
					a.Took = append(a.Took, took)
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	a.All = time.Since(begin)
	return nil
}

var errSlow = errors.New("it takes too long")
