package echo

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"

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
	if s.stopping() {
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
		conn, err := net.ListenUnixgram(network, &net.UnixAddr{Net: network, Name: path})
		if err != nil {
			return err
		}
		owner := namedPacketConn{conn, fileOf(path)}
		s.listening(conn.LocalAddr())
		return s.servePacket(conn, owner)
	}
	l, err := net.ListenUnix(network, &net.UnixAddr{Net: network, Name: path})
	if err != nil {
		return err
	}
	l.SetUnlinkOnClose(false) // which does not look whose file it is
	owner := namedListener{l, fileOf(path)}
	s.listening(l.Addr())
	return s.Serve(owner)
}

// A socketFile is the file of a Unix socket that this process made.
type socketFile struct {
	path string
	info fs.FileInfo // nil if there is no file to remove
}

// fileOf is called when path has just been bound.
func fileOf(path string) socketFile {
	if path == "" || path[0] == '@' && runtime.GOOS == "linux" {
		return socketFile{} // an abstract name
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return socketFile{}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return socketFile{}
	}
	return socketFile{path, info}
}

// remove removes the file, unless another has taken its place.
func (f socketFile) remove() error {
	if f.info == nil {
		return nil
	}
	now, err := os.Lstat(f.path)
	if err == nil && os.SameFile(f.info, now) {
		err = os.Remove(f.path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// A namedListener removes its socket file first when it is closed, so that nobody
// connects to what is closed.
type namedListener struct {
	net.Listener
	file socketFile
}

// Close implements net.Listener.
func (l namedListener) Close() error { return errors.Join(l.file.remove(), l.Listener.Close()) }

// A namedPacketConn does the same.
type namedPacketConn struct {
	net.PacketConn
	file socketFile
}

// Close implements net.PacketConn.
func (c namedPacketConn) Close() error { return errors.Join(c.file.remove(), c.PacketConn.Close()) }
