package echo_test

import (
	"context"
	"net"
	"testing"

	"github.com/netparts/netparts/echo"
)

// These tests have the names of those of the book Network Programming with Go, and
// show what those teach, without what made them fail now and then.

// A client without a connection asks, and the answer comes from whom it asked.
func TestEchoServerUDP(t *testing.T) {
	var server echo.Server
	addr := listenPacket(t, &server, "udp", "127.0.0.1:0")
	client := bindUDP(t, "udp", "127.0.0.1:0")
	_, err := client.WriteTo([]byte("ping"), addr)
	must(t, err)
	wantFrom(t, client, "ping", addr)
}

// An unconnected client gets what anybody sends it, and has to look at the sender.
func TestListenPacketUDP(t *testing.T) {
	var server echo.Server
	addr := listenPacket(t, &server, "udp", "127.0.0.1:0")
	client := bindUDP(t, "udp", "127.0.0.1:0")
	interloper := bindUDP(t, "udp", "127.0.0.1:0")
	_, err := interloper.WriteTo([]byte("pardon me"), client.LocalAddr())
	must(t, err)
	_, err = client.WriteTo([]byte("ping"), addr)
	must(t, err)
	wantFrom(t, client, "pardon me", interloper.LocalAddr())
	wantFrom(t, client, "ping", addr)
}

// A connected client gets what its peer sends, and nothing else. A second echo
// shows that, rather than a while in which nothing came.
func TestDialUDP(t *testing.T) {
	var server echo.Server
	addr := listenPacket(t, &server, "udp", "127.0.0.1:0")
	client := dialPacket(t, "udp", addr.String())
	interloper := bindUDP(t, "udp", "127.0.0.1:0")
	_, err := interloper.WriteTo([]byte("pardon me"), client.LocalAddr())
	must(t, err)
	wantPacket(t, client, "ping")
	_, err = interloper.WriteTo([]byte("pardon me"), client.LocalAddr())
	must(t, err)
	wantPacket(t, client, "marker")
}

// Of a Unix stream three writes may come back in one read, and need not: the
// client reads to the length that it expects.
func TestEchoServerUnix(t *testing.T) {
	var server echo.Server
	client := dial(t, "unix", listen(t, &server, "unix"))
	for range 3 {
		_, err := client.Write([]byte("ping"))
		must(t, err)
	}
	wantRead(t, client, "pingpingping")
}

// A server that is told to end closes its connections too, and does so by the
// context that served them.
func TestEchoServerContext(t *testing.T) {
	var server echo.Server
	ctx, cancel := context.WithCancel(t.Context())
	client, conn := net.Pipe()
	ended := serveConn(ctx, &server, conn)
	wantEcho(t, soon(t, client, nil), "ping")
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("ServeConn: %v, want %v", err, context.Canceled)
	}
	wantEnd(t, client)
}
