//go:build linux

// Package load makes requests over many connections from one thread, so that a client
// costs as little as can be and the same for all servers.
package load

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/bench/lab"
)

// Patience is how long nothing may come back.
const Patience = 10 * time.Second

// ErrSilent is returned when nothing came back.
var ErrSilent = errors.New("nothing comes")

// greeted is how many connections are opened before the last of them is waited for.
const greeted = 256

// varied is how many places there are in the content where a request can begin.
const varied = 4096

// Streams are connections to one echo server, each with one request under way.
type Streams struct {
	epoll  int
	conns  []Conn
	buffer []byte
	events [256]unix.EpollEvent
}

// A Conn is a blocking socket that is read from when epoll says so.
type Conn struct {
	fd   int
	next int    // where the next request begins
	want []byte // what is still to come back
}

// Open opens so many connections to a server, which echoes if there are many.
func Open(addr string, count int) (*Streams, error) {
	return open(addr, count, func(l *Streams, at int) error { return l.conns[at].Ask(l.buffer, 1) })
}

// open opens connections. What greet is called with makes a request over one of them, and
// waits for the response.
func open(addr string, count int, greet func(l *Streams, at int) error) (*Streams, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	l := &Streams{epoll: epoll, buffer: make([]byte, 64<<10)}
	for i := range count {
		c, err := Dial(addr)
		if err == nil {
			c.next = i * 61 % varied
			event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
			l.conns = append(l.conns, *c)
			err = unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, c.fd, &event)
		}
		if err == nil && (i+1)%greeted == 0 {
			// When it has an answer the server has accepted all. A backlog that
			// overflows would cost a second.
			err = greet(l, i)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connection %d: %w", i+1, err), l.Close())
		}
	}
	return l, nil
}

// Dial opens one connection to a TCP server, or to a Unix socket if its name begins with
// "@" or "/".
func Dial(addr string) (*Conn, error) {
	dial := dialTCP
	if strings.HasPrefix(addr, "@") || strings.HasPrefix(addr, "/") {
		dial = dialUnix
	}
	fd, err := dial(addr)
	if err != nil {
		return nil, err
	}
	limit := unix.NsecToTimeval(Patience.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit))
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return &Conn{fd: fd}, nil
}

func dialTCP(addr string) (int, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return 0, err
	}
	fd, err := Connect(at, unix.SOCK_STREAM)
	if err != nil {
		return 0, err
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func dialUnix(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// Connect returns a connected socket.
func Connect(at netip.AddrPort, kind int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}); err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// Close closes all connections.
func (l *Streams) Close() error {
	errs := []error{unix.Close(l.epoll)}
	for i := range l.conns {
		errs = append(errs, l.conns[i].Close())
	}
	return errors.Join(errs...)
}

// Close closes the connection.
func (c *Conn) Close() error { return unix.Close(c.fd) }

// Run makes count requests of a size, and compares each reply.
func (l *Streams) Run(count, size int) (lab.Done, error) {
	file := lab.Content(varied + size)
	return l.exchange(count,
		func(at int) error { return l.conns[at].send(file, size) },
		func(at int) (bool, error) { return l.conns[at].receive(l.buffer) })
}

// exchange makes count requests, of which each connection has at most one under way.
// What receives is called when there is something to read, and says whether the response
// is complete.
func (l *Streams) exchange(count int, send func(at int) error, receive func(at int) (bool, error)) (lab.Done, error) {
	var d lab.Done
	begin := time.Now()
	left, flying := count, 0
	for i := range min(left, len(l.conns)) {
		if err := send(i); err != nil {
			return d, err
		}
		flying++
		left--
	}
	for flying > 0 {
		n, err := unix.EpollWait(l.epoll, l.events[:], int(Patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err == nil && n == 0 {
			err = ErrSilent
		}
		if err != nil {
			return d, err
		}
		for i := range l.events[:n] {
			at := int(l.events[i].Fd)
			done, err := receive(at)
			if err == nil && done && left > 0 {
				left--
				flying++
				err = send(at)
			}
			if err != nil {
				return d, err
			}
			if done {
				flying--
				d.Count++
			}
		}
	}
	d.Took = time.Since(begin)
	return d, nil
}

// Ask makes one request of a size, which another part of the content than the last one
// is, and waits for the reply. The buffer has room for it.
func (c *Conn) Ask(buffer []byte, size int) error {
	if err := c.send(lab.Content(varied+size), size); err != nil {
		return err
	}
	for {
		done, err := c.receive(buffer)
		if err == unix.EINTR {
			continue // a limit of time keeps the kernel from going on by itself
		}
		if err != nil || done {
			return err
		}
	}
}

// send sends a request of a size from the content.
func (c *Conn) send(content []byte, size int) error {
	c.want = content[c.next : c.next+size]
	c.next = (c.next + 1) % varied
	n, err := unix.Write(c.fd, c.want)
	if err == nil && n < size {
		err = fmt.Errorf("%d bytes of %d were sent", n, size)
	}
	return err
}

// receive reads once, and reports whether the reply is complete.
func (c *Conn) receive(b []byte) (bool, error) {
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
