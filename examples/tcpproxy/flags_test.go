package main

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/netparts/netparts/proxy"
)

func TestMisuse(t *testing.T) {
	const listen, to = "tcp:127.0.0.1:0", "tcp:127.0.0.1:9"
	for _, tt := range []struct {
		args []string
		want string // a part of the first line
	}{
		{nil, "-listen is missing"},
		{[]string{"-to", to}, "-listen is missing"},
		{[]string{"-listen", listen}, "-to is missing"},
		{[]string{"-listen", ""}, "want NETWORK:ADDR"},
		{[]string{"-listen", "127.0.0.1:80"}, "want NETWORK:ADDR"},
		{[]string{"-listen", "udp:127.0.0.1:80"}, "want NETWORK:ADDR"},
		{[]string{"-listen", "unixpacket:/s"}, "want NETWORK:ADDR"},
		{[]string{"-listen", "unix:"}, "there is no path"},
		{[]string{"-listen", "unix"}, "there is no path"},
		{[]string{"-listen", "tcp:127.0.0.1"}, "missing port"},
		{[]string{"-listen", "tcp:127.0.0.1:"}, "there is no port"},
		{[]string{"-listen", "tcp:127.0.0.1:65536"}, "65536"},
		{[]string{"-listen", listen, "-to", "tcp:127.0.0.1:0"}, "port 0"},
		{[]string{"-listen", listen, "-to", "tcp:::1:80"}, "too many colons"},
		{[]string{"-listen", listen, "-to", to, "-to", "sctp:127.0.0.1:1"}, "want NETWORK:ADDR"},
		{[]string{"-listen", to, "-to", to}, "where it listens itself"},
		{[]string{"-listen", listen, "-to", to, "argument"}, `unexpected argument "argument"`},
		{[]string{"-listen", listen, "-to", to, "-policy", "random"}, `unknown -policy "random"`},
		{[]string{"-listen", listen, "-to", to, "-policy", ""}, `unknown -policy ""`},
		{[]string{"-listen", listen, "-to", to, "-dial-timeout", "0"}, "-dial-timeout must be positive"},
		{[]string{"-listen", listen, "-to", to, "-idle", "-1s"}, "-idle must not be negative"},
		{[]string{"-listen", listen, "-to", to, "-idle", "soon"}, `"soon" for flag -idle`},
		{[]string{"-listen", listen, "-to", to, "-half-close", "-1s"}, "-half-close must not be negative"},
		{[]string{"-listen", listen, "-to", to, "-grace", "-1s"}, "-grace must not be negative"},
		{[]string{"-listen", listen, "-to", to, "-max-conns", "-1"}, "-max-conns must not be negative"},
		{[]string{"-listen", listen, "-to", to, "-max-conns", "many"}, `"many" for flag -max-conns`},
		{[]string{"-listen", listen, "-to", to, "-send-proxy", "v3"}, `unknown version "v3" of -send-proxy`},
		{[]string{"-listen", listen, "-to", to, "-accept-proxy", "10.0.0.0/33"}, `"10.0.0.0/33" for flag -accept-proxy`},
		{[]string{"-listen", listen, "-to", to, "-accept-proxy", "10.0.0.1"}, `"10.0.0.1" for flag -accept-proxy`},
		{[]string{"-listen", listen, "-to", to, "-accept-proxy", "::ffff:10.0.0.0/104"}, "want IPv4 written as IPv4"},
		{[]string{"-listen", listen, "-to", to, "-accept-proxy", "unix"}, "-accept-proxy unix is for -listen unix"},
		{[]string{"-listen", "unix:s", "-to", to, "-accept-proxy", "10.0.0.0/8"}, "want -accept-proxy unix"},
		{[]string{"-no-such-flag"}, "-no-such-flag"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), tt.args, &stdout, &stderr); status != 2 || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, want 2 and nothing", tt.args, status, &stdout)
		}
		line, rest, _ := strings.Cut(stderr.String(), "\n")
		if !strings.Contains(line, tt.want) || !strings.HasPrefix(rest, "Usage of tcpproxy") {
			t.Errorf("%q: stderr %q, want a line with %q and the usage", tt.args, &stderr, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, &stdout, &stderr); status != 0 || !strings.Contains(stderr.String(), "Usage of tcpproxy") {
		t.Errorf("-h: exit status %d, stderr %q", status, &stderr)
	}
}

func TestSources(t *testing.T) {
	var s sources
	for _, cidr := range []string{"192.0.2.7/24", "fe80::/10", "2001:db8::1/128"} {
		if err := s.add(cidr); err != nil {
			t.Fatal(err)
		}
	}
	for addr, want := range map[string]proxy.HeaderPolicy{
		"192.0.2.255":    proxy.HeaderRequired,
		"192.0.3.0":      proxy.HeaderNone,
		"fe80::1%lo":     proxy.HeaderRequired, // a zone says where, not who
		"2001:db8::1":    proxy.HeaderRequired,
		"2001:db8::2":    proxy.HeaderNone,
		"::ffff:c000:22": proxy.HeaderNone,
	} {
		ip, zone, _ := strings.Cut(addr, "%")
		// Its IP has 16 bytes, as that of a client of a socket for both families.
		source := &net.TCPAddr{IP: net.ParseIP(ip).To16(), Zone: zone, Port: 1}
		if got := s.policy(source); got != want {
			t.Errorf("policy(%s) = %d, want %d", addr, got, want)
		}
	}
	for _, source := range []net.Addr{nil, &net.UnixAddr{Net: "unix"}} {
		if got := s.policy(source); got != proxy.HeaderRequired {
			t.Errorf("policy(%v) = %d, want %d", source, got, proxy.HeaderRequired)
		}
	}
}
