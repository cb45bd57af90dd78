package echo_test

import (
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/internal/netns"
)

// udpAddr is an address with the port of another one.
func udpAddr(host string, port net.Addr) *net.UDPAddr {
	addr := netip.MustParseAddr(host)
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, uint16(port.(*net.UDPAddr).Port)))
}

// An answer leaves from the address that was asked, of which a wildcard socket has
// many. A client that is connected gets no other.
func TestAnswerFromTheAskedAddress(t *testing.T) {
	for _, tt := range []struct{ network, address string }{
		{"udp4", "0.0.0.0:0"}, {"udp", "[::]:0"},
	} {
		t.Run(tt.network, func(t *testing.T) {
			var server echo.Server
			addr := listenPacket(t, &server, tt.network, tt.address)
			for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"} {
				asked := udpAddr(host, addr)
				conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, asked)
				soon(t, conn, err)
				for _, n := range []int{0, 100, 65507} {
					wantPacket(t, conn, string(pattern(n)))
				}
			}
		})
	}
}

// Link-local addresses are answered through the interface that they belong to, and
// what is for all of the link is not answered.
func TestRootLinkLocal(t *testing.T) {
	n := netns.New(t)
	addr := netns.LinkLocal
	for _, host := range []string{"::", addr.String()} {
		var log journal
		server := echo.Server{Logger: slog.New(&log)}
		bound := n.ListenUDP(t, "udp6", netip.AddrPortFrom(netip.MustParseAddr(host), 0).String())
		run(t, &server, func() error { return server.ServePacket(bound) })
		asked := udpAddr(addr.String(), bound.LocalAddr())
		conn := soon(t, n.ListenUDP(t, "udp6", netip.AddrPortFrom(addr, 0).String()), nil)
		for range 3 {
			_, err := conn.WriteTo([]byte("ping"), asked)
			must(t, err)
			wantFrom(t, conn, "ping", asked)
		}
		ignored := int64(0)
		if host == "::" {
			marker := soon(t, n.ListenUDP(t, "udp6", netip.AddrPortFrom(addr, 0).String()), nil)
			wantSilenceBefore(t, marker, conn, udpAddr("ff02::1%lo", bound.LocalAddr()), asked)
			ignored = 1
		}
		shutDown(t, &server)
		if r := log.all()[0]; r["ignored"] != ignored {
			t.Errorf("logged %v, want %d ignored", r, ignored)
		}
	}
}

// wantSilence sends to an address and checks that there is no answer. The server
// answers in turn, so that after an answer to another peer, who asks at asked,
// there will be none.
func wantSilence(t *testing.T, conn *net.UDPConn, to, asked *net.UDPAddr) {
	t.Helper()
	wantSilenceBefore(t, bindUDP(t, "udp", "[::]:0"), conn, to, asked)
}

// wantSilenceBefore is that with the socket of the other peer.
func wantSilenceBefore(t *testing.T, marker, conn *net.UDPConn, to, asked *net.UDPAddr) {
	t.Helper()
	_, err := conn.WriteTo([]byte("loop"), to)
	must(t, err)
	_, err = marker.WriteTo([]byte("turn"), asked)
	must(t, err)
	wantPacketRead(t, marker, "turn")
	self := conn.LocalAddr().(*net.UDPAddr)
	_, err = marker.WriteTo([]byte("marker"), self)
	must(t, err)
	b := make([]byte, 100)
	n, from, err := conn.ReadFrom(b)
	if err != nil || string(b[:n]) != "marker" {
		t.Errorf("from %v to %v: read %q from %v, %v, want silence", self, to, b[:n], from, err)
	}
}

// The own port of another address may be another echo server.
func TestOwnPortIsNotAnswered(t *testing.T) {
	var log journal
	server := echo.Server{Logger: slog.New(&log)}
	addr := listenPacket(t, &server, "udp4", "127.0.0.1:0").(*net.UDPAddr)
	wantSilence(t, bindUDP(t, "udp4", udpAddr("127.0.0.2", addr).String()), addr, addr)
	shutDown(t, &server)
	if r := log.all()[0]; r["ignored"] != int64(1) || r["packets"] != int64(1) {
		t.Errorf("logged %v", r)
	}
}

