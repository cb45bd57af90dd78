//go:build unix

package proxy

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/netparts/netparts/internal/udpio"
)

// maxUnixgram is the longest Unix datagram that is relayed, in bytes. It is more than a
// socket sends unless root has raised its limit.
const maxUnixgram = 512 << 10

// unixgrams are buffers for one datagram, and one byte more to tell a longer one. Of a
// new one only the pages that are written to take memory.
var unixgrams = sync.Pool{New: func() any { return new([maxUnixgram + 1]byte) }}

// packetPatience is how long a client may take to read a Unix datagram before one is
// dropped.
const packetPatience = 100 * time.Millisecond

// growWriteBuffer makes room for the longest datagram that a sender with its default
// buffer can send.
func growWriteBuffer(conn *net.UnixConn) {
	_ = conn.SetWriteBuffer(maxUnixgram) // the kernel grants less if it must
}

// A unixgramPort is a Unix datagram socket that clients send to.
type unixgramPort struct {
	relay  *packetRelay
	conn   *net.UnixConn
	raw    syscall.RawConn
	own    string // the name of the socket
	buffer []byte

	n    int
	from string
	err  error
	try  func(fd uintptr) bool
}

// newUnixgramPort returns nil if the connection is not open.
func newUnixgramPort(r *packetRelay, conn *net.UnixConn) packetPort {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	growWriteBuffer(conn)
	p := &unixgramPort{
		relay: r, conn: conn, raw: raw, own: conn.LocalAddr().String(), buffer: make([]byte, maxUnixgram+1),
	}
	p.try = p.receive
	return p
}

func (p *unixgramPort) release() {}

func (p *unixgramPort) read(ctx context.Context) error {
	if err := p.raw.Read(p.try); err != nil {
		return err
	}
	data := p.buffer[:p.n]
	switch {
	case p.err != nil:
		return os.NewSyscallError("recvfrom", p.err)
	case p.from == "" || p.n > maxUnixgram:
		p.relay.drop(data, p.n)
	default:
		p.relay.pass(ctx, packetKey{name: p.from}, data, p.n)
		p.relay.flush()
	}
	return nil
}

// receive takes one datagram, and reports false if there is none.
func (p *unixgramPort) receive(fd uintptr) bool {
	var from syscall.Sockaddr
	p.n, from, p.err = syscall.Recvfrom(int(fd), p.buffer, 0)
	p.n, p.from = max(p.n, 0), ""
	if unix, ok := from.(*syscall.SockaddrUnix); ok {
		p.from = unix.Name
	}
	if p.err == syscall.EINTR {
		return p.receive(fd)
	}
	return p.err != syscall.EAGAIN
}

func (p *unixgramPort) asked(k packetKey) (client, local net.Addr) {
	return &net.UnixAddr{Net: "unixgram", Name: k.name}, p.conn.LocalAddr()
}

func (p *unixgramPort) isOwn(k packetKey) bool { return k.name == p.own }

func (p *unixgramPort) answerer(s *packetSession) packetAnswerer {
	a := &unixgramAnswerer{raw: p.raw, to: &syscall.SockaddrUnix{Name: s.key.name}, done: s.done}
	a.try = a.sendOnce
	return a
}

// A unixgramAnswerer sends to one client. It does not wait in the methods of a
// net.UnixConn, where all others would wait behind it.
type unixgramAnswerer struct {
	raw  syscall.RawConn
	to   *syscall.SockaddrUnix
	done <-chan struct{}
	deaf bool // it did not read for as long as packetPatience

	datagram []byte
	err      error
	try      func(fd uintptr)
}

func (a *unixgramAnswerer) answer(ms []udpio.Message) {
	for i := range ms {
		_ = writePackets(a, ms[i:i+1]) // Err says it; the next may find room
	}
}

