//go:build unix

package sockets_test

import (
	"errors"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// option asks the system for an option of a socket. SyscallConn lends the descriptor for the
// time of the call. File would not do: it makes a copy, and its Fd sets the connection to
// blocking, so that deadlines are ignored from then on.
func option(conn *net.TCPConn, level, name int) (value int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		value, failed = unix.GetsockoptInt(int(fd), level, name)
	})
	return value, errors.Join(err, failed)
}

// wantOption checks whether an option is on.
func wantOption(t *testing.T, conn *net.TCPConn, what string, level, name int, want bool) {
	t.Helper()
	if got, err := option(conn, level, name); (got != 0) != want || err != nil {
		t.Errorf("%s: %d, %v, want %v", what, got, err, want)
	}
}

// What package net sets without being asked: no waiting with small writes, and keep-alive.
func TestTuneDefaults(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	for _, conn := range []*net.TCPConn{client, server} {
		wantOption(t, conn, "TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, true)
		wantOption(t, conn, "SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, true)
		if err := errors.Join(conn.SetNoDelay(false), conn.SetKeepAlive(false)); err != nil {
			t.Fatal(err)
		}
		wantOption(t, conn, "TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, false)
		wantOption(t, conn, "SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, false)
	}
}

// A buffer is at least as large as was asked for, as long as the system allows it.
func TestTuneBuffersAreGranted(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	const size = 16 << 10
	if err := errors.Join(client.SetReadBuffer(size), client.SetWriteBuffer(size)); err != nil {
		t.Fatal(err)
	}
	for what, name := range map[string]int{"read": unix.SO_RCVBUF, "write": unix.SO_SNDBUF} {
		if got, err := option(client, unix.SOL_SOCKET, name); got < size || err != nil {
			t.Errorf("the %s buffer has %d bytes, %v, want %d at least", what, got, err, size)
		}
	}
}
