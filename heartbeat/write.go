package heartbeat

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// A turn is a lock that may be held for long: who waits for it does so at a channel
// and not at a mutex, so that in a bubble of [testing/synctest] time goes on.
type turn chan struct{}

func (t turn) lock()   { t <- struct{}{} }
func (t turn) unlock() { <-t }

func (t turn) tryLock() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

// Write writes p, with no ping among its bytes. It returns ErrPeerSilent when the
// peer is silent.
func (c *Conn) Write(p []byte) (n int, err error) {
	c.writing.lock()
	defer c.writing.unlock()
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
	c.writing.lock()
	defer c.writing.unlock()
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
	locked := c.writing.tryLock()
	if locked {
		n, done := c.sendNow(b)
		if done {
			c.writing.unlock()
			return
		}
		b = b[n:]
	}
	if !c.later(b, &c.answering, locked) && locked {
		c.writing.unlock()
	}
}

// later sends a ping or a pong when nobody else writes, or the rest of one if writing
// is locked already, which it unlocks then. It reports false if there is nothing to
// do: the flag says that one waits already, which stands for both.
func (c *Conn) later(b []byte, waits *bool, locked bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if *waits || c.closed {
		return false
	}
	*waits = true
	c.senders.Go(func() {
		if !locked {
			c.writing.lock()
		}
		n, err := c.send(b, time.Now().Add(c.pinger.timeout()))
		c.writing.unlock()
		if err != nil && (n > 0 || locked) { // nothing can follow half a message
			c.pinger.stop(fmt.Errorf("heartbeat: ping or pong: %w", err))
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		*waits = false
	})
	return true
}

// A connWriter writes the pings of a Conn.
type connWriter struct{ c *Conn }

func (w connWriter) ping([]byte) (int, error) {
	b := w.c.config.Ping
	if b == nil {
		return 0, nil
	}
	if !w.c.writing.tryLock() {
		// What the application writes need not be answered, so that a ping
		// follows it.
		w.c.later(b, &w.c.pinging, false)
		return 0, nil
	}
	defer w.c.writing.unlock()
	return w.c.send(b, time.Time{})
}

func (w connWriter) abort() bool {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.c.limited, w.c.aborted = true, true
	return w.c.Conn.SetWriteDeadline(time.Unix(1, 0)) == nil
}

func (w connWriter) settle() { w.c.settle() }
