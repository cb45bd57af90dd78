package echo

import (
	"cmp"
	"crypto/tls"
	"net"

	"github.com/netparts/netparts/internal/serve"
	"github.com/netparts/netparts/internal/udpio"
)

// receiveBuffer is what a UDP socket asks the system for, in bytes.
const receiveBuffer = 4 << 20

// ListenAndServe listens on address of network and serves. The networks are
//
//   - "tcp", "tcp4", "tcp6", and "tls", which is TCP with TLSConfig;
//   - "unix" and "unixpacket", whose address is the path of a socket file, or a
//     name that begins with @ in Linux's abstract namespace;
//   - "udp", "udp4", "udp6", and "unixgram", which has paths too.
//
// If the address of a network with ports is empty, ":echo" is used, which is port
// 7. A socket file is created with the mode that the process's umask leaves, and
// removed at the end if it is still the same file.
func (s *Server) ListenAndServe(network, address string) error {
	if s.group.IsStopping() {
		return ErrServerClosed
	}
	switch network {
	case "tcp", "tcp4", "tcp6", "tls":
		return s.listenTCP(network, cmp.Or(address, ":7"))
	case "udp", "udp4", "udp6":
		conn, err := net.ListenPacket(network, cmp.Or(address, ":7"))
		if err != nil {
			return err
		}
		udpio.SetReadBuffer(conn, receiveBuffer)
		s.listening(conn.LocalAddr())
		return s.ServePacket(conn)
	case "unix", "unixpacket", "unixgram":
		return s.listenUnix(network, address)
	}
	return &net.OpError{Op: "listen", Net: network, Err: net.UnknownNetworkError(network)}
}

func (s *Server) listenTCP(network, address string) error {
	var l net.Listener
	var err error
	if network == "tls" {
		l, err = tls.Listen("tcp", address, s.TLSConfig)
	} else {
		l, err = net.Listen(network, address)
	}
	if err != nil {
		return err
	}
	s.listening(l.Addr())
	return s.Serve(l)
}

// listening calls the hook.
func (s *Server) listening(addr net.Addr) {
	if s.Listening != nil {
		s.Listening(addr)
	}
}

func (s *Server) listenUnix(network, path string) error {
	if network == "unixgram" {
		conn, owner, err := serve.ListenUnixgram(path)
		if err != nil {
			return err
		}
		s.listening(conn.LocalAddr())
		return s.servePacket(conn, owner)
	}
	l, err := serve.ListenUnix(network, path)
	if err != nil {
		return err
	}
	s.listening(l.Addr())
	return s.Serve(l)
}
