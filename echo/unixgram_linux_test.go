package echo_test

import (
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/netparts/netparts/echo"
)

// Linux sends as much as the sender's buffer takes, and empty datagrams.
func TestLargeUnixgrams(t *testing.T) {
	p := newDatagramPair(t)
	for _, n := range []int{0, 65536, 150_000, 200_000, 0} {
		p.wantEcho(t, string(pattern(n)))
	}
	p.wantTally(t, 5, 0, 0)
}

// The server has room for the answers to several clients that read later, and for
// one that is longer than a socket sends by default.
func TestRoomForUnixgrams(t *testing.T) {
	p := newDatagramPair(t)
	message := string(pattern(150_000))
	var clients []*net.UnixConn
	for range 3 {
		clients = append(clients, bindUnixgram(t, socketPath(t)))
	}
	for _, c := range clients {
		_, err := c.WriteTo([]byte(message), p.addr)
		must(t, err)
	}
	for _, c := range clients {
		wantFrom(t, c, message, p.addr)
	}
	must(t, p.client.SetWriteBuffer(512<<10))
	p.wantEcho(t, string(pattern(400_000)))
	p.wantTally(t, 4, 0, 0)
}

// What is longer than the limit is dropped, not cut.
func TestTooLargeUnixgram(t *testing.T) {
	p := newDatagramPair(t)
	must(t, p.client.SetWriteBuffer(4<<20))
	sent := pattern(512<<10 + 1)
	if _, err := p.client.WriteTo(sent, p.addr); err != nil {
		t.Skipf("the system does not send that much: %v", err)
	}
	p.wantEcho(t, "next")
	p.wantTally(t, 1, 1, 0)
}

// The abstract namespace has no files.
func TestAbstractNames(t *testing.T) {
	name := fmt.Sprintf("@echo-test-%d-%s", os.Getpid(), t.Name())
	for _, network := range []string{"unix", "unixpacket", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			t.Chdir(t.TempDir())
			var server echo.Server
			addr := listenAndServe(t, &server, network, name)
			var local *net.UnixAddr
			if network == "unixgram" {
				local = unixgram(name + "-client")
			}
			conn, err := net.DialUnix(network, local, addr.(*net.UnixAddr))
			wantPacket(t, soon(t, conn, err), "ping")
			files, err := os.ReadDir(".")
			must(t, err)
			if len(files) > 0 {
				t.Errorf("there is a file %v", files)
			}
		})
	}
}

// Without a name the kernel chooses one there, for a server and for a client.
func TestAutobind(t *testing.T) {
	var server echo.Server
	addr := listenAndServe(t, &server, "unixgram", "")
	conn := bindUnixgram(t, "")
	if local := conn.LocalAddr().String(); len(local) < 2 || local[0] != '@' {
		t.Fatalf("the client has the name %q", local)
	}
	_, err := conn.WriteTo([]byte("ping"), addr)
	must(t, err)
	wantFrom(t, conn, "ping", addr)
}
