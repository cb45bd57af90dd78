package tftp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/netparts/netparts/internal/udpio"
)

const (
	// requestBatch is how many requests are read at once.
	requestBatch = 16

	// requestBuffer is the receive buffer for requests in bytes: a rack that
	// boots at once sends a thousand of them before the first is read.
	requestBuffer = 1 << 20

	// maxUnanswered is how many transfers of one address may wait for their first
	// answer, for anything to be sent to it again.
	maxUnanswered = 16
)

// A peerCount counts the transfers of one address.
type peerCount struct {
	active     int
	unanswered int
}

// A tid tells the transfers of a listener apart (RFC 1350 section 4).
type tid struct {
	peer  netip.AddrPort
	local netip.Addr
}

// A listener is a socket that requests arrive on. Its transfers are guarded by
// the mutex of the server.
type listener struct {
	server    *Server
	conn      net.PacketConn
	reader    *udpio.Reader
	transfers map[tid]*transfer
	waiting   queue         // of those that may give way
	lead      chan struct{} // the lead comes back
	ended     bool          // the loop has, and transfers may go on
	granted   int           // bytes of the receive buffer, or 0 if not known
	bound     netip.Addr    // what conn listens on, unless that is a wildcard
	port      uint16

	sending sync.Mutex // see port.hold

	mu     sync.Mutex // refusing
	writer *udpio.Writer
}

func newListener(s *Server, conn net.PacketConn) *listener {
	c := udpio.Config{Size: maxRequest + 1, Batch: requestBatch, Local: true}
	if s.SinglePort {
		c = udpio.Config{Size: maxBlockSize + headerSize + 1, Batch: batchSize, Local: true, Coalesce: true}
	}
	l := &listener{
		server: s, conn: conn, granted: udpio.SetReadBuffer(conn, requestBuffer),
		reader: udpio.NewReader(conn, c), writer: udpio.NewWriter(conn),
		transfers: make(map[tid]*transfer), lead: make(chan struct{}),
	}
	if addr, ok := conn.LocalAddr().(*net.UDPAddr); ok {
		l.port = uint16(addr.Port)
		if ip := addr.AddrPort().Addr().Unmap(); !ip.IsUnspecified() {
			l.bound = ip
		}
	}
	return l
}

// loop reads requests until the server closes and, with a single port, the
// transfers have ended.
func (l *listener) loop() error {
	defer l.conn.Close()
	defer l.reader.Release()
	var pause time.Duration
	for !l.over() {
		err := l.reader.Read()
		switch {
		case err == nil:
			pause = 0
			l.takeAll()
		case errors.Is(err, os.ErrDeadlineExceeded):
			// It was set by wake, or by a transfer that led.
			if err := l.conn.SetReadDeadline(time.Time{}); err != nil {
				return err
			}
		case isPassing(err):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			time.Sleep(pause)
		default:
			return err
		}
	}
	return ErrServerClosed
}

// takeAll handles what was read. With the last packet the lead may go to its
// transfer, and is waited for then.
func (l *listener) takeAll() {
	for p, ok := l.reader.Next(); ok; p, ok = l.reader.Next() {
		if l.take(p, !l.reader.Buffered()) {
			<-l.lead
		}
	}
}

// over reports whether the loop has nothing to do any more.
func (l *listener) over() bool {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	return l.server.closing && (!l.server.SinglePort || len(l.transfers) == 0)
}

// wake makes the loop look whether it is over.
func (l *listener) wake() {
	_ = l.conn.SetReadDeadline(time.Unix(1, 0)) // fails only if the loop has ended
}

// idOf returns the transfer that a datagram belongs to.
func (l *listener) idOf(p udpio.Packet) tid {
	if l.bound.IsValid() {
		return tid{p.Peer, l.bound}
	}
	return tid{p.Peer, p.Local}
}

