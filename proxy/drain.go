package proxy

import (
	"net"
	"syscall"

	"github.com/netparts/netparts/internal/serve"
)

// wireOf returns the TCP connection that conn is or wraps, or nil: what is reset at the
// end, and has the bytes that were delivered until they have arrived, in whatever form
// conn gave them.
func wireOf(conn net.Conn) syscall.RawConn {
	wire, ok := serve.Innermost(conn).(interface {
		syscall.Conn
		SetLinger(seconds int) error
	})
	if !ok {
		return nil
	}
	raw, err := wire.SyscallConn()
	if err != nil {
		return nil // it is closed
	}
	return raw
}
