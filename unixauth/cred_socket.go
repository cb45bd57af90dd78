//go:build linux || darwin || freebsd

package unixauth

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

var (
	errNotUnix   = errors.New("not a connected Unix stream or packet socket")
	errWrappers  = errors.New("wrapped too often")
	errNoConn    = errors.New("nil connection")
	errNoSockets = errors.New("neither a socket nor a wrapper with the method NetConn")
)

// noCred returns the error of a connection without credentials.
func noCred(err error) error { return fmt.Errorf("unixauth: %w: %w", ErrNoCred, err) }

// peerCred returns the credentials that the kernel recorded.
func peerCred(conn net.Conn) (Cred, error) {
	socket, err := socketOf(conn)
	if err != nil {
		return Cred{}, err
	}
	var c Cred
	if u, ok := socket.(*net.UnixConn); ok {
		c, err = unixConnCred(u)
	} else {
		c, err = socketCred(socket)
	}
	if err != nil {
		return Cred{}, noCred(err)
	}
	if c.UID == noID || c.GID == noID {
		return Cred{}, noCred(errNotUnix)
	}
	c.known = true
	return c, nil
}

// socketOf returns the socket that conn is or wraps.
func socketOf(conn net.Conn) (syscall.Conn, error) {
	for range maxWrappers {
		if isNil(conn) {
			return nil, noCred(errNoConn)
		}
		switch c := conn.(type) {
		case *net.UnixConn:
			return c, nil
		case *Conn:
			if c.UnixConn == nil {
				return nil, noCred(errNoConn)
			}
			return c.UnixConn, nil
		case syscall.Conn:
			return c, nil
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil, noCred(fmt.Errorf("%T is %w", conn, errNoSockets))
		}
	}
	return nil, noCred(errWrappers)
}

// unixConnCred returns the credentials of the common case. It calls methods of
// a known type, so that the compiler sees that nothing need be allocated.
func unixConnCred(u *net.UnixConn) (c Cred, err error) {
	if !streamAddr(u.LocalAddr()) {
		return c, errNotUnix
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return c, err
	}
	var getErr error
	err = raw.Control(func(fd uintptr) { c, getErr = readCred(int(fd)) })
	if err == nil {
		err = getErr
	}
	return c, err
}

// socketCred returns the credentials of a socket that may be of any kind.
func socketCred(socket syscall.Conn) (c Cred, err error) {
	err = onStream(socket, func(fd int) error {
		c, err = readCred(fd)
		return err
	})
	return c, err
}

// onStream calls f with the descriptor of a socket, if that is a Unix stream or packet
// socket.
func onStream(socket syscall.Conn, f func(fd int) error) error {
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = raw.Control(func(fd uintptr) {
		if callErr = checkStream(int(fd)); callErr == nil {
			callErr = f(int(fd))
		}
	})
	if err != nil {
		return err
	}
	return callErr
}

// streamAddr reports whether addr is the address of a Unix stream or packet socket. That of
// a *net.UnixConn comes from the kernel, and saves asking it again.
func streamAddr(addr net.Addr) bool {
	a, ok := addr.(*net.UnixAddr)
	return ok && a != nil && (a.Net == "unix" || a.Net == "unixpacket")
}
