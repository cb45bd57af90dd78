package sockets_test

import (
	"context"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Linux doubles what it is asked for, because its own bookkeeping is in there as well, and
// cuts what is beyond net.core.rmem_max and net.core.wmem_max without an error: only
// reading it back tells. Other systems grant the number itself, or refuse with ENOBUFS.
func TestTuneBuffersOnLinux(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	for what, buffer := range map[string]struct {
		set  func(int) error
		name int
	}{
		"read":  {client.SetReadBuffer, unix.SO_RCVBUF},
		"write": {client.SetWriteBuffer, unix.SO_SNDBUF},
	} {
		const ask = 16 << 10
		if err := buffer.set(ask); err != nil {
			t.Fatal(err)
		}
		if got, err := option(client, unix.SOL_SOCKET, buffer.name); got != 2*ask || err != nil {
			t.Errorf("the %s buffer has %d bytes, %v, want %d", what, got, err, 2*ask)
		}
		const tooMuch = 1<<31 - 1
		if err := buffer.set(tooMuch); err != nil {
			t.Errorf("asking for too large a %s buffer: %v", what, err)
		}
		if got, err := option(client, unix.SOL_SOCKET, buffer.name); got >= tooMuch || err != nil {
			t.Errorf("the %s buffer has %d bytes, %v, want less than was asked for", what, got, err)
		}
	}
}

// wantKeepAlive checks what the kernel has of a [net.KeepAliveConfig].
func wantKeepAlive(t *testing.T, conn *net.TCPConn, want net.KeepAliveConfig) {
	t.Helper()
	for what, tt := range map[string]struct{ level, name, want int }{
		"SO_KEEPALIVE":  {unix.SOL_SOCKET, unix.SO_KEEPALIVE, map[bool]int{true: 1}[want.Enable]},
		"TCP_KEEPIDLE":  {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int(want.Idle.Seconds())},
		"TCP_KEEPINTVL": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(want.Interval.Seconds())},
		"TCP_KEEPCNT":   {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, want.Count},
	} {
		if got, err := option(conn, tt.level, tt.name); got != tt.want || err != nil {
			t.Errorf("%s: %d, %v, want %d", what, got, err, tt.want)
		}
	}
}

// The kernel knows the times in seconds; package net asks for 15, 15 and 9 by itself. They
// can be set for a connection, for a Dialer, and for a listener.
func TestTuneKeepAlive(t *testing.T) {
	want := net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 10 * time.Second, Count: 3}
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	wantKeepAlive(t, client, net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 9})
	if err := client.SetKeepAliveConfig(want); err != nil {
		t.Fatal(err)
	}
	wantKeepAlive(t, client, want)

	listen := net.ListenConfig{KeepAliveConfig: want}
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: want}
	dialed, err := dialer.DialContext(ctx, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer dialed.Close()
	wantKeepAlive(t, dialed.(*net.TCPConn), want)
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	wantKeepAlive(t, accepted.(*net.TCPConn), want)
}
