package memnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

const (
	// maxDatagram is the largest payload of a UDP datagram over IPv4.
	maxDatagram = 65507

	// receiveBuffer is how many bytes wait to be read before packets are lost,
	// counting packetCost for each besides its data.
	receiveBuffer = 1 << 20
	packetCost    = 256
)

// A PacketConn is a [net.PacketConn] of a [Network].
type PacketConn struct {
	n     *Network
	local netip.AddrPort

	mu           sync.Mutex
	changed      sync.Cond
	queue        []arrived
	queued       int // what queue takes of receiveBuffer
	readDeadline deadline
	closed       bool
	lastDeadline time.Time // of writing, which never waits
}

// arrived is a packet with the time of its arrival.
type arrived struct {
	at time.Time
	Packet
}

func newPacketConn(n *Network, local netip.AddrPort) *PacketConn {
	c := &PacketConn{n: n, local: local}
	c.changed.L = &c.mu
	return c
}

// ReadFrom returns the next packet and its sender, a [*net.UDPAddr]. What does
// not fit into p is lost. A packet that arrived before the deadline can be read
// after it.
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return 0, nil, c.opError("read", nil, net.ErrClosed)
		case c.readDeadline.expired && (len(c.queue) == 0 || c.queue[0].at.After(c.readDeadline.at)):
			return 0, nil, c.opError("read", nil, os.ErrDeadlineExceeded)
		case len(c.queue) > 0:
			next := c.queue[0]
			c.queue = c.queue[1:]
			c.queued -= packetCost + len(next.Data)
			return copy(p, next.Data), udpAddr(next.From), nil
		}
		c.changed.Wait()
	}
}

// WriteTo sends p to addr. It never blocks, and a packet that gets lost or that
// nobody waits for is no error.
func (c *PacketConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	c.mu.Lock()
	closed, last := c.closed, c.lastDeadline
	c.mu.Unlock()
	to, err := addrPort(addr)
	switch {
	case closed:
		err = net.ErrClosed
	case !last.IsZero() && !time.Now().Before(last):
		err = os.ErrDeadlineExceeded
	case len(p) > maxDatagram:
		err = os.NewSyscallError("sendto", syscall.EMSGSIZE)
	}
	if err != nil {
		return 0, c.opError("write", addr, err)
	}
	c.n.links.send(c.n, c.local, to, p)
	return len(p), nil
}

// addrPort returns what addr says.
func addrPort(addr net.Addr) (netip.AddrPort, error) {
	switch a := addr.(type) {
	case nil:
		return netip.AddrPort{}, errors.New("memnet: no address")
	case *net.UDPAddr:
		if ap := a.AddrPort(); ap.IsValid() {
			return unmap(ap), nil
		}
		return netip.AddrPort{}, errors.New("memnet: no address")
	}
	ap, err := netip.ParseAddrPort(addr.String())
	return unmap(ap), err
}

// Close closes the connection and frees its address.
func (c *PacketConn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.opError("close", nil, net.ErrClosed)
	}
	c.closed = true
	c.queue, c.queued = nil, 0
	c.readDeadline.stop()
	c.changed.Broadcast()
	c.mu.Unlock()

	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	delete(c.n.packets, c.local)
	return nil
}

// LocalAddr returns the address, a [*net.UDPAddr].
func (c *PacketConn) LocalAddr() net.Addr { return udpAddr(c.local) }

// SetDeadline implements [net.PacketConn].
func (c *PacketConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements [net.PacketConn].
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", nil, net.ErrClosed)
	}
	c.readDeadline.set(&c.changed, t, c.n.links.arriveNow)
	return nil
}

// SetWriteDeadline implements [net.PacketConn].
func (c *PacketConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", nil, net.ErrClosed)
	}
	c.lastDeadline = t
	return nil
}

// deliver puts a packet into the queue, or drops it as a full kernel would.
func (c *PacketConn) deliver(p Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.queued+packetCost+len(p.Data) > receiveBuffer {
		return
	}
	c.queue = append(c.queue, arrived{time.Now(), p})
	c.queued += packetCost + len(p.Data)
	c.changed.Broadcast()
}

func (c *PacketConn) opError(op string, addr net.Addr, err error) error {
	return opError(op, "udp", c.LocalAddr(), addr, err)
}
