//go:build linux

package bench

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

func (c *child) obeyTFTP(o *order, a *answer) error {
	switch o.Do {
	case "serve":
		return c.serve(o, a)
	case "get":
		return c.each(len(o.Addrs), o, a, func(i int) error { return getWithin(o, o.Addrs[i]) })
	case "load":
		return c.each(o.Count, o, a, func(int) error { return getSmall(o.Addrs[0], content(o.Size)) })
	case "open":
		return c.openTransfers(o)
	case "drop":
		return c.dropTransfers()
	}
	return fmt.Errorf("nobody knows how to %q", o.Do)
}

func (c *child) serve(o *order, a *answer) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	a.Addr = conn.LocalAddr().String()
	file := content(o.Size)
	go func() {
		err := serveKind(o.Kind, conn, file) // returns only when it fails
		fmt.Fprintln(os.Stderr, "server", o.Kind, err)
		os.Exit(1)
	}()
	return nil
}

// each does n transfers and times them.
func (c *child) each(n int, o *order, a *answer, do func(i int) error) error {
	var group sync.WaitGroup
	var mu sync.Mutex
	next := 0
	begin := time.Now()
	for range max(o.Workers, 1) {
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
