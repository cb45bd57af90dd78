package heartbeat

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// Write writes p, with no ping among its bytes. It returns ErrPeerSilent when the
// peer is silent.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.failed(); err != nil {
		return 0, err
	}
	for {
		piece := p[n:min(len(p), n+writeSize)]
		begin := time.Now()
		m, err := c.Conn.Write(piece)
		n += m
		if m > 0 && time.Since(begin) >= slowWrite {
			c.pinger.Touch()
		}
		if err != nil || n == len(p) {
			return n, c.reason(err)
		}
	}
}

// CloseWrite tells the peer that nothing more will come, and Read goes on. No ping
// or pong is sent from then on, so that a peer which expects them ends the
// connection in time. It wraps [errors.ErrUnsupported] if the connection has no
// CloseWrite of its own.
func (c *Conn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return fmt.Errorf("heartbeat: half-closing a %T: %w", c.Conn, errors.ErrUnsupported)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	c.halfClosed = true
	c.mu.Unlock()
	return half.CloseWrite()
}

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed() != nil {
		return nil // it is in the past for good
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	if c.limited || c.failed() != nil {
		return nil // it is set when the ping has been written
	}
	return c.Conn.SetWriteDeadline(t)
}

// send writes a ping or a pong, or the rest of one, with a deadline of its own. It
// is called under writing.
func (c *Conn) send(b []byte, deadline time.Time) (int, error) {
	n, done := c.sendNow(b)
	if done {
		return n, nil
	}
	defer c.settle()
	if err := c.limit(deadline); err != nil {
		return n, err
	}
	m, err := c.Conn.Write(b[n:])
	return n + m, err
}

// sendNow writes what there is room for, and reports whether nothing is left to do.
// It is called under writing.
func (c *Conn) sendNow(b []byte) (n int, done bool) {
	c.mu.Lock()
	silent := c.halfClosed
	c.mu.Unlock()
	if silent {
		return 0, true
	}
	n = writeNow(c.raw, b)
	return n, n == len(b)
}

// limit sets the write deadline for a ping or pong, unless pings are aborted.
func (c *Conn) limit(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limited = true
	if c.aborted {
		return os.ErrDeadlineExceeded
	}
	return c.Conn.SetWriteDeadline(t)
}

// settle restores the write deadline of the application.
func (c *Conn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limited = false
	if c.failed() == nil {
		// It fails only if the connection has failed.
		_ = c.Conn.SetWriteDeadline(c.deadline)
	}
}

// answer answers a ping. If there is no room for that it does not wait: a peer that
// writes and does not read may be waiting for us to read.
func (c *Conn) answer() {
	b := c.config.Pong
	if b == nil {
		return
	}
	locked := c.writing.TryLock()
	if locked {
		n, done := c.sendNow(b)
		if done {
			c.writing.Unlock()
			return
		}
		b = b[n:]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.answering && !c.closed:
		c.answering = true
		c.answers.Go(func() { c.pong(b, locked) })
	case locked:
		c.writing.Unlock()
	}
}

// pong writes what is left of a pong. The mutex writing is locked if its beginning
// was written.
func (c *Conn) pong(b []byte, locked bool) {
	if !locked {
		c.writing.Lock()
	}
	n, err := c.send(b, time.Now().Add(c.pinger.timeout()))
	c.writing.Unlock()
	if err != nil && (n > 0 || len(b) < len(c.config.Pong)) { // nothing can follow half a message
		c.pinger.stop(fmt.Errorf("heartbeat: pong: %w", err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answering = false
}

// A connWriter writes the pings of a Conn.
type connWriter struct{ c *Conn }

func (w connWriter) ping([]byte) (int, error) {
	b := w.c.config.Ping
	if b == nil {
		return 0, nil
	}
	if !w.c.writing.TryLock() {
		return 0, nil // the application is writing, and that stands for a ping
	}
	defer w.c.writing.Unlock()
	return w.c.send(b, time.Time{})
}

func (w connWriter) abort() bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.limited, w.c.aborted = true, true
	return w.c.Conn.SetWriteDeadline(time.Unix(1, 0)) == nil
}

func (w connWriter) settle() { w.c.settle() }
