//go:build !portable

package proxy

import (
	"context"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// drain waits until the peer of conn has received all that was sent to it, but no longer
// than limit, or until ctx ends. What is no TCP connection has delivered it already.
func drain(ctx context.Context, conn net.Conn, limit time.Duration) {
	wire := wireOf(conn)
	if wire == nil {
		return
	}
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	// No event tells it, so it is asked for again and again, less and less often.
	for pause := 100 * time.Microsecond; waits(wire); pause = min(2*pause, 50*time.Millisecond) {
		again := time.NewTimer(pause)
		select {
		case <-again.C:
			continue
		case <-timeout.C:
		case <-ctx.Done():
		}
		again.Stop()
		return
	}
}

// waits reports whether the peer has yet to receive bytes, and may.
func waits(wire syscall.RawConn) (waits bool) {
	err := wire.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		waits = err == nil && n > 0 && !isClosed(int(fd))
	})
	return err == nil && waits
}

// isClosed reports whether nothing goes either way any more.
func isClosed(fd int) bool {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	const closed = 7 // TCP_CLOSE
	return err == nil && info.State == closed
}
