package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// A HeaderPolicy says what is done about a header of the PROXY protocol at the
// beginning of a connection. Whoever may send one may claim any address, so it
// depends on where the connection comes from.
type HeaderPolicy int

// The policies. A client that waits for the server to speak first is waited for
// as long as the header may take with HeaderOptional and HeaderRefused, and its
// connection goes on without one then, so that HeaderRefused does not keep a header
// that comes later from an upstream which takes them.
const (
	// HeaderNone looks for no header: if there is one, it is payload.
	HeaderNone HeaderPolicy = iota

	// HeaderRequired ends connections that begin with anything else.
	HeaderRequired

	// HeaderOptional uses a header if there is one.
	HeaderOptional

	// HeaderRefused ends connections that begin with a header.
	HeaderRefused
)

// HeaderOf returns the header that conn began with, if a [Server] or a
// [HeaderListener] has taken it off. It looks behind connections that have a NetConn
// method, as those of crypto/tls.
func HeaderOf(conn net.Conn) (*Header, bool) {
	for range 16 {
		if c, ok := conn.(*prepended); ok && c.header != nil {
			return c.header, true
		}
		wrap, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		if conn = wrap.NetConn(); conn == nil {
			break
		}
	}
	return nil, false
}

const defaultHeaderTimeout = 10 * time.Second

// firstRead is how much is read at first, in bytes: nearly all headers are shorter.
const firstRead = 256

// takeHeader takes the header off conn, within a time, and returns the connection
// with the addresses of the header, and the payload that came with it. The read
// deadline is gone then.
func takeHeader(conn net.Conn, policy HeaderPolicy, timeout time.Duration) (net.Conn, error) {
	if policy == HeaderNone {
		return conn, nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return conn, err
	}
	b := make([]byte, 0, firstRead)
	for {
		n, err := conn.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		h, length, parseErr := ParseHeader(b)
		switch {
		case parseErr == nil && policy == HeaderRefused:
			return conn, ErrHeaderRefused
		case parseErr == nil:
			c := &prepended{Conn: conn, head: b[length:], header: &h}
			if h.Network != "" {
				c.remote, c.local = h.source(), h.destination()
			}
			return noDeadline(c), nil
		case parseErr == ErrNoHeader && policy == HeaderRequired:
			return conn, ErrNoHeader
		case parseErr == ErrNoHeader:
			return noDeadline(Prepend(conn, b)), nil
		case parseErr != io.ErrUnexpectedEOF:
			return conn, parseErr
		}
		if err != nil {
			over := err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded)
			if over && policy != HeaderRequired && !begun(b) {
				return noDeadline(Prepend(conn, b)), nil
			}
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return conn, &SideError{Client, err}
		}
		if len(b) == cap(b) {
			grown := make([]byte, len(b), maxHeader)
			b = grown[:copy(grown, b)]
		}
	}
}

// noDeadline clears the read deadline of conn. What cannot do that is closed, by its
// peer even, and what came before is not lost for that: reading tells all.
func noDeadline(conn net.Conn) net.Conn {
	_ = conn.SetReadDeadline(time.Time{})
	return conn
}

// begun reports whether b, which is the beginning of a header or may become it, is
// enough to tell.
func begun(b []byte) bool { return len(b) >= len(signature) || len(b) >= len(textStart) && b[0] == 'P' }

func headerTimeout(d time.Duration) time.Duration {
	if d <= 0 {
		return defaultHeaderTimeout
	}
	return d
}

// readHeader takes the header off the connection of a client, which is closed when
// ctx ends.
func (s *Server) readHeader(ctx context.Context, client net.Conn) (net.Conn, error) {
	if s.Header == nil {
		return client, nil
	}
	var policy HeaderPolicy
	if err := safely("Header", func() { policy = s.Header(client.RemoteAddr()) }); err != nil {
		return client, err
	}
	conn, err := takeHeader(client, policy, headerTimeout(s.HeaderTimeout))
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // rather than that the connection is closed
	}
	return conn, err
}

// sendHeader sends the header for client to its upstream.
func (s *Server) sendHeader(client, upstream net.Conn) error {
	h := NewHeader(s.SendHeader, client.RemoteAddr(), client.LocalAddr())
	b, err := h.AppendBinary(make([]byte, 0, firstRead))
	if err != nil {
		return err
	}
	// It fits into the empty buffer of any socket, but others may wait.
	if err := upstream.SetWriteDeadline(time.Now().Add(defaultHeaderTimeout)); err != nil {
		return err
	}
	_, err = upstream.Write(b)
	return err
}
