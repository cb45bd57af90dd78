package serve

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
)

// ListenUnix listens on a path, or on a name of Linux's abstract namespace that begins
// with @. Network is "unix" or "unixpacket". When the listener is closed the socket
// file is removed first, so that nobody connects to what is closed, but only if it is
// still the same file.
func ListenUnix(network, path string) (net.Listener, error) {
	l, err := net.ListenUnix(network, &net.UnixAddr{Net: network, Name: path})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // which does not look whose file it is
	return unixListener{l, fileOf(path)}, nil
}

// ListenUnixgram does the same for datagrams. It returns the socket, and what closes
// it and removes the file.
func ListenUnixgram(path string) (*net.UnixConn, net.PacketConn, error) {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return nil, nil, err
	}
	return conn, unixPacketConn{conn, fileOf(path)}, nil
}

// A SocketFile is the file of a Unix socket that this process made.
type SocketFile struct {
	Path string
	Info fs.FileInfo // nil if it is not known to be ours, or there is none
}

// fileOf is called when path has just been bound.
func fileOf(path string) SocketFile {
	if path == "" || path[0] == '@' && runtime.GOOS == "linux" {
		return SocketFile{} // an abstract name
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return SocketFile{}
	}
	info, err := os.Lstat(path)
	if err != nil {
		return SocketFile{}
	}
	return SocketFile{path, info}
}

// Remove removes the file, unless another has taken its place. The socket must be open
// still: it keeps the number of the file from being given to another.
func (f SocketFile) Remove() error {
	if f.Info == nil {
		return nil
	}
	now, err := os.Lstat(f.Path)
	if err == nil && os.SameFile(f.Info, now) {
		err = os.Remove(f.Path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

type unixListener struct {
	net.Listener
	file SocketFile
}

// Close implements net.Listener.
func (l unixListener) Close() error { return errors.Join(l.file.Remove(), l.Listener.Close()) }

type unixPacketConn struct {
	net.PacketConn
	file SocketFile
}

// Close implements net.PacketConn.
func (c unixPacketConn) Close() error { return errors.Join(c.file.Remove(), c.PacketConn.Close()) }
