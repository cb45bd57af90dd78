//go:build unix

package echo_test

import (
	"runtime"
	"testing"

	"github.com/netparts/netparts/echo"
)

// Datagrams keep their boundaries: three writes are three reads. The client has a
// socket file of its own, where the answers go.
func TestEchoServerUnixDatagram(t *testing.T) {
	var server echo.Server
	addr := listenPacket(t, &server, "unixgram", socketPath(t))
	client := bindUnixgram(t, socketPath(t))
	for range 3 {
		_, err := client.WriteTo([]byte("ping"), addr)
		must(t, err)
	}
	for range 3 {
		wantFrom(t, client, "ping", addr)
	}
}

// Unix packets keep them as well, and what a read has no room for is lost.
func TestEchoServerUnixPacket(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("the system has no Unix packets")
	}
	var server echo.Server
	client := dial(t, "unixpacket", listen(t, &server, "unixpacket"))
	for range 6 {
		_, err := client.Write([]byte("ping"))
		must(t, err)
	}
	for range 3 {
		wantPacketRead(t, client, "ping")
	}
	for range 3 {
		b := make([]byte, 2)
		if n, err := client.Read(b); n != 2 || err != nil || string(b) != "pi" {
			t.Errorf("Read = %q, %v, want the beginning of a record", b[:n], err)
		}
	}
}