// take handles one datagram. It reports whether the lead went to its transfer.
func (l *listener) take(p udpio.Packet, lead bool) bool {
	if p.Broadcast {
		return false // RFC 1123 section 4.2.3.5
	}
	id := l.idOf(p)
	switch op := opcode(p.Data); op {
	case OpReadReq, OpWriteReq:
		l.request(id, p.Data, op == OpWriteReq)
	case OpData, OpAck, OpError, OpOptionAck:
		if l.server.SinglePort {
			if found, led := l.deliver(id, p.Data, lead); found {
				return led
			}
		}
		if op == OpData {
			l.refuse(id, &Error{Code: CodeUnknownID})
		}
		// An ACK that comes twice is not worth an ERROR, which the client might
		// take for the answer to its next request.
	default:
		if len(p.Data) >= 2 {
			l.refuse(id, &Error{Code: CodeIllegal})
		}
	}
	return false
}

// deliver hands a packet to the transfer it belongs to, and the lead with it. It
// holds the mutex so that a transfer that has ended gets nothing any more.
func (l *listener) deliver(id tid, data []byte, lead bool) (found, led bool) {
	l.server.mu.Lock()
	defer l.server.mu.Unlock()
	t := l.transfers[id]
	if t == nil {
		return false, false
	}
	if port, ok := t.way.(*port); ok {
		led = port.deliver(data, lead)
	}
	return true, led
}

// request begins a transfer, unless it runs already or there are too many.
func (l *listener) request(id tid, data []byte, write bool) {
	if checkRequest(data) != nil {
		l.refuse(id, &Error{Code: CodeIllegal})
		return
	}
	wire := string(data)
	r, err := parseRequest(wire)
	if err != nil {
		l.refuse(id, &Error{Code: CodeIllegal})
		return
	}
	mode := strings.ToLower(r.Mode)
	if mode != ModeOctet && mode != ModeNetascii {
		l.refuse(id, &Error{Code: CodeUndefined, Message: "mode is not supported"})
		return
	}
	t := &transfer{listener: l, id: id, wire: wire}
	t.started = time.Now()
	t.result.Write = write
	t.result.Request = Request{
		Name: r.Name, Mode: mode, Options: r.Options, Peer: id.peer,
		Local: netip.AddrPortFrom(id.local, l.port), Size: -1,
	}
	if l.admit(t) {
		go t.run()
	}
}

// admit enters a transfer, if it is new and there is room for it.
func (l *listener) admit(t *transfer) bool {
	s := l.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	if old := l.transfers[t.id]; old != nil {
		if old.wire == t.wire && !old.silent() {
			old.repeat, old.repeated = t, time.Now()
			return false // it came twice
		}
		old.stop(nil, errReplaced)
		if old.ended == nil {
			old.ended = make(chan struct{})
		}
		t.after = old.ended
		old.leave()
	}
	peer := t.id.peer.Addr()
	if count := s.peers[peer]; count != nil && reached(count.active, s.MaxPerPeer, defaultMaxPerPeer) {
		return false
	}
	if reached(s.active, s.MaxTransfers, defaultMaxTransfers) && !l.giveWay() {
		return false
	}
	count := s.peers[peer] // not earlier: what gave way may have been its last
	if count == nil {
		count = new(peerCount)
		s.peers[peer] = count
	}
	t.firstRetries = 2
	if count.unanswered >= maxUnanswered {
		t.firstRetries = 0
	}
	t.enter(count)
	return true
}

// giveWay stops the oldest transfer that has not been answered yet.
func (l *listener) giveWay() bool {
	t := l.waiting.oldest
	if t == nil {
		return false
	}
	t.stop(nil, errGaveWay)
	t.leave()
	return true
}

// refuse answers a request that becomes no transfer.
func (l *listener) refuse(id tid, said *Error) {
	b, _ := said.AppendBinary(nil) // which never fails
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.writer.Write(b, len(b), id.peer, id.local) // like any packet it may get lost
}
