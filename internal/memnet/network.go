package memnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
)

// A Network connects the listeners and the packet connections made on it. Its
// zero value is ready to use. It is safe for concurrent use.
type Network struct {
	// Rule decides what becomes of each packet. If nil, packets arrive at
	// once. It must not be changed after the first packet.
	Rule Rule

	mu        sync.Mutex
	lastPort  uint16
	listeners map[netip.AddrPort]*Listener
	packets   map[netip.AddrPort]*PacketConn

	links links
}

// Listen announces on address, which is an IP address and a port such as
// "192.0.2.1:80". Without an address it is 127.0.0.1; with port 0, a free port
// is chosen. The network must be "tcp".
func (n *Network) Listen(network, address string) (*Listener, error) {
	addr, err := parse("listen", network, "tcp", address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	addr, ok := n.bind(addr, func(a netip.AddrPort) bool { return n.listeners[a] != nil })
	if !ok {
		return nil, opError("listen", network, nil, tcpAddr(addr), os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	l := &Listener{n: n, addr: addr}
	l.changed.L = &l.mu
	if n.listeners == nil {
		n.listeners = make(map[netip.AddrPort]*Listener)
	}
	n.listeners[addr] = l
	return l, nil
}

// ListenPacket makes a packet connection at address, see [Network.Listen]. The
// network must be "udp".
func (n *Network) ListenPacket(network, address string) (*PacketConn, error) {
	addr, err := parse("listen", network, "udp", address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	addr, ok := n.bind(addr, func(a netip.AddrPort) bool { return n.packets[a] != nil })
	if !ok {
		return nil, opError("listen", network, nil, udpAddr(addr), os.NewSyscallError("bind", syscall.EADDRINUSE))
	}
	c := newPacketConn(n, addr)
	if n.packets == nil {
		n.packets = make(map[netip.AddrPort]*PacketConn)
	}
	n.packets[addr] = c
	return c, nil
}

// Dial connects to a listener. See [Network.DialContext].
func (n *Network) Dial(network, address string) (*Conn, error) {
	return n.dial(context.Background(), network, address)
}

// DialContext connects to a listener from a free port of 127.0.0.1, or of ::1
// for an IPv6 address, and returns a [*Conn]. Its type is that of a Dialer's
// method, for hooks. It returns before the connection is accepted, unless the
// listener's backlog is full. Where nobody listens it fails with ECONNREFUSED.
func (n *Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := n.dial(ctx, network, address)
	if err != nil {
		return nil, err // not a nil *Conn in an interface
	}
	return c, nil
}

func (n *Network) dial(ctx context.Context, network, address string) (*Conn, error) {
	addr, err := parse("dial", network, "tcp", address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.listeners[addr]
	local, _ := n.bind(netip.AddrPortFrom(loopback(addr.Addr()), 0), func(a netip.AddrPort) bool { return n.listeners[a] != nil })
	n.mu.Unlock()
	client, server := pipe(local, addr)
	if l == nil {
		err = os.NewSyscallError("connect", syscall.ECONNREFUSED)
	} else {
		err = l.deliver(ctx, server)
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	if err != nil {
		client.Close()
		return nil, opError("dial", network, nil, tcpAddr(addr), err)
	}
	return client, nil
}

// bind returns addr with a port. It reports false if the port is taken.
func (n *Network) bind(addr netip.AddrPort, taken func(netip.AddrPort) bool) (netip.AddrPort, bool) {
	if addr.Port() != 0 {
		return addr, !taken(addr)
	}
	for range 1 << 16 {
		if a := netip.AddrPortFrom(addr.Addr(), n.port()); !taken(a) {
			return a, true
		}
	}
	return addr, false
}

// port returns the next of the ephemeral ports, 49152 to 65535.
func (n *Network) port() uint16 {
	if n.lastPort < 49152 || n.lastPort == 65535 {
		n.lastPort = 49151
	}
	n.lastPort++
	return n.lastPort
}

// parse checks the arguments of the calls above.
func parse(op, network, want, address string) (netip.AddrPort, error) {
	if network != want {
		return netip.AddrPort{}, opError(op, network, nil, nil, net.UnknownNetworkError(network))
	}
	if len(address) > 0 && address[0] == ':' {
		address = "127.0.0.1" + address
	}
	addr, err := netip.ParseAddrPort(address)
	if err == nil && addr.Addr().IsUnspecified() {
		err = fmt.Errorf("memnet: no wildcard addresses: %s", address)
	}
	if err != nil {
		return netip.AddrPort{}, opError(op, network, nil, nil, err)
	}
	return unmap(addr), nil
}

// unmap returns a with an IPv4 address instead of one mapped into IPv6.
func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// loopback returns the loopback address of the family of a.
func loopback(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}

func tcpAddr(a netip.AddrPort) net.Addr { return net.TCPAddrFromAddrPort(a) }
func udpAddr(a netip.AddrPort) net.Addr { return net.UDPAddrFromAddrPort(a) }

func opError(op, network string, source, addr net.Addr, err error) error {
	return &net.OpError{Op: op, Net: network, Source: source, Addr: addr, Err: err}
}
