//go:build unix

package proxy

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/serve"
)

// A watch looks out for the reset of a connection, without reading from it.
type watch struct {
	conn net.Conn // a TCP connection or a Unix stream
	*kernel
}

// newWatch returns nil for a connection that is nothing of the system.
func newWatch(conn net.Conn) *watch {
	conn = serve.Innermost(conn)
	k := newKernel(conn)
	if k == nil {
		return nil
	}
	return &watch{conn, k}
}

// untilReset waits until the peer has gone for good, which it reports, or end is
// called. That the peer has ended its stream alone does not count.
func (w *watch) untilReset() (reset bool) {
	err := w.raw.Read(func(fd uintptr) bool {
		reset = w.isReset(int(fd))
		return reset
	})
	return err == nil && reset
}

func (w *watch) isReset(fd int) bool {
	events := hangUp(fd)
	if events == 0 || w.tcp || events&unix.POLLERR != 0 {
		return events != 0
	}
	// A Unix stream is that of a peer that has closed it, maybe after it had said
	// all. Then there is something to read.
	n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return err != nil || n == 0
}

// hangUp returns POLLERR and POLLHUP, if they are so: nothing goes either way any more.
func hangUp(fd int) int16 {
	fds := []unix.PollFd{{Fd: int32(fd)}}
	if n, err := unix.Poll(fds, 0); err != nil || n == 0 {
		return 0
	}
	return fds[0].Revents & (unix.POLLERR | unix.POLLHUP)
}

// wasReset reports whether the peer of a TCP stream that has ended reset it. It is of
// use only while this side has not ended its own stream, since then a connection that
// has ended well is hung up too.
func wasReset(conn net.Conn) (reset bool) {
	wire := wireOf(conn)
	if wire == nil {
		return false
	}
	// An error says that this side has closed it.
	_ = wire.Control(func(fd uintptr) { reset = hangUp(int(fd)) != 0 })
	return reset
}

// end makes untilReset return. The read deadline of the connection is gone then.
func (w *watch) end() {
	_ = w.conn.SetReadDeadline(past) // fails only if it is closed, which wakes too
}
