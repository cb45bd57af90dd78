package proxy

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// packetCounters count what passes.
type packetCounters struct {
	datagrams, bytes Counters
	dropped          atomic.Int64
}

// add adds what c has counted.
func (s *PacketStats) add(c *packetCounters) {
	s.Datagrams.add(&c.datagrams)
	s.Bytes.add(&c.bytes)
	s.Dropped += c.dropped.Load()
}

// A packetKey is what tells sessions apart. The name is that of a Unix socket, the
// rest is of UDP.
type packetKey struct {
	peer  netip.AddrPort
	local netip.Addr // that was asked, if that is known
	name  string
}

// keyOf returns the key that datagrams have which a socket of this address sends.
// The zone is left out, which has a name or a number.
func keyOf(a net.Addr) packetKey {
	switch a := a.(type) {
	case *net.UDPAddr:
		ap := a.AddrPort()
		return packetKey{peer: netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())}
	case *net.UnixAddr:
		return packetKey{name: a.Name}
	}
	return packetKey{}
}

// packetTotals are the figures of a PacketServer, and what all its sockets share.
type packetTotals struct {
	places  atomic.Int64 // that sessions and reminders take
	dropped atomic.Int64 // datagrams without a session

	mu     sync.Mutex
	closed bool
	relays map[*packetRelay]struct{}
	active map[*packetSession]struct{}
	own    map[packetKey]int // the addresses of upstream sockets
	total  int64
	ended  PacketStats
}

func (t *packetTotals) addRelay(r *packetRelay) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.relays == nil {
		t.relays = make(map[*packetRelay]struct{})
		t.active = make(map[*packetSession]struct{})
		t.own = make(map[packetKey]int)
	}
	t.relays[r] = struct{}{}
	if t.closed {
		r.cancel(ErrServerClosed)
	}
}

func (t *packetTotals) removeRelay(r *packetRelay) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.relays, r)
}

// close tells all relays that the server is closed.
func (t *packetTotals) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for r := range t.relays {
		r.cancel(ErrServerClosed)
	}
}

// take takes a place, if there are fewer than limit.
func (t *packetTotals) take(limit int) bool {
	for {
		n := t.places.Load()
		if limit > 0 && n >= int64(limit) {
			return false
		}
		if t.places.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (t *packetTotals) begin(s *packetSession) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active[s] = struct{}{}
	t.total++
}

func (t *packetTotals) end(s *packetSession) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.active, s)
	t.ended.add(&s.counters)
}

// bind notes the address of an upstream socket.
func (t *packetTotals) bind(k packetKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.own[k]++
}

func (t *packetTotals) unbind(k packetKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.own[k]--; t.own[k] == 0 {
		delete(t.own, k)
	}
}

// owns reports whether a datagram is from one of the upstream sockets.
func (t *packetTotals) owns(k packetKey) bool {
	k.local = netip.Addr{}
	k.peer = netip.AddrPortFrom(k.peer.Addr().WithZone(""), k.peer.Port())
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.own[k] > 0
}

func (t *packetTotals) stats() PacketServerStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	stats := PacketServerStats{Active: len(t.active), Total: t.total, PacketStats: t.ended}
	for s := range t.active {
		stats.PacketStats.add(&s.counters)
	}
	stats.Dropped += t.dropped.Load()
	return stats
}
