package echo_test

import (
	"errors"
	"net"
	"testing"

	"github.com/netparts/netparts/echo"
)

// ListenAndServe listens on each of the networks.
func TestListenAndServe(t *testing.T) {
	for _, tt := range []struct{ network, address, dial string }{
		{"tcp", "127.0.0.1:0", "tcp"},
		{"tcp", "localhost:0", "tcp"},
		{"tcp4", "127.0.0.1:0", "tcp4"},
		{"tcp6", "[::1]:0", "tcp6"},
		{"udp", "127.0.0.1:0", "udp"},
		{"udp4", "127.0.0.1:0", "udp4"},
		{"udp6", "[::1]:0", "udp6"},
	} {
		t.Run(tt.network, func(t *testing.T) {
			var server echo.Server
			if addr := server.Addr(); addr != nil {
				t.Errorf("Addr = %v before it listens", addr)
			}
			addr := listenAndServe(t, &server, tt.network, tt.address)
			conn, err := net.Dial(tt.dial, addr.String())
			wantPacket(t, soon(t, conn, err), "ping")
		})
	}
}

// One server has many listeners and packet sockets, and ends them all.
func TestOneServerOfMany(t *testing.T) {
	var server echo.Server
	for range 3 {
		for _, network := range streams {
			wantEcho(t, dial(t, network, listen(t, &server, network)), "ping")
		}
		wantPacket(t, dialPacket(t, "udp", listenPacket(t, &server, "udp", "127.0.0.1:0").String()), "ping")
	}
	shutDown(t, &server)
}

// What is no network, or no address of it, is an error at once.
func TestCannotListen(t *testing.T) {
	for _, network := range []string{"", "ip", "TCP", "udp5", "unix ", "unixstream"} {
		var server echo.Server
		err := server.ListenAndServe(network, "127.0.0.1:0")
		if unknown, ok := errors.AsType[net.UnknownNetworkError](err); !ok || string(unknown) != network {
			t.Errorf("ListenAndServe(%q) = %v", network, err)
		}
	}
	for _, tt := range []struct{ network, address string }{
		{"tcp", "127.0.0.1"}, {"tcp4", "[::1]:0"}, {"udp", "127.0.0.1:99999"}, {"udp6", "127.0.0.1:0"},
	} {
		var server echo.Server
		if err := server.ListenAndServe(tt.network, tt.address); err == nil || err == echo.ErrServerClosed {
			t.Errorf("ListenAndServe(%q, %q) = %v", tt.network, tt.address, err)
		}
		if addr := server.Addr(); addr != nil {
			t.Errorf("Addr = %v after ListenAndServe(%q, %q)", addr, tt.network, tt.address)
		}
	}
}

// A listener that fails ends Serve with its error, and is closed.
func TestListenerThatFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	var server echo.Server
	if err := server.Serve(l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve of a closed listener: %v", err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	must(t, pc.Close())
	if err := server.ServePacket(pc); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ServePacket of a closed socket: %v", err)
	}
	// Others can be served still.
	wantEcho(t, dial(t, "tcp", listen(t, &server, "tcp")), "ping")
}
