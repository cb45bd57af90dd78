package proxy

import (
	"context"
	"net"
	"net/netip"

	"github.com/netparts/netparts/internal/udpio"
)

const (
	// maxDatagram is more than a UDP datagram carries: 65507 bytes over IPv4,
	// 65527 over IPv6.
	maxDatagram = 65535

	// answerBatch is how many datagrams, or runs of them, one system call reads from
	// an upstream. Each takes 64 KiB meanwhile.
	answerBatch = 4
)

// A udpPort is a UDP socket that clients send to, or a connection with such addresses.
type udpPort struct {
	relay  *packetRelay
	reader *udpio.Reader
	bound  netip.AddrPort
	host   hostAddrs
}

func newUDPPort(r *packetRelay, pc net.PacketConn) *udpPort {
	p := &udpPort{relay: r, bound: keyOf(pc.LocalAddr()).peer}
	p.reader = udpio.NewReader(pc, udpio.Config{
		Size: maxDatagram, Batch: packetBatch, Coalesce: true,
		// It tells where to answer from, and what was broadcast. A socket that is
		// bound to one address of this host gets nothing else.
		Local: !p.host.has(p.bound.Addr()),
	})
	return p
}

func (p *udpPort) release() { p.reader.Release() }

func (p *udpPort) read(ctx context.Context) error {
	if err := p.reader.Read(); err != nil {
		return err
	}
	for {
		m, size, ok := p.reader.NextRun()
		switch {
		case !ok:
			p.relay.flush() // before what it points to is read over
			return nil
		case m.Cut || m.Broadcast || !m.Peer.IsValid():
			p.relay.drop(m.Data, size)
		default:
			p.relay.pass(ctx, packetKey{peer: m.Peer, local: m.Local}, m.Data, size)
		}
	}
}

func (p *udpPort) asked(k packetKey) (client, local net.Addr) {
	local = p.relay.conn.LocalAddr()
	if k.local.IsValid() {
		local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(k.local, p.bound.Port()))
	}
	return net.UDPAddrFromAddrPort(k.peer), local
}

// isOwn compares with the address of the port, or with those that a wildcard stands
// for: a forged datagram from another address of this host would be answered to the
// port.
func (p *udpPort) isOwn(k packetKey) bool {
	if k.peer.Port() != p.bound.Port() {
		return false
	}
	if own := p.bound.Addr(); !own.IsUnspecified() {
		return k.peer.Addr().WithZone("") == own
	}
	return p.host.has(k.peer.Addr())
}

func (p *udpPort) answerer(s *packetSession) packetAnswerer {
	return &udpAnswerer{udpio.NewWriter(p.relay.conn), s.key}
}

// A udpAnswerer sends to a client from the address that it asked.
type udpAnswerer struct {
	writer *udpio.Writer
	key    packetKey
}

func (a *udpAnswerer) answer(ms []udpio.Message) {
	for i := range ms {
		ms[i].To, ms[i].From = a.key.peer, a.key.local
	}
	_ = a.writer.WriteAll(ms) // Err of each says it too
}
