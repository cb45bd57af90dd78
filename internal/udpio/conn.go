package udpio

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"syscall"
)

// readOne reads one datagram by the methods of the connection, which needs a
// buffer while it waits.
func (r *Reader) readOne() error {
	length := r.cfg.Size + 1 // to tell a datagram that is longer
	if runtime.GOOS == "windows" {
		// There a longer datagram is an error that does not name its sender.
		length = maxSize + 1
	}
	if r.held == nil {
		r.held = newSet(length, 1)
	}
	b := r.held.bytes(0, length)
	var n int
	var peer netip.AddrPort
	var err error
	if udp, ok := r.conn.(*net.UDPConn); ok {
		n, peer, err = udp.ReadFromUDPAddrPort(b)
	} else {
		var addr net.Addr
		n, addr, err = r.conn.ReadFrom(b)
		peer = addrPort(addr)
	}
	if err != nil {
		r.Release()
		return err
	}
	r.current = Packet{Peer: unmap(peer), Cut: n > r.cfg.Size}
	r.rest, r.segment, r.loaded = b[:n], n, true
	return nil
}

// addrPort returns what addr says, or the zero AddrPort.
func addrPort(addr net.Addr) netip.AddrPort {
	switch a := addr.(type) {
	case nil:
		return netip.AddrPort{}
	case *net.UDPAddr:
		return a.AddrPort()
	}
	// An address of another kind is none, which the zero AddrPort says.
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return ap
}

func unmap(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// writeEach sends datagrams one at a time by the methods of the connection.
func (w *Writer) writeEach(b []byte, size int, to netip.AddrPort) error {
	to = unmap(to)
	udp, isUDP := w.conn.(*net.UDPConn)
	var addr net.Addr
	if !isUDP {
		addr = net.UDPAddrFromAddrPort(to)
	}
	for {
		n := min(size, len(b))
		var err error
		switch {
		case isUDP && to == w.remote:
			_, err = udp.Write(b[:n])
		case isUDP:
			_, err = udp.WriteToUDPAddrPort(b[:n], to)
		default:
			_, err = w.conn.WriteTo(b[:n], addr)
		}
		if err != nil && !errors.Is(err, syscall.ENOBUFS) {
			return err
		}
		if b = b[n:]; len(b) == 0 {
			return nil
		}
	}
}
