package udpio

import (
	"net"
	"net/netip"
	"time"
)

// maxSize is the most that the length field of UDP allows for a payload.
const maxSize = 65535

// A Packet is one datagram.
type Packet struct {
	// Data is the payload, valid until the next Read or Release of the Reader.
	Data []byte

	// Peer is the sender. IPv4 addresses are never mapped into IPv6, and a zone
	// is the number of the interface on Linux. It is the zero AddrPort if the
	// connection names its peers otherwise than by address and port.
	Peer netip.AddrPort

	// Local is the address of this host that an answer should leave from. It is
	// the zero Addr if Config.Local is not set or the system does not tell. Of a
	// datagram that arrived before the Reader was made it is where that was
	// sent to, even if that is a broadcast address of a network.
	Local netip.Addr

	// Broadcast reports whether the datagram was sent to a broadcast or
	// multicast address. It is only known with Config.Local.
	Broadcast bool

	// Cut reports whether the datagram was longer than Config.Size. Data is its
	// beginning then.
	Cut bool
}

// A Config says how a Reader reads. Those that one socket has share a Config,
// because what it asks of the kernel is asked for the socket.
type Config struct {
	// Size is the length in bytes of the longest datagram that is read whole.
	Size int

	// Batch is how many datagrams, or runs of them, one system call reads at
	// most. If zero, it reads one.
	Batch int

	// Local asks for Packet.Local and Packet.Broadcast.
	Local bool

	// Coalesce lets the kernel hand over a run of datagrams of one sender in
	// one piece (UDP_GRO), where it can. It takes 64 KiB for each of Batch while
	// there is something to read.
	Coalesce bool

	// Hold is how long Read may hold its thread in the system call before it
	// waits as goroutines do. That saves two of four system calls a datagram,
	// and delays what else the processor has to do: it is for a program on one
	// processor that has nothing else to do. Deadlines and Close are noticed
	// later by as much. It has an effect on Linux only, and only without Local,
	// Coalesce and Batch.
	Hold time.Duration
}

// A Reader reads datagrams from one connection. It is not safe for concurrent
// use.
type Reader struct {
	conn net.PacketConn
	cfg  Config
	sock receiver

	held    *set // where the last Read put what it got, nil if nothing is held
	count   int  // messages in held
	next    int  // the first message that is not loaded
	loaded  bool // whether rest has yet to be handed out
	current Packet
	rest    []byte // of the message that is handed out
	segment int    // length of the datagrams in rest; the last may be shorter
}

// NewReader returns a Reader of c, which stays the caller's to close. Negative
// sizes of cfg are taken for zero and those beyond what UDP and the kernel know
// for the largest.
//
// What c is to tell of datagrams it tells from now on. Those that arrived
// before may lack it.
func NewReader(c net.PacketConn, cfg Config) *Reader {
	cfg.Size = min(max(cfg.Size, 0), maxSize)
	cfg.Batch = min(max(cfg.Batch, 1), 1<<maxBatchBits)
	r := &Reader{conn: c, cfg: cfg, sock: newReceiver(c)}
	if cfg.Batch > 1 || cfg.Local || cfg.Coalesce {
		r.cfg.Hold = 0
	}
	if r.sock.batches() && (cfg.Local || cfg.Coalesce || r.cfg.Hold > 0) {
		r.enable()
	}
	return r
}

// Read waits for datagrams, until the deadline of the connection, and takes
// those that are there. If some that it took before have not been handed out it
// returns at once.
//
// Errors are of type [*net.OpError] and wrap [net.ErrClosed] or
// [os.ErrDeadlineExceeded], or are those of the connection's ReadFrom.
func (r *Reader) Read() error {
	if r.Buffered() {
		return nil
	}
	r.count, r.next = 0, 0
	if r.sock.batches() {
		return r.readBatch()
	}
	return r.readOne()
}

// Next returns the next of the datagrams that Read took, and false if there is
// none left.
func (r *Reader) Next() (Packet, bool) {
	if !r.fetch() {
		return Packet{}, false
	}
	p := r.current
	n := min(len(r.rest), r.segment)
	p.Data, r.rest = r.rest[:n:n], r.rest[n:]
	r.loaded = len(r.rest) > 0
	if r.loaded {
		p.Cut = false // what the buffer lacks is the end of the run
	}
	if n > r.cfg.Size {
		p.Data, p.Cut = p.Data[:r.cfg.Size:r.cfg.Size], true
	}
	return p, true
}

// NextRun returns what Next does, together with the datagrams that the kernel
// handed over in one piece with that: p.Data is datagrams of size bytes one after
// the other, of which the last may be shorter, as Writer.Write takes them. Those
// that are longer than Config.Size come one at a time.
func (r *Reader) NextRun() (p Packet, size int, ok bool) {
	if !r.fetch() || len(r.rest) <= r.segment || r.segment > r.cfg.Size {
		p, ok = r.Next()
		return p, len(p.Data), ok
	}
	p = r.current
	p.Data = r.rest
	r.rest, r.loaded = nil, false
	return p, r.segment, true
}

// fetch makes current and rest those of the next message, if they are not, and
// reports false if there is none.
func (r *Reader) fetch() bool {
	if !r.loaded {
		if r.next == r.count {
			return false
		}
		r.load(r.next)
		r.next++
		r.loaded = true // even if it is an empty datagram
	}
	return true
}

// Buffered reports whether Next would return a datagram.
func (r *Reader) Buffered() bool { return r.loaded || r.next < r.count }

// Release gives the buffers back, and with them what has not been handed out.
// The Reader can go on with another Read.
func (r *Reader) Release() {
	if r.held != nil {
		r.held.put()
		r.held = nil
	}
	r.count, r.next, r.loaded = 0, 0, false
	r.current, r.rest = Packet{}, nil
}
