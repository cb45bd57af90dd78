package echo

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// lowPorts are the well-known ports (RFC 6335 section 6), where the services live
// that answer to any datagram: echo, daytime, quote of the day, chargen, time,
// domain, TFTP and NTP, to name those of CVE-2024-2169.
const lowPorts = 1024

// patience is how long a packet connection that is no socket may take for an
// answer.
const patience = 100 * time.Millisecond

// A tally is what a packet socket has done. One goroutine writes it.
type tally struct {
	answered, bytes int64
	ignored         int64 // because an answer might begin a loop
	dropped         int64 // because the answer could not be delivered
}

// A stepper reads packets and answers them.
type stepper interface {
	step() error
	close()
}

// ServePacket echoes the packets that arrive on pc, a UDP socket, a Unix datagram
// socket or another packet connection. It always returns a non-nil error and closes
// pc. After Shutdown or Close the error is [ErrServerClosed].
//
// A packet whose sender has no address, is gone, or has no room for the answer is
// dropped. A packet connection of another type waits up to 100 ms for room, and
// drops what is longer than 64 KiB.
func (s *Server) ServePacket(pc net.PacketConn) error { return s.servePacket(pc, pc) }

// servePacket serves pc, and closes it by closing owner.
func (s *Server) servePacket(pc, owner net.PacketConn) error {
	begin := time.Now()
	local := pc.LocalAddr()
	var t tally
	step := newStepper(pc, &t)
	defer step.close()
	config := s.config()
	config.Ended = func() {
		s.logger().Info("packets ended",
			"local", local, "packets", t.answered, "bytes", t.bytes,
			"ignored", t.ignored, "dropped", t.dropped, "duration", time.Since(begin))
	}
	return s.group.ServePacket(owner, config, step.step)
}

func newStepper(pc net.PacketConn, t *tally) stepper {
	switch conn := pc.(type) {
	case *net.UDPConn:
		return newUDP(conn, t)
	case *net.UnixConn:
		if u := newUnixgram(conn, t); u != nil {
			return u
		}
	}
	return &packets{conn: pc, tally: t, port: portOf(pc.LocalAddr()), buffer: make([]byte, 1<<16)}
}

// portOf returns the port of an address of UDP, or 0.
func portOf(a net.Addr) uint16 {
	if udp, ok := a.(*net.UDPAddr); ok {
		return uint16(udp.Port)
	}
	return 0
}

// loops reports whether an answer to a peer might be answered itself, for ever.
func loops(peer netip.AddrPort, own uint16) bool {
	return peer.Port() < lowPorts || peer.Port() == own
}

// A packets echoes by the methods of a packet connection.
type packets struct {
	*tally
	conn   net.PacketConn
	port   uint16
	buffer []byte
}

func (p *packets) close() {}

func (p *packets) step() error {
	n, peer, err := p.conn.ReadFrom(p.buffer)
	if err != nil {
		return err
	}
	udp, isUDP := peer.(*net.UDPAddr)
	switch {
	case peer == nil || n == len(p.buffer): // perhaps cut
		p.dropped++
		return nil
	case isUDP && loops(udp.AddrPort(), p.port):
		p.ignored++
		return nil
	}
	err = p.conn.SetWriteDeadline(time.Now().Add(patience))
	if err == nil {
		_, err = p.conn.WriteTo(p.buffer[:n], peer)
	}
	switch {
	case err == nil:
		p.answered++
		p.bytes += int64(n)
	case errors.Is(err, net.ErrClosed):
		return err
	default:
		p.dropped++
	}
	return nil
}
