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

type unixListener struct {
	net.Listener
	file socketFile
}

// Close implements net.Listener.
func (l unixListener) Close() error { return errors.Join(l.file.remove(), l.Listener.Close()) }

type unixPacketConn struct {
	net.PacketConn
	file socketFile
}

// Close implements net.PacketConn.
func (c unixPacketConn) Close() error { return errors.Join(c.file.remove(), c.PacketConn.Close()) }
