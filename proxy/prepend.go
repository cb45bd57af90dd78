package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Prepend returns conn with head before what is yet to be read of it: for those who
// read a part of a stream to see what it is, and then relay all of it. It takes over
// head.
//
// A relay looks behind the Conn, and behind one of Prepend within, so that it costs
// nothing once head has been read. Its CloseWrite is that of conn, or returns
// [errors.ErrUnsupported].
func Prepend(conn net.Conn, head []byte) net.Conn {
	return &prepended{Conn: conn, head: head}
}

// A prepended is a connection some of which was read before, and whose addresses a
// PROXY header may have told.
type prepended struct {
	net.Conn
	header        *Header  // that was taken off, or nil
	remote, local net.Addr // if not nil, those of the header

	mu   sync.Mutex
	head []byte
}

// Read implements net.Conn.
func (c *prepended) Read(b []byte) (int, error) {
	if n, ok := c.readHead(b); ok {
		return n, nil
	}
	return c.Conn.Read(b)
}

// readHead reads from the head, or reports false if it has been read.
func (c *prepended) readHead(b []byte) (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.head) == 0 {
		c.head = nil // the connection may be open for long
		return 0, false
	}
	n := copy(b, c.head)
	c.head = c.head[n:]
	return n, true
}

// WriteTo implements [io.WriterTo], so that what wraps a connection of the system costs
// no more than that with [io.Copy].
func (c *prepended) WriteTo(w io.Writer) (int64, error) {
	var written int64
	if head := c.take(); len(head) > 0 {
		n, err := w.Write(head)
		if err == nil && n < len(head) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return int64(n), err
		}
		written = int64(n)
	}
	n, err := io.Copy(w, c.Conn)
	return written + n, err
}

// ReadFrom implements [io.ReaderFrom], by which servers of files have the system send
// them.
func (c *prepended) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// take returns what has not been read of the head.
func (c *prepended) take() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := c.head
	c.head = nil
	return head
}

// CloseWrite ends the stream to the peer, if conn can do that.
func (c *prepended) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection that c wraps, which lacks the head.
func (c *prepended) NetConn() net.Conn { return c.Conn }

// RemoteAddr implements net.Conn.
func (c *prepended) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// LocalAddr implements net.Conn.
func (c *prepended) LocalAddr() net.Addr {
	if c.local != nil {
		return c.local
	}
	return c.Conn.LocalAddr()
}
