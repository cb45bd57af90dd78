//go:build !unix

package proxy

import "net"

// A kernel is a TCP connection. Its bytes are moved by its methods here.
type kernel struct{}

// newKernel returns nil if conn is something else than a TCP connection.
func newKernel(conn net.Conn) *kernel {
	if _, ok := conn.(*net.TCPConn); !ok {
		return nil
	}
	return &kernel{}
}

func (f *flow) runKernel() { f.copy() }
