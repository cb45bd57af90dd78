package proxy

import (
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"syscall"
)

// An end is one connection of a pair.
type end struct {
	conn   net.Conn
	kernel *kernel // if the connection is a stream of the system and nothing else
	head   []byte  // what was read from it before
	err    error   // what broke it, under the mutex of the pair
	over   bool    // its stream has ended, under the mutex too

	messages bool // it is no stream

	shut atomic.Bool // the stream to it has ended
}

func (e *end) init(conn net.Conn) {
	e.conn = conn
	for c, ok := conn.(*prepended); ok; c, ok = conn.(*prepended) {
		e.head, conn = append(slices.Clip(e.head), c.take()...), c.Conn
	}
	e.kernel = newKernel(conn)
	switch conn := conn.(type) {
	case *net.UDPConn, *net.IPConn:
		e.messages = true
	case *net.UnixConn:
		a := conn.LocalAddr()
		e.messages = a != nil && a.Network() != "unix"
	}
}

// errNoHalfClose is that of a connection that cannot end its stream alone.
var errNoHalfClose = errors.New("proxy: no half-close")

// closeWrite ends the stream to e. Its error is errNoHalfClose or what broke e.
func (e *end) closeWrite() error {
	c, ok := e.conn.(interface{ CloseWrite() error })
	if !ok {
		return errNoHalfClose
	}
	// A connection of crypto/tls can do it when that is over.
	if tls, ok := e.conn.(interface{ Handshake() error }); ok && tls.Handshake() != nil {
		return nil // reading tells it
	}
	e.shut.Store(true)
	err := c.CloseWrite()
	errno, broken := errors.AsType[syscall.Errno](err)
	switch {
	case err == nil, errno == syscall.ENOTCONN, errors.Is(err, net.ErrClosed):
		return nil // reading tells why
	case broken:
		return err // by what it wrote, and reading does not tell it again
	}
	return errNoHalfClose
}

// fail notes what broke e, the first time. It is called under the mutex of the pair.
func (e *end) fail(err error) {
	if e.err == nil {
		e.err = err
	}
}
