package tlsutil

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// Confirm performs the client's handshake on conn, unless that has been done, and waits for
// a sign of what the server thinks of the client's certificate. It is for tests,
// health checks, and clients to which the server speaks first: with TLS 1.3 the handshake
// of a client has ended before the server has judged it.
//
// It returns when the server has refused, with an error that is explained ([Explain]); when
// it has sent its first byte; or when ctx ends, without an error, because then the server
// has not refused. The connection that it returns is to be used instead of conn: it has
// the byte. If there is an error the caller has to close conn. Confirm sets the read
// deadline, and leaves none.
func Confirm(ctx context.Context, conn *tls.Conn) (net.Conn, error) {
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, Explain(err)
	}
	if conn.ConnectionState().Version < tls.VersionTLS13 {
		return conn, nil // judged during the handshake
	}
	n, first, err := readByte(ctx, conn)
	switch {
	case n > 0:
		return &confirmedConn{Conn: conn, first: first}, nil
	case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
		return conn, nil
	case errors.Is(err, io.EOF):
		// Without an alert, and without a word, the server has closed: it may have a
		// reason of its own, so that this is none of the certificate.
		return nil, io.ErrUnexpectedEOF
	}
	return nil, Explain(err)
}

// readByte reads one byte, until ctx ends.
func readByte(ctx context.Context, conn *tls.Conn) (n int, first byte, err error) {
	past := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(past)
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // if conn is closed the Read ends by that
	})
	var b [1]byte
	n, err = conn.Read(b[:])
	if !stop() {
		<-past
	}
	return n, b[0], errors.Join(err, conn.SetReadDeadline(time.Time{}))
}

// A confirmedConn has read the first byte, and gives it to the first Read. Like that of
// other connections it may be called by several goroutines.
type confirmedConn struct {
	*tls.Conn
	first byte
	given atomic.Bool
}

// Read implements net.Conn.
func (c *confirmedConn) Read(b []byte) (int, error) {
	if len(b) > 0 && c.given.CompareAndSwap(false, true) {
		b[0] = c.first
		return 1, nil
	}
	return c.Conn.Read(b)
}