// What was sent to a broadcast address may have been sent to many echo servers.
func TestBroadcastIsNotAnswered(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0"} {
		var server echo.Server
		addr := listenPacket(t, &server, "udp", address)
		conn := bindUDP(t, "udp4", "127.0.0.1:0")
		wantSilence(t, conn, udpAddr("127.255.255.255", addr), udpAddr("127.0.0.1", addr))
	}
}

// Nor is what was sent to a group that the socket has joined.
func TestMulticastIsNotAnswered(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	must(t, err)
	free := bindUDP(t, "udp4", "0.0.0.0:0")
	group := udpAddr("239.255.43.21", free.LocalAddr())
	must(t, free.Close())
	pc, err := net.ListenMulticastUDP("udp4", lo, group)
	must(t, err)
	var log journal
	server := echo.Server{Logger: slog.New(&log)}
	run(t, &server, func() error { return server.ServePacket(pc) })
	conn := bindUDP(t, "udp4", "127.0.0.1:0")
	wantSilence(t, conn, group, udpAddr("127.0.0.1", pc.LocalAddr()))
	shutDown(t, &server)
	if r := log.all()[0]; r["ignored"] != int64(1) {
		t.Errorf("logged %v, want the datagram to the group ignored", r)
	}
}

// Well-known ports are not answered: of the services there some answer to
// anything.
func TestRootWellKnownPorts(t *testing.T) {
	interop.Root(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		var server echo.Server
		addr := listenPacket(t, &server, "udp", "[::]:0")
		asked := udpAddr(host, addr)
		for _, tt := range []struct {
			port     uint16
			answered bool
		}{{7, false}, {19, false}, {1023, false}, {1024, true}} {
			conn, err := net.ListenPacket("udp", netip.AddrPortFrom(netip.MustParseAddr(host), tt.port).String())
			if err != nil {
				t.Logf("port %d of %s is in use: %v", tt.port, host, err)
				continue
			}
			soon(t, conn, nil)
			if !tt.answered {
				wantSilence(t, conn.(*net.UDPConn), asked, asked)
				continue
			}
			_, err = conn.WriteTo([]byte("ping"), asked)
			must(t, err)
			wantFrom(t, conn, "ping", asked)
		}
	}
}

// forge sends a datagram to one address as if it came from another.
func forge(t *testing.T, from, to *net.UDPAddr, message string) {
	t.Helper()
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	must(t, err)
	defer unix.Close(raw)
	length := 28 + len(message)
	b := []byte{
		0x45, 0, byte(length >> 8), byte(length), 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		byte(from.Port >> 8), byte(from.Port), byte(to.Port >> 8), byte(to.Port), byte((length - 20) >> 8), byte(length - 20), 0, 0,
	}
	copy(b[12:], from.IP.To4())
	copy(b[16:], to.IP.To4())
	sockaddr := &unix.SockaddrInet4{Addr: [4]byte(to.IP.To4())}
	must(t, unix.Sendto(raw, append(b, message...), 0, sockaddr))
}

// One datagram with a forged source would set two echo servers of one port against
// each other for ever (CVE-2024-2169).
func TestRootTwoServers(t *testing.T) {
	interop.Root(t)
	var logs [2]journal
	var servers [2]echo.Server
	var addrs [2]*net.UDPAddr
	port := 0
	for i := range servers {
		servers[i].Logger = slog.New(&logs[i])
		host := "127.0.0." + strconv.Itoa(i+1)
		addrs[i] = listenPacket(t, &servers[i], "udp4", net.JoinHostPort(host, strconv.Itoa(port))).(*net.UDPAddr)
		port = addrs[i].Port
	}
	stranger := bindUDP(t, "udp4", "127.0.0.3:0")
	forge(t, stranger.LocalAddr().(*net.UDPAddr), addrs[0], "forging works")
	wantFrom(t, stranger, "forging works", addrs[0])

	forge(t, addrs[1], addrs[0], "loop")
	forge(t, addrs[0], addrs[1], "loop")
	for i := range servers {
		for range 10 { // a loop would go round in the meantime
			wantPacket(t, dialPacket(t, "udp4", addrs[i].String()), "turn")
		}
	}
	for i := range servers {
		shutDown(t, &servers[i])
		if r := logs[i].all()[0]; r["ignored"] != int64(1) || r["packets"] != int64(11-i) {
			t.Errorf("server %d logged %v, want one that it ignored", i, r)
		}
	}
}
