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
	fds := []unix.PollFd{{Fd: int32(fd)}}
	if n, err := unix.Poll(fds, 0); err != nil || n == 0 {
		return false
	}
	if w.tcp || fds[0].Revents&unix.POLLERR != 0 {
		return fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
	}
	// A Unix stream is that of a peer that has closed it, maybe after it had said
	// all. Then there is something to read.
	n, _, err := unix.Recvfrom(fd, make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	return fds[0].Revents&unix.POLLHUP != 0 && (err != nil || n == 0)
}

// end makes untilReset return. The read deadline of the connection is gone then.
func (w *watch) end() {
	_ = w.conn.SetReadDeadline(past) // fails only if it is closed, which wakes too
}