// Write sends one datagram. It waits for a client that does not read, but not again
// before that has read something.
func (a *unixgramAnswerer) Write(b []byte) (int, error) {
	a.datagram = b
	defer func() { a.datagram = nil }()
	var pause *time.Timer
	for next, waited := time.Millisecond, time.Duration(0); ; next *= 2 {
		if err := a.raw.Control(a.try); err != nil {
			return 0, err
		}
		full := a.err == syscall.EAGAIN || a.err == syscall.ENOBUFS
		if !full || a.deaf || waited >= packetPatience {
			a.deaf = full
			return len(b), a.err
		}
		if pause == nil {
			pause = time.NewTimer(next)
			defer pause.Stop()
		} else {
			pause.Reset(next)
		}
		waited += next
		select {
		case <-pause.C:
		case <-a.done:
			return 0, a.err
		}
	}
}

// sendOnce sends the datagram if there is room for it.
func (a *unixgramAnswerer) sendOnce(fd uintptr) {
	for {
		a.err = syscall.Sendto(int(fd), a.datagram, syscall.MSG_DONTWAIT, a.to)
		if a.err != syscall.EINTR {
			return
		}
	}
}

// A unixgramUpstream is a connected Unix datagram socket.
type unixgramUpstream struct {
	conn *net.UnixConn
	raw  syscall.RawConn
	held *[maxUnixgram + 1]byte // while there is something in it
	n    int
	err  error
}

// newUnixgramUpstream returns nil for a connection that is none.
func newUnixgramUpstream(conn net.Conn) packetUpstream {
	if bound, ok := conn.(*boundUnixgram); ok {
		conn = bound.UnixConn
	}
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return nil
	}
	raw, err := unix.SyscallConn()
	if err != nil {
		return nil
	}
	growWriteBuffer(unix)
	return &unixgramUpstream{conn: unix, raw: raw}
}

// waits reports true: the upstream may not read.
func (u *unixgramUpstream) waits() bool { return true }

func (u *unixgramUpstream) send(ms []udpio.Message) error { return writePackets(u.conn, ms) }

func (u *unixgramUpstream) receive(s *packetSession) error {
	defer u.release()
	try := u.tryReceive
	for {
		if err := u.raw.Read(try); err != nil {
			return err
		}
		switch {
		case u.err != nil:
			return os.NewSyscallError("read", u.err)
		case u.n > maxUnixgram:
			s.counters.dropped.Add(1)
		default:
			m := [1]udpio.Message{{Data: u.held[:u.n], Size: u.n}}
			s.answer(m[:])
		}
	}
}

// tryReceive takes one datagram, and reports false if there is none. It holds no
// buffer then.
func (u *unixgramUpstream) tryReceive(fd uintptr) bool {
	if u.held == nil {
		u.held = unixgrams.Get().(*[maxUnixgram + 1]byte)
	}
	for {
		u.n, u.err = syscall.Read(int(fd), u.held[:])
		switch u.err {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			u.release()
			return false
		}
		return true
	}
}

func (u *unixgramUpstream) release() {
	if u.held != nil {
		unixgrams.Put(u.held)
		u.held = nil
	}
}

// dialUnixgram connects a socket that has a name, so that the upstream can answer. On
// Linux the kernel makes one up.
func dialUnixgram(ctx context.Context, path string) (net.Conn, error) {
	if runtime.GOOS != "linux" {
		return dialBound(ctx, path)
	}
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var bound error
		err := c.Control(func(fd uintptr) { bound = syscall.Bind(int(fd), new(syscall.SockaddrUnix)) })
		return errors.Join(err, os.NewSyscallError("bind", bound))
	}}
	return d.DialContext(ctx, "unixgram", path)
}

// dialBound connects a socket whose file is in a folder of its own, where no other user
// can replace it.
func dialBound(ctx context.Context, path string) (net.Conn, error) {
	dir, err := os.MkdirTemp("", "proxy")
	if err != nil {
		return nil, err
	}
	d := net.Dialer{LocalAddr: &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "s")}}
	conn, err := d.DialContext(ctx, "unixgram", path)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &boundUnixgram{conn.(*net.UnixConn), dir}, nil
}

// A boundUnixgram removes its socket file when it is closed.
type boundUnixgram struct {
	*net.UnixConn
	dir string
}

// Close implements [net.Conn].
func (c *boundUnixgram) Close() error {
	return errors.Join(c.UnixConn.Close(), os.RemoveAll(c.dir))
}
