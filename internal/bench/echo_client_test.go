//go:build linux

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// An echoClient is what a child keeps for its orders.
type echoClient struct {
	loads map[string]*streamLoad // by the address of the server
	udp   map[string]*packetLoad
	stuck *stuckClient
}

func (c *child) obeyEcho(o *order, a *answer) error {
	e := &c.echo
	switch o.Do {
	case "echo-serve":
		return serveEcho(o, a)
	case "echo-open":
		return e.open(o)
	case "echo-requests":
		return e.loads[o.Addrs[0]].run(o, a)
	case "echo-close":
		return e.close(o.Addrs[0])
	case "echo-packets":
		return e.packets(o, a)
	case "echo-stream":
		return streamThrough(o, a)
	case "echo-stick":
		return e.stick(o)
	case "echo-stuck":
		return e.stuck.wait(a)
	case "echo-unstick":
		return e.stuck.conn.Close()
	}
	return fmt.Errorf("nobody knows how to %q", o.Do)
}

// patience is how long nothing may come back, in milliseconds.
const patience = 10_000

// varied is how many places there are in the content where a request can begin.
const varied = 4096

// A streamLoad is connections to one server that one thread asks in turn, each
// with one request under way.
type streamLoad struct {
	epoll  int
	conns  []streamConn
	buffer []byte
	events [256]unix.EpollEvent
}

// A streamConn is a blocking socket that is read from when epoll says so.
type streamConn struct {
	fd   int
	next int    // where the next request begins
	want []byte // what is still to come back
}

// open opens connections.
func (e *echoClient) open(o *order) error {
	l, err := newStreamLoad(o)
	if err != nil {
		return err
	}
	if e.loads == nil {
		e.loads = make(map[string]*streamLoad)
	}
	e.loads[o.Addrs[0]] = l
	return nil
}

func newStreamLoad(o *order) (*streamLoad, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	l := &streamLoad{epoll: epoll, buffer: make([]byte, 64<<10)}
	at := netip.MustParseAddrPort(o.Addrs[0])
	for i := range o.Count {
		fd, err := connect(at, unix.SOCK_STREAM)
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		}
		if err == nil {
			err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &unix.Timeval{Sec: patience / 1000})
		}
		if err == nil {
			event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
			err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event)
		}
		if err != nil {
			return nil, err
		}
		l.conns = append(l.conns, streamConn{fd: fd, next: i * 61 % varied})
	}
	return l, nil
}

// connect returns a connected socket.
func connect(at netip.AddrPort, kind int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	return fd, unix.Connect(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()})
}

func (e *echoClient) close(addr string) error {
	l := e.loads[addr]
	errs := []error{unix.Close(l.epoll)}
	for _, c := range l.conns {
		errs = append(errs, unix.Close(c.fd))
	}
	delete(e.loads, addr)
	return errors.Join(errs...)
}

// run makes so many requests of a size, and compares each reply.
func (l *streamLoad) run(o *order, a *answer) error {
	file := content(varied + o.Size)
	begin := time.Now()
	left, flying := o.Count, 0
	for i := range min(left, len(l.conns)) {
		if err := l.conns[i].request(file, o.Size); err != nil {
			return err
		}
		flying++
		left--
	}
	for flying > 0 {
		n, err := unix.EpollWait(l.epoll, l.events[:], patience)
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = errSilent
		}
		if err != nil {
			return err
		}
		for i := range l.events[:n] {
			c := &l.conns[l.events[i].Fd]
			done, err := c.receive(l.buffer)
			if err == nil && done && left > 0 {
				left--
				flying++
				err = c.request(file, o.Size)
			}
			if err != nil {
				return err
			}
			if done {
				flying--
				a.Done++
			}
		}
	}
	a.All = time.Since(begin)
	return nil
}

func (c *streamConn) request(file []byte, size int) error {
	c.want = file[c.next : c.next+size]
	c.next = (c.next + 1) % varied
	n, err := unix.Write(c.fd, c.want)
	if err == nil && n < size {
		err = fmt.Errorf("%d bytes of %d were sent", n, size)
	}
	return err
}

// receive reports whether the reply is complete.
func (c *streamConn) receive(b []byte) (bool, error) {
	n, err := unix.Read(c.fd, b)
	switch {
	case err != nil:
		return false, err
	case n == 0:
		return false, errors.New("the server closed the connection")
	case n > len(c.want) || !bytes.Equal(b[:n], c.want[:n]):
		return false, errors.New("what came back differs")
	}
	c.want = c.want[n:]
	return len(c.want) == 0, nil
}
