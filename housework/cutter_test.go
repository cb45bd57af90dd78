package housework_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// A cutter passes connections on to a server, and cuts them when it is told.
type cutter struct {
	address string

	mu    sync.Mutex
	to    string
	conns []net.Conn
}

func newCutter(t testing.TB, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	serverMust(t, err)
	c := &cutter{address: l.Addr().String(), to: to}
	var relays sync.WaitGroup
	relays.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			relays.Go(func() { c.relay(in) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		c.cut()
		relays.Wait()
	})
	return c
}

func (c *cutter) relay(in net.Conn) {
	defer in.Close()
	c.mu.Lock()
	to := c.to
	c.mu.Unlock()
	out, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	c.mu.Lock()
	c.conns = append(c.conns, in, out)
	c.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(in, out)
		in.Close()
	})
	_, _ = io.Copy(out, in)
	out.Close()
	back.Wait()
}

// cut cuts all connections.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		conn.Close()
	}
	c.conns = nil
}

// move leads new connections to another server, and cuts the old ones.
func (c *cutter) move(to string) {
	c.mu.Lock()
	c.to = to
	c.mu.Unlock()
	c.cut()
}
