//go:build linux

package proxybench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/inetaf/tcpproxy"
	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/proxy"
)

// The sides that are programs of Go, besides ours.
const (
	tcpProxy   = "tcpproxy"
	ioCopy     = "io.Copy"
	spliceOnly = "splice loop"
	uncounted  = "no counters"
	counted    = "counters" // is ours where it is compared with uncounted
)

// statsPause is how often counters are read.
const statsPause = 100 * time.Millisecond

// serveProxy starts a proxy.
func serveProxy(o *order, a *answer) error {
	l, err := net.Listen(o.Network, o.Addr)
	if err != nil {
		return err
	}
	a.Addr = l.Addr().String()
	go serveOn(o.Kind, func() error { return runProxy(o.Kind, l, o.Network, o.Upstream) })
	return nil
}

func runProxy(kind string, l net.Listener, network, upstream string) error {
	switch kind {
	case lab.Ours:
		return runOurs(l, network, upstream)
	case tcpProxy:
		p := tcpproxy.Proxy{ListenFunc: func(string, string) (net.Listener, error) { return l, nil }}
		p.AddRoute("any", tcpproxy.To(upstream))
		return p.Run()
	}
	relay, ok := relays[kind]
	if !ok {
		return fmt.Errorf("no proxy is called %q", kind)
	}
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close() // the relay has told the error, if there is one
			conn, err := net.Dial(network, upstream)
			if err == nil {
				defer conn.Close() // the same
				err = relay(client, conn)
			}
			if err != nil && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, unix.EPIPE) {
				fmt.Fprintln(os.Stderr, "proxy", kind, err)
			}
		}()
	}
}

// runOurs has everything on that a Server can do to all connections.
func runOurs(l net.Listener, network, upstream string) error {
	var ended atomic.Int64
	s := &proxy.Server{
		Dial:             proxy.To(network, upstream),
		IdleTimeout:      time.Hour,
		HalfCloseTimeout: time.Minute,
		MaxConns:         100_000,
		Report:           func(r proxy.Report) { ended.Add(r.ToUpstream + r.ToClient) },
	}
	go func() {
		for range time.Tick(statsPause) {
			s.Stats()
		}
	}()
	return s.Serve(l)
}

// relays are the proxies that are no servers.
var relays = map[string]func(client, upstream net.Conn) error{
	ioCopy:     copyBoth,
	spliceOnly: spliceBoth,
	uncounted: func(client, upstream net.Conn) error {
		_, err := proxy.Relay(context.Background(), client, upstream, nil)
		return err
	},
	counted: func(client, upstream net.Conn) error {
		var c proxy.Counters
		ended := make(chan struct{})
		defer close(ended)
		go func() {
			tick := time.NewTicker(statsPause)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					c.ToUpstream.Load()
					c.ToClient.Load()
				case <-ended:
					return
				}
			}
		}()
		_, err := proxy.Relay(context.Background(), client, upstream, &proxy.Options{Counters: &c})
		return err
	},
}

// both runs one for each direction, and passes the end of a stream on.
func both(client, upstream net.Conn, one func(dst, src net.Conn) error) error {
	var errs [2]error
	var flows sync.WaitGroup
	for i, ends := range [][2]net.Conn{{upstream, client}, {client, upstream}} {
		flows.Go(func() {
			errs[i] = one(ends[0], ends[1])
			// An error says that the connection is gone, which the other
			// direction sees.
			_ = ends[0].(interface{ CloseWrite() error }).CloseWrite()
		})
	}
	flows.Wait()
	return errors.Join(errs[:]...)
}

func copyBoth(client, upstream net.Conn) error {
	return both(client, upstream, func(dst, src net.Conn) error {
		_, err := io.Copy(dst, src)
		return err
	})
}

func spliceBoth(client, upstream net.Conn) error { return both(client, upstream, spliceLoop) }

// pipeSize is that of the loop's pipes, and of those that io.Copy takes.
const pipeSize = 1 << 20

// spliceLoop is the least that splicing needs: it takes a pipe once, and knows no
// time-outs, no counters and no ways to end but one.
func spliceLoop(dst, src net.Conn) error {
	from, err := src.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	to, err := dst.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return err
	}
	// The kernel has no error to tell of a pipe.
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	// It fails for users who have many pipes, which are small then.
	_, _ = unix.FcntlInt(uintptr(pipe[1]), unix.F_SETPIPE_SZ, pipeSize)
	const flags = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK
	var n int
	fill := func(fd uintptr) bool {
		moved, failure := unix.Splice(int(fd), nil, pipe[1], nil, pipeSize, flags)
		n, err = int(moved), failure
		return err != unix.EAGAIN
	}
	drain := func(fd uintptr) bool {
		for n > 0 && err == nil {
			moved, failure := unix.Splice(pipe[0], nil, int(fd), nil, n, flags)
			n, err = n-int(max(moved, 0)), failure
		}
		if err == unix.EAGAIN {
			err = nil
			return false
		}
		return true
	}
	for {
		if waiting := from.Read(fill); waiting != nil || err != nil || n == 0 {
			return errors.Join(waiting, err)
		}
		if waiting := to.Write(drain); waiting != nil || err != nil {
			return errors.Join(waiting, err)
		}
	}
}
