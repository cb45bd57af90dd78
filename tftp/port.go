package tftp

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"github.com/netparts/netparts/internal/udpio"
)

// Transfers that share a socket need somebody to read it. If that were a
// goroutine of its own, each packet would wake two, and the second of them costs
// more than the rest of a block. So the loop of the listener, when it hands a
// packet to a transfer, may hand over the reading as well: the transfer leads,
// reads its own packets directly, and deals out those of others as the loop does,
// which waits meanwhile. A transfer leads only while nothing keeps it from reading
// for long, so not those that call hooks which may block, and gives the lead back
// to the loop when it has ended.

// A letter is a packet on its way from the shared socket to its transfer.
type letter struct {
	data []byte
	lead bool // the transfer shall lead from now on
}

var letters = sync.Pool{New: func() any { return new(letter) }}

// A port is a link that shares the socket of the listener with all others.
type port struct {
	listener *listener
	id       tid
	mayLead  bool
	leading  bool
	box      chan *letter
	open     *letter // the one that receive returned
	timer    *time.Timer
	armed    time.Time // when timer fires or, while leading, the read deadline passes

	mu      sync.Mutex // sending, and the end
	writer  *udpio.Writer
	stopErr error
	stopped chan struct{}
}

// newPort returns a link that holds up to room packets that wait.
func newPort(l *listener, id tid, room int, mayLead bool) *port {
	return &port{
		listener: l, id: id, mayLead: mayLead, box: make(chan *letter, room),
		writer: udpio.NewWriter(l.conn), stopped: make(chan struct{}),
	}
}

// deliver puts a packet into the box, and with it the lead if that is to go. It
// reports whether the lead went. If the box is full the packet is lost, as it
// would be in a socket's buffer.
func (p *port) deliver(data []byte, lead bool) bool {
	lead = lead && p.mayLead
	l := letters.Get().(*letter)
	l.data = append(l.data[:0], data...)
	l.lead = lead
	select {
	case p.box <- l:
		return lead
	default:
		letters.Put(l)
		return false
	}
}

func (p *port) send(b []byte, size int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopErr != nil {
		return p.stopErr
	}
	return p.write(b, size)
}

func (p *port) write(b []byte, size int) error {
	if err := p.writer.Write(b, size, p.id.peer, p.id.local); errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil // what the network refuses counts as lost
}

func (p *port) receive(due time.Time) ([]byte, error) {
	p.release()
	select {
	case l := <-p.box:
		return p.take(l), nil
	default:
	}
	if p.leading {
		return p.read(due)
	}
	if p.timer == nil {
		p.timer = time.NewTimer(time.Until(due))
		p.armed = due
	} else if p.armed.After(due) || p.armed.IsZero() {
		p.arm(due)
	}
	for {
		select {
		case l := <-p.box:
			return p.take(l), nil
		case <-p.stopped:
			return nil, p.cause()
		case now := <-p.timer.C:
			if !now.Before(due) {
				p.armed = time.Time{}
				return nil, errTimeout
			}
			p.arm(due) // it was left over from an earlier wait
		}
	}
}

// take opens a letter.
func (p *port) take(l *letter) []byte {
	p.open = l
	if l.lead {
		p.leading, p.armed = true, time.Time{}
		if p.timer != nil {
			p.timer.Stop()
		}
	}
	return l.data
}

// read is receive for the transfer that leads. Read deadlines are moved seldom, as
// by a socket.
func (p *port) read(due time.Time) ([]byte, error) {
	l := p.listener
	for {
		for packet, ok := l.reader.Next(); ok; packet, ok = l.reader.Next() {
			if op := opcode(packet.Data); l.idOf(packet) == p.id && op != OpReadReq && op != OpWriteReq {
				return packet.Data, nil
			}
			l.take(packet, false)
		}
		if p.armed.After(due) || p.armed.IsZero() {
			if err := p.armRead(due); err != nil {
				return nil, err
			}
		}
		if err := p.cause(); err != nil { // after the deadline was set, which stop moves as well
			return nil, err
		}
		err := l.reader.Read()
		if err == nil {
			continue
		}
		if cause := p.cause(); cause != nil {
			return nil, cause
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		p.armed = time.Time{}
		if !time.Now().Before(due) {
			return nil, errTimeout
		}
	}
}

func (p *port) armRead(due time.Time) error {
	p.armed = due
	return p.listener.conn.SetReadDeadline(due)
}

// yield gives the lead back.
func (p *port) yield() {
	if p.leading {
		p.leading, p.armed = false, time.Time{}
		p.listener.lead <- struct{}{}
	}
}

// cause is why the port was stopped, or nil.
func (p *port) cause() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopErr
}

func (p *port) arm(due time.Time) {
	p.armed = due
	p.timer.Reset(time.Until(due))
}

// Transfers take turns with the sending, but for those that may take long to put
// their packets together.
func (p *port) hold() {
	if p.mayLead {
		p.listener.sending.Lock()
	}
}

func (p *port) letGo() {
	if p.mayLead {
		p.listener.sending.Unlock()
	}
}

func (p *port) buffered() bool { return len(p.box) > 0 }

func (p *port) release() {
	if p.open != nil {
		letters.Put(p.open)
		p.open = nil
	}
	if p.leading && !p.listener.reader.Buffered() {
		p.listener.reader.Release()
	}
}

func (p *port) stop(last *Error, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopErr != nil {
		return
	}
	if last != nil {
		b, _ := last.AppendBinary(nil) // which never fails
		_ = p.write(b, len(b))         // it may get lost like any other
	}
	p.stopErr = err
	close(p.stopped)
	p.listener.wake() // in case it leads
}

// close ends the link, into which nothing is delivered any more.
func (p *port) close() {
	p.release()
	for len(p.box) > 0 {
		p.take(<-p.box)
		p.release()
	}
	p.yield()
	if p.timer != nil {
		p.timer.Stop()
	}
}
