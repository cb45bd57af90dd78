package memnet

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// window is how many bytes are on the way in one direction at most.
const window = 64 << 10

// A Conn is one end of a stream connection, with the methods of a
// [*net.TCPConn] that tests need. Like a TCP connection it ends its peer with a
// reset, not with the end of the stream, when it is closed over unread bytes.
type Conn struct {
	in, out       *half
	local, remote netip.AddrPort

	mu     sync.Mutex
	linger int
}

// Pipe returns the two ends of a connection that belongs to no [Network].
func Pipe() (*Conn, *Conn) {
	address := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	return pipe(netip.AddrPortFrom(address, 1), netip.AddrPortFrom(address, 2))
}

func pipe(a, b netip.AddrPort) (*Conn, *Conn) {
	ab, ba := newHalf(), newHalf()
	return &Conn{in: ba, out: ab, local: a, remote: b, linger: -1},
		&Conn{in: ab, out: ba, local: b, remote: a, linger: -1}
}

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.opError("read", err)
}

// Write implements [net.Conn]. It blocks while 64 KiB are unread.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.opError("write", err)
}

// Close closes the connection. What was written can still be read by the peer.
func (c *Conn) Close() error {
	c.mu.Lock()
	reset := c.linger == 0
	c.mu.Unlock()
	return c.opError("close", c.close(reset))
}

func (c *Conn) close(reset bool) error {
	reset, err := c.in.goneRead(reset)
	if err != nil {
		return err
	}
	return c.out.closeWrite(true, reset)
}

// CloseRead makes Read report the end of the stream, and drops what the peer
// still sends.
func (c *Conn) CloseRead() error {
	return c.opError("close", c.in.closeRead())
}

// CloseWrite tells the peer that nothing more will come. Read goes on.
func (c *Conn) CloseWrite() error {
	return c.opError("close", c.out.closeWrite(false, false))
}

// SetLinger with 0 makes Close reset the connection. Other values restore the
// default.
func (c *Conn) SetLinger(sec int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linger = sec
	return nil
}

// LocalAddr returns the address of this end, a [*net.TCPAddr].
func (c *Conn) LocalAddr() net.Addr { return tcpAddr(c.local) }

// RemoteAddr returns the address of the other end, a [*net.TCPAddr].
func (c *Conn) RemoteAddr() net.Addr { return tcpAddr(c.remote) }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.opError("set", c.in.setDeadline(&c.in.readDeadline, &c.in.readerGone, t))
}

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.opError("set", c.out.setDeadline(&c.out.writeDeadline, &c.out.writerGone, t))
}

func (c *Conn) opError(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return opError(op, "tcp", c.LocalAddr(), c.RemoteAddr(), err)
}

// A half is one direction of a connection: the writer of one Conn and the reader
// of the other.
type half struct {
	mu      sync.Mutex
	changed sync.Cond
	buf     []byte // written and not yet read

	readDeadline, writeDeadline deadline

	writing    bool // a Write is under way; others wait, so that none is torn
	ended      bool // CloseWrite or Close of the writing end
	reset      bool // the writing end was closed with a reset, not yet reported
	discard    bool // CloseRead of the reading end: what comes is dropped
	writerGone bool // Close of the writing end
	readerGone bool // Close of the reading end

	// What Write reports once the reading end is gone, one error after the
	// other; nil is a Write that is lost.
	refusals []error
}

func newHalf() *half {
	h := new(half)
	h.changed.L = &h.mu
	return h
}

func (h *half) read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case h.readerGone:
			return 0, net.ErrClosed
		case h.readDeadline.expired:
			return 0, os.ErrDeadlineExceeded
		case h.discard:
			return 0, io.EOF
		case len(p) == 0:
			return 0, nil
		case len(h.buf) > 0:
			n := copy(p, h.buf)
			h.buf = h.buf[n:]
			h.changed.Broadcast()
			return n, nil
		case h.reset:
			h.reset = false
			return 0, os.NewSyscallError("read", syscall.ECONNRESET)
		case h.ended:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (h *half) write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.writing && !h.writerGone && !h.writeDeadline.expired {
		h.changed.Wait()
	}
	if !h.writing {
		h.writing = true
		defer func() {
			h.writing = false
			h.changed.Broadcast()
		}()
	}
	written := 0
	for {
		switch {
		case h.writerGone:
			return written, net.ErrClosed
		case h.writeDeadline.expired:
			return written, os.ErrDeadlineExceeded
		case h.ended:
			return written, os.NewSyscallError("write", syscall.EPIPE)
		case h.readerGone:
			err := error(os.NewSyscallError("write", syscall.EPIPE))
			if len(h.refusals) > 0 {
				err, h.refusals = h.refusals[0], h.refusals[1:]
			}
			if err == nil {
				written += len(p)
			}
			return written, err
		case h.discard:
			return written + len(p), nil
		}
		n := min(len(p), window-len(h.buf))
		h.buf = append(h.buf, p[:n]...)
		p = p[n:]
		written += n
		if n > 0 {
			h.changed.Broadcast()
		}
		if len(p) == 0 {
			return written, nil
		}
		h.changed.Wait()
	}
}

// closeRead ends the reading end as CloseRead does.
func (h *half) closeRead() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readerGone {
		return net.ErrClosed
	}
	h.buf = nil
	h.discard = true
	h.changed.Broadcast()
	return nil
}

// goneRead ends the reading end for good, by a reset if that is wanted or if there are
// unread bytes, which it reports.
func (h *half) goneRead(reset bool) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readerGone {
		return false, net.ErrClosed
	}
	reset = reset || len(h.buf) > 0
	h.buf = nil
	h.readerGone = true
	h.readDeadline.stop()
	h.refusals = []error{nil} // the peer's answer comes too late for it
	if reset {
		h.refusals = []error{os.NewSyscallError("write", syscall.ECONNRESET)}
	}
	h.changed.Broadcast()
	return reset, nil
}

// closeWrite ends the writing end, for good or as CloseWrite does.
func (h *half) closeWrite(gone, reset bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.writerGone {
		return net.ErrClosed
	}
	if gone {
		h.writerGone = true
		h.reset = reset && !h.ended
		h.writeDeadline.stop()
	}
	h.ended = true
	h.changed.Broadcast()
	return nil
}

func (h *half) setDeadline(d *deadline, gone *bool, t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if *gone {
		return net.ErrClosed
	}
	d.set(&h.changed, t, nil)
	return nil
}
