package proxy

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/netparts/netparts/internal/serve"
	"github.com/netparts/netparts/internal/udpio"
)

const (
	defaultPacketIdleTimeout = 5 * time.Minute
	defaultMaxSessions       = 1024

	// receiveBuffer is what a UDP socket asks the system for, in bytes.
	receiveBuffer = 4 << 20
)

// A PacketServer relays datagrams: UDP, Unix datagrams, and between the two. Each
// client, which is an address that sends and the address that it asks, gets a session
// with an upstream socket of its own. What the upstream sends there goes back to that
// client, from the address that was asked.
//
// Datagrams keep their boundaries, empty ones too, and their order within a session.
// They get lost where a network would lose them: if a dial takes long, if a receiver
// does not read, or at a limit. No datagram of one client waits for another client's
// dial or Unix socket.
//
// Errors that the network reports of an upstream over UDP, such as a port where nobody
// listens, do not end a session (RFC 4787 REQ-12): the upstream may come back. A Unix
// socket that is gone ends it, and the client's next datagram begins another one. After
// a dial that failed, what the client sends is dropped for a second.
//
// Datagrams that would go round in a circle are dropped: those from the server's own
// sockets, and those that were sent to a broadcast or multicast address, as far as the
// system tells. Servers that have each other for an upstream add a session for each
// round, up to MaxSessions. A Unix sender that is not bound to an address cannot be
// answered, and gets no session.
//
// The exported fields must not be changed after the first call to a method that
// serves. All methods are safe for concurrent use.
type PacketServer struct {
	// Dial connects the upstream socket of a new client. It must be set, and may be
	// one of [To], [RoundRobin], [Failover] and [First], which get to know of a UDP
	// upstream only that its address can be reached. The client's connection has
	// addresses and nothing else: RemoteAddr is the client's, LocalAddr the one that
	// it asked. Its context ends after DialTimeout, with the session, and when the
	// server is closed. A panic counts as a failure, and so does a connection that
	// is a stream.
	Dial DialFunc

	// DialTimeout is how long Dial may take. If zero, ten seconds; if negative,
	// there is no limit. What the client sends meanwhile is kept, up to 64 datagrams
	// or 64 KiB.
	DialTimeout time.Duration

	// IdleTimeout is how long no datagram may pass, in either direction, before a
	// session ends. If zero, five minutes, which RFC 4787 REQ-5 recommends; if
	// negative, there is no limit.
	IdleTimeout time.Duration

	// MaxSessions is how many sessions there are at once, those included that wait
	// for a dial or are a reminder that it failed. Each has a socket, so that this is
	// all that a flood of forged addresses can take. At the limit datagrams of other
	// clients are dropped. If zero, 1024; if negative, there is no limit.
	MaxSessions int

	// Report is called at the end of each session. If nil, nothing is called. A
	// panic in it is logged.
	Report func(PacketReport)

	// Listening is called by ListenAndServe when it listens, with the address,
	// which tells the port if that was 0. If nil, nothing is called.
	Listening func(net.Addr)

	// Logger gets one record for each session that ended, for each packet socket
	// that was closed, for each spell of errors of reading, and for each panic of
	// Report. If nil, nothing is logged.
	Logger *slog.Logger

	group  serve.Group
	totals packetTotals
}

func (s *PacketServer) dialTimeout() time.Duration { return cmp.Or(s.DialTimeout, defaultDialTimeout) }

func (s *PacketServer) idleTimeout() time.Duration {
	return cmp.Or(s.IdleTimeout, defaultPacketIdleTimeout)
}

func (s *PacketServer) maxSessions() int { return cmp.Or(s.MaxSessions, defaultMaxSessions) }

func (s *PacketServer) logger() *slog.Logger {
	if s.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return s.Logger
}

// Serve relays the datagrams that arrive on pc: a [*net.UDPConn], a Unix datagram
// socket, or another packet connection whose addresses are those of UDP. It always
// returns a non-nil error and closes pc. After Shutdown or Close the error is
// [ErrServerClosed].
func (s *PacketServer) Serve(pc net.PacketConn) error { return s.serve(pc, pc) }

// serve serves pc, and closes it by closing owner.
func (s *PacketServer) serve(pc, owner net.PacketConn) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	r := newPacketRelay(s, pc, cancel)
	s.totals.addRelay(r)
	defer s.totals.removeRelay(r)
	defer cancel(nil)
	owner = packetOwner{owner, func() { r.drain(ctx) }}
	return s.group.ServePacket(owner, serve.Config{
		Closed: ErrServerClosed,
		Logger: s.Logger,
		Ended:  r.end,
	}, func() error { return r.step(ctx) })
}

// ListenAndServe listens on address of network and serves. The network is "udp",
// "udp4", "udp6" or "unixgram", whose address is the path of a socket file, or a name
// that begins with @ in Linux's abstract namespace. A socket file is created with the
// mode that the process's umask leaves, and removed at the end if it is still the
// same file.
func (s *PacketServer) ListenAndServe(network, address string) error {
	if s.group.IsStopping() {
		return ErrServerClosed
	}
	pc, owner, err := listenPacket(network, address)
	if err != nil {
		return err
	}
	if s.Listening != nil {
		s.Listening(pc.LocalAddr())
	}
	return s.serve(pc, owner)
}

// listenPacket returns a socket and what closes it.
func listenPacket(network, address string) (pc, owner net.PacketConn, err error) {
	switch network {
	case "udp", "udp4", "udp6":
		pc, err = net.ListenPacket(network, address)
		if err != nil {
			return nil, nil, err
		}
		udpio.SetReadBuffer(pc, receiveBuffer)
		return pc, pc, nil
	case "unixgram":
		return serve.ListenUnixgram(address)
	}
	return nil, nil, &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
}

// Addr returns the address that the server listens on, the first one if there are
// several, or nil before it does.
func (s *PacketServer) Addr() net.Addr { return s.group.Addr() }

// Shutdown takes what arrives within 10 ms and no more from clients, and waits for the
// sessions. What upstreams send still goes to the clients: a session ends when it has
// been silent for 10 ms after an answer, or for a second while the last datagram is the
// client's. If ctx ends before, it returns the error of ctx, and the sessions go on
// until Close.
func (s *PacketServer) Shutdown(ctx context.Context) error { return s.group.Shutdown(ctx) }

// Close closes the packet sockets and ends all sessions at once, without waiting for
// what serves them to return; Shutdown after it does. It returns the first error of
// closing a packet socket.
func (s *PacketServer) Close() error {
	s.totals.close()
	return s.group.Close()
}

// Stats returns what the server has done so far, up to this moment.
func (s *PacketServer) Stats() PacketServerStats { return s.totals.stats() }
