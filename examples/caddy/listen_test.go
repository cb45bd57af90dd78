package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// An address to listen on is a network, a host, and a port or a range of ports. What is
// left out is "tcp" and every address of the machine. For Unix sockets, the first slash
// ends the network, so that an absolute path begins at the second.
func ExampleParseNetworkAddress() {
	for _, s := range []string{
		"localhost:2020",
		"localhost:2020-2025",
		":2020",
		"[::1]:2020",
		"udp/localhost:2020",
		"tcp4/localhost:2020",
		"unix//run/caddy.sock",
		"unix/caddy.sock",
		"localhost:2025-2020",
		"localhost:ssh",
	} {
		a, err := caddy.ParseNetworkAddress(s)
		if err != nil {
			fmt.Printf("%s: error\n", s)
			continue
		}
		fmt.Printf("%s: %s %q %d-%d, listeners: %d\n", s, a.Network, a.Host, a.StartPort, a.EndPort, a.PortRangeSize())
	}
	// Output:
	// localhost:2020: tcp "localhost" 2020-2020, listeners: 1
	// localhost:2020-2025: tcp "localhost" 2020-2025, listeners: 6
	// :2020: tcp "" 2020-2020, listeners: 1
	// [::1]:2020: tcp "::1" 2020-2020, listeners: 1
	// udp/localhost:2020: udp "localhost" 2020-2020, listeners: 1
	// tcp4/localhost:2020: tcp4 "localhost" 2020-2020, listeners: 1
	// unix//run/caddy.sock: unix "/run/caddy.sock" 0-0, listeners: 1
	// unix/caddy.sock: unix "caddy.sock" 0-0, listeners: 1
	// localhost:2025-2020: error
	// localhost:ssh: error
}

// A range of ports is a server with that many listeners.
func TestPortRange(t *testing.T) {
	first := freePorts(t, 5)
	last := first + 3
	load(t, configuration(object{"range": respond("in range", fmt.Sprintf("127.0.0.1:%d-%d", first, last))}))
	for port := first; port <= last; port++ {
		wantBody(t, port, "in range")
	}
	wantBody(t, last+1, "")
}

// A server on a Unix socket is for programs of the same machine, and the permissions of the
// socket say for which. Caddy takes the socket away when it stops.
func TestUnixSocket(t *testing.T) {
	path := filepath.Join(home, "site") // t.TempDir is too long for a socket on some systems
	load(t, configuration(object{"local": respond("on a socket", "unix/"+filepath.ToSlash(path)+"|0220")}))
	_, body := do(t, onSocket(t, path), http.MethodGet, "http://any.name/", "", nil)
	if body != "on a socket" {
		t.Errorf("%q", body)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o220 {
		t.Errorf("mode %v", info.Mode())
	}
	load(t, configuration(object{}))
	eventually(t, "the socket is gone", func() bool {
		_, err := os.Lstat(path)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// A backend may be on a Unix socket as well: nobody can reach it but by the proxy.
func TestProxyToUnixSocket(t *testing.T) {
	path := filepath.ToSlash(filepath.Join(home, "backend"))
	server := front(t, "unix/"+path)
	load(t, configuration(object{"front": server, "backend": respond("behind", "unix/"+path)}))
	if status, body := get(t, "front", "/backend"); status != 200 || body != "behind" {
		t.Errorf("%d %q", status, body)
	}
}
