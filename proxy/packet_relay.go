package proxy

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/internal/udpio"
)

const (
	// packetBatch is how many datagrams, or runs of them, one system call reads from
	// the clients.
	packetBatch = 32

	// quiet is how long a session is silent after an answer before Shutdown ends it,
	// and unanswered how long it waits for one.
	quiet      = 10 * time.Millisecond
	unanswered = time.Second
)

// A packetPort is the socket that clients send to.
type packetPort interface {
	// read reads what has come, passes it to the relay, and flushes that.
	read(ctx context.Context) error

	// answerer returns what sends to a client.
	answerer(s *packetSession) packetAnswerer

	// asked returns the addresses that a session is about.
	asked(k packetKey) (client, local net.Addr)

	// isOwn reports whether a datagram is from the port itself.
	isOwn(k packetKey) bool

	// release gives the buffers back.
	release()
}

// A packetAnswerer sends datagrams to one client. It sets Err of those that are lost.
type packetAnswerer interface{ answer(ms []udpio.Message) }

// A packetRelay is the sessions of one socket that clients send to.
type packetRelay struct {
	server *PacketServer
	conn   net.PacketConn
	port   packetPort
	cancel context.CancelCauseFunc
	begun  time.Time

	// What has been read for one session, used by the goroutine that reads.
	serving bool  // it has begun
	cause   error // of the last failure
	current *packetSession
	pending []udpio.Message

	running  sync.WaitGroup // the goroutines of the sessions
	draining atomic.Bool    // nothing is read from clients any more

	mu       sync.Mutex
	sessions map[packetKey]*packetSession
}

func newPacketRelay(s *PacketServer, pc net.PacketConn, cancel context.CancelCauseFunc) *packetRelay {
	r := &packetRelay{
		server: s, conn: pc, cancel: cancel, begun: time.Now(),
		pending:  make([]udpio.Message, 0, packetBatch),
		sessions: make(map[packetKey]*packetSession),
	}
	r.port = newPacketPort(r, pc)
	return r
}

// newPacketPort returns how to serve pc.
func newPacketPort(r *packetRelay, pc net.PacketConn) packetPort {
	if unix, ok := pc.(*net.UnixConn); ok {
		if p := newUnixgramPort(r, unix); p != nil {
			return p
		}
	}
	return newUDPPort(r, pc)
}

// step reads from the clients once.
func (r *packetRelay) step(ctx context.Context) error {
	r.serving = true
	err := r.port.read(ctx)
	if passesPacket(err) {
		return nil
	}
	r.cause = err
	return err
}

// pass gives datagrams of size bytes to the session that they belong to. They are not
// copied before flush is called or another session's come.
func (r *packetRelay) pass(ctx context.Context, k packetKey, data []byte, size int) {
	s := r.session(ctx, k)
	if s == nil {
		r.drop(data, size)
		return
	}
	if s != r.current || len(r.pending) == packetBatch {
		r.flush()
	}
	r.current = s
	r.pending = append(r.pending, udpio.Message{Data: data, Size: size})
}

// drop counts datagrams that belong to no session.
func (r *packetRelay) drop(data []byte, size int) {
	r.server.totals.dropped.Add(countDatagrams(data, size))
}

// flush sends what has been passed. A session starts when it holds its first datagram,
// which is the one that it reports if the dial fails at once.
func (r *packetRelay) flush() {
	if len(r.pending) > 0 {
		r.current.send(r.pending)
		if start := r.current.start; start != nil {
			r.current.start = nil
			start()
		}
	}
	clear(r.pending)
	r.current, r.pending = nil, r.pending[:0]
}

// session returns the session of a client, which it begins if need be, or nil if
// there is to be none.
func (r *packetRelay) session(ctx context.Context, k packetKey) *packetSession {
	r.mu.Lock()
	s := r.sessions[k]
	r.mu.Unlock()
	if s != nil {
		return s
	}
	t := &r.server.totals
	if !t.take(r.server.maxSessions()) {
		return nil
	}
	if r.port.isOwn(k) || t.owns(k) {
		t.places.Add(-1)
		return nil
	}
	s = newPacketSession(ctx, r, k)
	r.mu.Lock()
	r.sessions[k] = s
	r.mu.Unlock()
	t.begin(s)
	return s
}

// forget removes a session and gives its place back.
func (r *packetRelay) forget(s *packetSession) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sessions[s.key] == s {
		delete(r.sessions, s.key)
		r.server.totals.places.Add(-1)
	}
}

// all returns the sessions, and the reminders of those that failed.
func (r *packetRelay) all() []*packetSession {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]*packetSession, 0, len(r.sessions))
	for _, s := range r.sessions {
		all = append(all, s)
	}
	return all
}

// drain takes what has arrived by now, of which some is older than Shutdown, and waits
// until the sessions have been silent for long enough, or ctx ends. It is called by the
// goroutine that reads, or when ctx has ended.
func (r *packetRelay) drain(ctx context.Context) {
	if ctx.Err() != nil {
		r.endAll(context.Cause(ctx)) // what waits to send to an upstream returns
		return
	}
	if !r.serving || !r.server.group.IsStopping() {
		return
	}
	if r.conn.SetReadDeadline(time.Now().Add(quiet)) == nil {
		for r.port.read(ctx) == nil {
		}
	}
	r.port.release()
	r.draining.Store(true)
	for _, s := range r.all() {
		s.expire() // its time is shorter now
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.running.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// endAll ends all sessions, and the reminders.
func (r *packetRelay) endAll(cause error) {
	for _, s := range r.all() {
		s.end(cause)
		s.stop()
	}
}

// A packetOwner closes a socket when its sessions have ended.
type packetOwner struct {
	net.PacketConn
	drain func()
}

// Close implements [net.PacketConn].
func (o packetOwner) Close() error {
	o.drain()
	return o.PacketConn.Close()
}

// end ends what is left, and waits for it. The relay's socket is closed.
func (r *packetRelay) end() {
	cause := ErrServerClosed
	if r.cause != nil && !r.server.group.IsStopping() {
		cause = &SideError{Client, r.cause}
	}
	r.cancel(cause)
	r.endAll(cause)
	r.running.Wait()
	r.endAll(cause) // reminders of dials that failed meanwhile
	r.port.release()
	r.server.logger().Info("packets ended",
		"local", addrString(r.conn.LocalAddr()), "duration", time.Since(r.begun))
}

// countDatagrams is how many datagrams of size bytes make b. An empty one is one.
func countDatagrams(b []byte, size int) int64 {
	if size == 0 {
		return 1
	}
	return int64((len(b) + size - 1) / size)
}

// hostAddrs are the addresses of this host, which change now and then.
type hostAddrs struct {
	at    time.Time
	addrs []netip.Addr
}

// has reports whether a is a unicast address of this host.
func (h *hostAddrs) has(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return a != netip.AddrFrom4([4]byte{127, 255, 255, 255})
	}
	if h.at.IsZero() || time.Since(h.at) > time.Second { // asking is work
		h.at = time.Now()
		h.addrs = h.addrs[:0]
		found, err := net.InterfaceAddrs()
		if err != nil {
			return false
		}
		for _, f := range found {
			if prefix, err := netip.ParsePrefix(f.String()); err == nil {
				h.addrs = append(h.addrs, prefix.Addr().WithZone(""))
			}
		}
	}
	return slices.Contains(h.addrs, a)
}
