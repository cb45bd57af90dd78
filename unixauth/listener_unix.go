//go:build linux || darwin || freebsd

package unixauth

import (
	"net"
	"syscall"
)

// writeNow writes what there is room for, which is all as long as a message is shorter than
// the buffer of a socket.
func writeNow(conn net.Conn, message string) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	// The peer may be gone.
	_ = raw.Write(func(fd uintptr) bool {
		_, _ = syscall.Write(int(fd), []byte(message))
		return true
	})
}
