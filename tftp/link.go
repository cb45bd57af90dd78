package tftp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/internal/udpio"
)

const (
	// replySize is how much is read of what a receiver of blocks sends, an ACK
	// or an ERROR.
	replySize = maxRequest + headerSize

	// batchSize is how many datagrams are read at once where windows are used.
	batchSize = 8
)

// readerConfig returns how to read what a peer sends that sends blocks of blockSize, or
// none if blockSize is 0.
func readerConfig(blockSize, window int) udpio.Config {
	c := udpio.Config{Size: max(replySize, headerSize+blockSize+1)} // one more, to notice what is too long
	if blockSize > 0 && window > 1 {
		c.Batch, c.Coalesce = batchSize, true
	}
	return c
}

// windowCost is how much of a receive buffer a window can take. The kernel counts
// the memory of each datagram, which is up to twice its size, and what it needs
// to describe it.
func windowCost(blockSize, window int) int {
	return window * (2*(blockSize+headerSize) + 768)
}

// A socket is a link with a socket of its own.
type socket struct {
	conn   net.PacketConn
	reader *udpio.Reader
	armed  time.Time // the read deadline of conn

	mu      sync.Mutex // sending, and the end
	writer  *udpio.Writer
	peer    netip.AddrPort
	stopErr error
	stopped atomic.Bool // stopErr is set

	// anyPort lets the first packet of the peer's address choose the port,
	// which is its transfer ID (RFC 1350 section 4).
	anyPort bool
}

func newSocket(conn net.PacketConn, peer netip.AddrPort, c udpio.Config) *socket {
	return &socket{conn: conn, reader: udpio.NewReader(conn, c), writer: udpio.NewWriter(conn), peer: peer}
}

func (s *socket) send(b []byte, size int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopErr != nil {
		return s.stopErr
	}
	return s.sendTo(s.peer, b, size)
}

// sendTo sends under mu. What the network refuses counts as lost: the timer will
// send it again, or give up.
func (s *socket) sendTo(peer netip.AddrPort, b []byte, size int) error {
	if err := s.writer.Write(b, size, peer, netip.Addr{}); errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (s *socket) receive(due time.Time) ([]byte, error) {
	for {
		p, ok := s.reader.Next()
		if !ok {
			if err := s.wait(due); err != nil {
				return nil, err
			}
			continue
		}
		if p.Peer == s.peer && !s.anyPort {
			return p.Data, nil
		}
		if s.accept(p) {
			return p.Data, nil
		}
	}
}

// accept settles the port of the peer, and sends strangers away (RFC 1350
// section 4).
func (s *socket) accept(p udpio.Packet) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.anyPort && p.Peer.Addr() == s.peer.Addr() {
		s.anyPort = false
		s.peer = p.Peer
		return true
	}
	if op := opcode(p.Data); op != OpError && op != 0 && s.stopErr == nil {
		var b [64]byte
		said, _ := (&Error{Code: CodeUnknownID}).AppendBinary(b[:0]) // which never fails
		_ = s.sendTo(p.Peer, said, len(said))                        // nobody waits for it
	}
	return false
}

// wait reads until something has come. The deadline of the connection is moved
// seldom: it is left where it is as long as it comes before due, and when it
// passes too early the wait goes on.
func (s *socket) wait(due time.Time) error {
	if s.armed.After(due) || s.armed.IsZero() {
		if err := s.arm(due); err != nil {
			return err
		}
	}
	for {
		if s.stopped.Load() {
			return s.cause()
		}
		err := s.reader.Read()
		switch {
		case err == nil:
			return nil
		case s.stopped.Load():
			return s.cause()
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case !time.Now().Before(due):
			s.armed = time.Time{}
			return errTimeout
		}
		if err := s.arm(due); err != nil {
			return err
		}
	}
}

func (s *socket) arm(due time.Time) error {
	s.armed = due
	return s.conn.SetReadDeadline(due)
}

// Nobody else sends.
func (s *socket) hold()  {}
func (s *socket) letGo() {}

func (s *socket) buffered() bool { return s.reader.Buffered() }

func (s *socket) release() {
	if !s.reader.Buffered() {
		s.reader.Release()
	}
}

func (s *socket) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopErr
}

func (s *socket) stop(last *Error, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopErr != nil {
		return
	}
	if last != nil {
		p, _ := last.AppendBinary(nil)  // which never fails
		_ = s.sendTo(s.peer, p, len(p)) // it may get lost like any other
	}
	s.stopErr = err
	s.stopped.Store(true)
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // fails only if conn is closed, which wakes too
}

func (s *socket) close() {
	s.reader.Release()
	_ = s.conn.Close() // of a socket that nothing is waiting in
}
