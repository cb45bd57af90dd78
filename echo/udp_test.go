package echo_test

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/echo"
)

// dialPacket connects a packet socket, with a deadline.
func dialPacket(t testing.TB, network, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.Dial(network, address)
	must(t, err)
	return soon(t, conn.(*net.UDPConn), nil)
}

// bindUDP makes a socket with an address of its own, with a deadline.
func bindUDP(t testing.TB, network, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenPacket(network, address)
	must(t, err)
	return soon(t, conn.(*net.UDPConn), nil)
}

// Datagrams of every size come back as they were, over both families.
func TestUDPSizes(t *testing.T) {
	for _, tt := range []struct{ network, address string }{
		{"udp4", "127.0.0.1:0"}, {"udp6", "[::1]:0"},
	} {
		t.Run(tt.network, func(t *testing.T) {
			var log journal
			server := echo.Server{Logger: slog.New(&log)}
			conn := dialPacket(t, "udp", listenPacket(t, &server, tt.network, tt.address).String())
			total := 0
			sizes := []int{0, 1, 1023, 1024, 1025, 1472, 1500, 16384, 65507}
			for _, n := range sizes {
				wantPacket(t, conn, string(pattern(n)))
				total += n
			}
			shutDown(t, &server)
			if r := log.all()[0]; r["packets"] != int64(len(sizes)) || r["bytes"] != int64(total) || r["dropped"] != int64(0) {
				t.Errorf("logged %v", r)
			}
		})
	}
}

// The largest that IPv6 carries is larger.
func TestLargestUDPOfIPv6(t *testing.T) {
	var server echo.Server
	conn := dialPacket(t, "udp", listenPacket(t, &server, "udp6", "[::1]:0").String())
	wantPacket(t, conn, string(pattern(65527)))
}

// A thousand datagrams of mixed sizes from several peers go back to the peer that
// sent them, each as it was.
func TestManyUDPPeers(t *testing.T) {
	const peers, each, window = 5, 200, 16
	var server echo.Server
	addr := listenAndServe(t, &server, "udp", "127.0.0.1:0")
	sizes := []int{8, 8, 8, 100, 1472, 1472, 1472, 20, 9000, 11}
	all := pattern(9000)
	var clients sync.WaitGroup
	for peer := range peers {
		conn := dialPacket(t, "udp", addr.String())
		message := func(i int) []byte {
			b := bytes.Clone(all[:sizes[(peer+i)%len(sizes)]])
			binary.BigEndian.PutUint32(b, uint32(peer))
			binary.BigEndian.PutUint32(b[4:], uint32(i))
			return b
		}
		clients.Go(func() {
			b := make([]byte, 10_000)
			for i := 0; i < each; {
				batch := min(window, each-i)
				for k := range batch {
					if _, err := conn.Write(message(i + k)); err != nil {
						t.Error(err)
						return
					}
				}
				for range batch {
					n, err := conn.Read(b)
					if err != nil || !bytes.Equal(b[:n], message(i)) {
						t.Errorf("peer %d: datagram %d is %d bytes %.20q, %v", peer, i, n, b[:n], err)
						return
					}
					i++
				}
			}
		})
	}
	clients.Wait()
}

// A wildcard socket answers peers of both families.
func TestDualStack(t *testing.T) {
	var server echo.Server
	addr := listenPacket(t, &server, "udp", "[::]:0").(*net.UDPAddr)
	for _, host := range []string{"127.0.0.1", "::1"} {
		to := &net.UDPAddr{IP: net.ParseIP(host), Port: addr.Port}
		wantPacket(t, dialPacket(t, "udp", to.String()), "to "+host)
	}
}

// A peer that is gone costs the others nothing.
func TestUDPPeerThatIsGone(t *testing.T) {
	var server echo.Server
	addr := listenPacket(t, &server, "udp", "127.0.0.1:0")
	other := dialPacket(t, "udp", addr.String())
	for range 20 {
		gone := dialPacket(t, "udp", addr.String())
		_, err := gone.Write([]byte("ping"))
		must(t, err)
		must(t, gone.Close())
		wantPacket(t, other, "still here")
	}
}

// A connected socket of the server is told that its peer is gone, and serves it
// when it is back.
func TestConnectedUDPServer(t *testing.T) {
	peer := bindUDP(t, "udp", "127.0.0.1:0")
	conn, err := net.Dial("udp", peer.LocalAddr().String())
	must(t, err)
	must(t, peer.Close())
	_, err = conn.Write([]byte("to nobody")) // what the next read learns
	must(t, err)
	peer = bindUDP(t, "udp", peer.LocalAddr().String())
	_, err = peer.WriteTo([]byte("back"), conn.LocalAddr())
	must(t, err)
	var server echo.Server
	run(t, &server, func() error { return server.ServePacket(conn.(*net.UDPConn)) })
	wantFrom(t, peer, "back", conn.LocalAddr())
}

// Shutdown ends a socket that nobody writes to, and answers none after that.
func TestShutdownOfUDP(t *testing.T) {
	var server echo.Server
	addr := listenPacket(t, &server, "udp", "127.0.0.1:0")
	wantPacket(t, dialPacket(t, "udp", addr.String()), "ping")
	begin := time.Now()
	shutDown(t, &server)
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("Shutdown took %v", took)
	}
	bindUDP(t, "udp", addr.String()) // it is free
}

// A socket that is bound to one address of this host receives what was sent there
// and nothing else. Any other may receive broadcasts, and has to ask.
func TestIsOwn(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.2": true, "::1": true, "::ffff:127.0.0.1": true,
		"0.0.0.0": false, "::": false, "127.255.255.255": false, "255.255.255.255": false,
		"224.0.0.1": false, "ff02::1": false, "192.0.2.1": false, "2001:db8::1": false,
	} {
		if got := echo.IsOwn(&net.UDPAddr{IP: net.ParseIP(host)}); got != want {
			t.Errorf("isOwn(%s) = %v", host, got)
		}
	}
	if echo.IsOwn(nil) || echo.IsOwn(&net.UnixAddr{Name: "127.0.0.1"}) {
		t.Error("what is not of UDP is taken for an address of this host")
	}
	addrs, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range addrs {
		own := a.(*net.IPNet).IP
		if !echo.IsOwn(&net.UDPAddr{IP: own, Zone: "1"}) {
			t.Errorf("isOwn(%v) = false", own)
		}
	}
}
