package sockets

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Bytes of the headers in front of the payload of a UDP datagram: 20 of IPv4 or 40 of
// IPv6, and 8 of UDP.
const (
	headers4 = 20 + 8
	headers6 = 40 + 8
)

// Every link carries packets of these sizes whole: RFC 791 asks for 68 bytes, and RFC 8200
// for 1,280. A search can begin there.
const (
	smallest4 = 68
	smallest6 = 1280
)

// Packets cannot be larger than this: of IPv4 the field for the length counts the
// headers, of IPv6 it does not count that of IPv6.
const (
	largest4 = 65535
	largest6 = 65535 + 40
)

func (p *MTUProbe) find(ctx context.Context, address string) (MTU, error) {
	path := path{wait: p.wait(), tries: p.tries()}
	hint, err := path.resolve(ctx, address)
	if err != nil {
		return MTU{}, err
	}
	result := MTU{Peer: path.peer}
	headers, lo, hi := headers4, smallest4, largest4+1
	if path.peer.Addr().Is6() {
		headers, lo, hi = headers6, smallest6, largest6+1
	}
	path.headers = headers
	fits := func(size int) (bool, int, error) { return path.fits(ctx, size) }
	ok, _, err := fits(lo)
	if err == nil && !ok {
		err = ErrSilent
	}
	if err == nil {
		result.Packet, err = search(lo, hi, min(hint, hi-1), fits)
	}
	if err != nil {
		return MTU{}, err
	}
	result.Payload = result.Packet - headers
	return result, nil
}

func (p *MTUProbe) wait() time.Duration {
	if p.Wait <= 0 {
		return time.Second
	}
	return p.Wait
}

func (p *MTUProbe) tries() int {
	if p.Tries <= 0 {
		return 3
	}
	return p.Tries
}

// A path is what leads to the port of a host.
type path struct {
	peer    netip.AddrPort
	headers int
	wait    time.Duration
	tries   int
}

// resolve finds the peer, and returns what the kernel believes of the way there: the MTU
// of the first link, or less if it has heard of a smaller one.
func (p *path) resolve(ctx context.Context, address string) (hint int, err error) {
	conn, err := p.dial(ctx, address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	peer := conn.RemoteAddr().(*net.UDPAddr).AddrPort()
	p.peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	return known(conn, p.peer.Addr().Is6())
}

// dial connects a socket, since only such a one hears of ICMP messages.
func (p *path) dial(ctx context.Context, address string) (*net.UDPConn, error) {
	dialer := net.Dialer{Control: unfragmented}
	conn, err := dialer.DialContext(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

// unfragmented sets that what a socket sends is never fragmented, neither here nor on the
// way, nor is held back because the kernel has heard of a smaller MTU: that is what is
// to be found out. It also has every ICMP message reported, such as that there is no
// route to the host, and not only those that a socket is told of otherwise.
func unfragmented(network, _ string, conn syscall.RawConn) error {
	var err error
	controlErr := conn.Control(func(fd uintptr) {
		if network == "udp6" {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE),
				unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVERR, 1),
			)
			return
		}
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVERR, 1),
		)
	})
	return errors.Join(controlErr, os.NewSyscallError("setsockopt", err))
}

// known returns the kernel's belief about the MTU of a connected socket's path. A router
// names the MTU of its next link in the ICMP message, and the kernel remembers it.
func known(conn *net.UDPConn, ip6 bool) (mtu int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		if ip6 {
			mtu, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MTU)
		} else {
			mtu, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU)
		}
	})
	return mtu, errors.Join(controlErr, os.NewSyscallError("getsockopt", err))
}

// fits finds out whether a packet reaches the peer. It has a socket of its own, so that
// what arrives there, errors included, is about this size and no other.
func (p *path) fits(ctx context.Context, size int) (ok bool, hint int, err error) {
	conn, err := p.dial(ctx, p.peer.String())
	if err != nil {
		return false, 0, err
	}
	defer conn.Close() // once more if ctx ended, which does no harm
	stop := context.AfterFunc(ctx, func() {
		_ = conn.Close() // a datagram socket has nothing to lose by it
	})
	defer stop()
	packet := make([]byte, size-p.headers)
	for range p.tries {
		err := p.ask(conn, packet)
		switch {
		case err == nil, errors.Is(err, syscall.ECONNREFUSED):
			return true, 0, nil // the port answered, or its host, that the port is closed
		case errors.Is(err, syscall.EMSGSIZE):
			hint, err := known(conn, p.peer.Addr().Is6())
			return false, hint, err
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return false, 0, err
		}
	}
	return false, 0, nil
}

// ask sends a packet and waits for whatever comes of it.
func (p *path) ask(conn *net.UDPConn, packet []byte) error {
	// A full queue of this host loses packets as the network does: it is waited too.
	if _, err := conn.Write(packet); err != nil && !errors.Is(err, syscall.ENOBUFS) {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(p.wait)); err != nil {
		return err
	}
	_, err := conn.Read(make([]byte, 1)) // that something came is all that counts
	return err
}
