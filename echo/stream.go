package echo

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"
)

// chunk is how much of a stream is read at once, in bytes. More gains little.
const chunk = 32 << 10

// lastCall is how long a connection must be silent, when the server stops, before
// it is closed. What the kernels between have room for again is there by then;
// what came later would be answered with a reset, by which the client loses
// echoes that are on their way as well.
const lastCall = 10 * time.Millisecond

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// A buffer is what is read at once. A stream holds one only while there is
// something to read or to write.
type buffer [chunk]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// A stream is a connection that is echoed.
type stream struct {
	server *Server
	conn   net.Conn
	idle   time.Duration // its limit, or none if negative
	begin  time.Time
	last   time.Duration // when something happened, since begin
	called time.Duration // last at the time of the last call, or -1
	bytes  int64         // echoed
}

// errIdle ends a connection that is silent or does not read.
var errIdle = errors.New("idle")

// handle echoes one connection. What its goroutine keeps on the stack while the
// connection is idle is little on purpose, here and below: with 200 bytes more the
// stack would have to be 4 KiB rather than 2.
func (s *Server) handle(ctx context.Context, conn net.Conn) {
	c := &stream{server: s, conn: conn, idle: s.idleTimeout(), begin: time.Now(), called: -1}
	c.log(ctx, c.echo(ctx))
}

// log reports how a connection ended.
func (c *stream) log(ctx context.Context, err error) {
	logger := c.server.Logger
	if logger == nil {
		return
	}
	attrs := []slog.Attr{
		slog.String("remote", remote(c.conn)), slog.Int64("bytes", c.bytes),
		slog.Duration("duration", time.Since(c.begin)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	logger.LogAttrs(ctx, slog.LevelInfo, "connection ended", attrs...)
}

// remote returns the peer's address, if it has one.
func remote(conn net.Conn) string {
	if a := conn.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// echo returns nil if the client ended the stream, or had nothing more to say
// when the server shut down.
func (c *stream) echo(ctx context.Context) error {
	if err := c.handshake(ctx); err != nil {
		return err
	}
	if err := c.extend(); err != nil {
		return err
	}
	if k := c.kernel(); k != nil {
		return k.run()
	}
	return c.copy()
}

// handshake gives TLS a limit of its own, for clients that connect and are
// silent.
func (c *stream) handshake(ctx context.Context) error {
	conn, ok := c.conn.(interface {
		HandshakeContext(ctx context.Context) error
	})
	if !ok {
		return nil
	}
	limit := handshakeTimeout
	if c.idle > 0 {
		limit = min(limit, c.idle)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return conn.HandshakeContext(ctx)
}

// touch notes that something happened.
func (c *stream) touch() { c.last = time.Since(c.begin) }

// extend moves the read deadline to where the connection has been idle for too
// long. That is done when a deadline passes and not at each read.
func (c *stream) extend() error {
	if c.idle < 0 {
		return nil
	}
	// In two steps, because the sum of the durations may overflow.
	err := c.conn.SetReadDeadline(c.begin.Add(c.last).Add(c.idle))
	if err == nil && c.server.group.IsStopping() {
		// Shutdown may have moved it just before.
		err = c.conn.SetReadDeadline(past)
	}
	return err
}

// passed is called when the read deadline has passed. It reports whether the
// stream is to end, and with which error.
func (c *stream) passed() (end bool, err error) {
	switch {
	case c.server.group.IsStopping() && c.called == c.last:
		return true, nil
	case c.server.group.IsStopping():
		c.called = c.last
		err = c.conn.SetReadDeadline(time.Now().Add(lastCall))
	case c.idle >= 0 && time.Since(c.begin)-c.last >= c.idle:
		err = errIdle
	default:
		err = c.extend()
	}
	return err != nil, err
}

// copy echoes by the methods of the connection. It waits with a small buffer,
// and takes a large one while much is coming.
func (c *stream) copy() error {
	small := make([]byte, 512)
	var large *buffer
	defer func() {
		if large != nil {
			buffers.Put(large)
		}
	}()
	b := small
	for {
		n, err := c.conn.Read(b)
		if n > 0 {
			c.touch()
			if err := c.write(b[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			if end, err := c.passed(); end {
				return err
			}
		default:
			return err
		}
		switch {
		case n == len(b) && large == nil:
			large = buffers.Get().(*buffer)
			b = large[:]
		case n < len(b) && large != nil:
			buffers.Put(large)
			b, large = small, nil
		}
	}
}

// write sends b, and waits for room no longer than the idle timeout.
func (c *stream) write(b []byte) error {
	if err := c.limitWrite(); err != nil {
		return err
	}
	n, err := c.conn.Write(b)
	return c.wrote(n, err)
}

// limitWrite sets the deadline of a write.
func (c *stream) limitWrite() error {
	if c.idle < 0 {
		return nil
	}
	return c.conn.SetWriteDeadline(time.Now().Add(c.idle))
}

// wrote notes what a write has returned.
func (c *stream) wrote(n int, err error) error {
	c.bytes += int64(n)
	c.touch()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errIdle
	}
	return err
}
