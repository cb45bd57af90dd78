package proxy_test

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/leak"
	"github.com/netparts/netparts/proxy"
)

// packetAt is a host at the port of an address.
func packetAt(host string, port net.Addr) *net.UDPAddr {
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), uint16(port.(*net.UDPAddr).Port)))
}

// Answers leave from the address that was asked, of which a wildcard socket has many,
// and each of them is a session.
func TestPacketAskedAddress(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0"} {
		s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
		addr := packetServe(t, s, packetListenAt(t, "udp", address))
		client := packetListen(t, "udp4")
		for range 2 {
			for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"} {
				for _, n := range []int{0, 100, 65507} {
					packetWantEcho(t, client, packetAt(host, addr), string(random(n)))
				}
			}
		}
		if got := s.Stats(); got.Active != 3 {
			t.Errorf("at %s: Stats = %+v, want 3 sessions", address, got)
		}
	}
}

// What was sent to a broadcast address or a group has no session.
func TestPacketBroadcast(t *testing.T) {
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	addr := packetServe(t, s, packetListenAt(t, "udp4", "0.0.0.0:0"))
	client := packetListen(t, "udp4")
	packetWantEcho(t, client, packetAt("127.0.0.1", addr), "it serves")
	packetSend(t, client, packetAt("127.255.255.255", addr), "to all")
	packetWantEcho(t, client, packetAt("127.0.0.1", addr), "to one")
	if got := s.Stats(); got.Dropped != 1 || got.Total != 1 {
		t.Errorf("Stats = %+v", got)
	}

	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	free := packetListen(t, "udp4")
	free.Close()
	group := packetAt("239.255.43.22", free.LocalAddr())
	pc, err := net.ListenMulticastUDP("udp4", lo, group)
	if err != nil {
		t.Fatal(err)
	}
	s = &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	addr = packetServe(t, s, pc)
	packetWantEcho(t, client, packetAt("127.0.0.1", addr), "it serves")
	packetSend(t, client, group, "to the group")
	packetWantEcho(t, client, packetAt("127.0.0.1", addr), "to one")
	if got := s.Stats(); got.Dropped != 1 || got.Total != 1 {
		t.Errorf("Stats = %+v", got)
	}
}

// A wildcard socket stands for all addresses of this host: what is forged to come from
// another of them would be answered to it.
func TestPacketFromAnotherOwnAddress(t *testing.T) {
	pc := packetListenAt(t, "udp4", "0.0.0.0:0")
	packetSend(t, pc, packetAt("127.0.0.1", pc.LocalAddr()), "from 127.0.0.1 or another")
	packetSend(t, pc, packetAt("127.0.0.2", pc.LocalAddr()), "from 127.0.0.1 or another")
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	addr := packetServe(t, s, pc)
	packetWantEcho(t, packetListen(t, "udp4"), packetAt("127.0.0.1", addr), "ping")
	if got := s.Stats(); got.Dropped != 2 || got.Total != 1 {
		t.Errorf("Stats = %+v", got)
	}
}

// packetDescriptors returns how many descriptors this process has open.
func packetDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// A thousand sessions leave no descriptor and no goroutine behind.
func TestPacketChurn(t *testing.T) {
	// Answers come too late, and are not to reach who has the port by then.
	leaving := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	for _, upstream := range []string{"udp4", "unixgram"} {
		s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, upstream)), IdleTimeout: 50 * time.Millisecond}
		addr := packetServe(t, s, packetListen(t, "udp4"))
		descriptors, goroutines := packetDescriptors(t), runtime.NumGoroutine()
		for s.Stats().Total < 1000 { // a port may be that of a session
			client, err := leaving.Dial("udp4", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := client.Write([]byte("ping")); err != nil {
				t.Fatal(err)
			}
			client.Close()
		}
		packetUntil(t, "all have ended", func() bool { return s.Stats().Active == 0 })
		packetUntil(t, "their goroutines have", func() bool { return runtime.NumGoroutine() <= goroutines })
		if now := packetDescriptors(t); now > descriptors {
			t.Errorf("%d descriptors, before %d", now, descriptors)
		}
	}
}

// A session that is idle holds no buffer, whatever has passed.
func TestPacketIdleMemory(t *testing.T) {
	const sessions = 200
	for _, upstream := range []string{"udp4", "unixgram"} {
		s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, upstream))}
		addr := packetServe(t, s, packetListen(t, "udp4"))
		clients := make([]net.PacketConn, sessions)
		for i := range clients {
			clients[i] = packetListen(t, "udp4")
		}
		large := string(random(60_000))
		packetWantEcho(t, packetListen(t, "udp4"), addr, large)
		before, _ := leak.InUse()
		for _, client := range clients {
			packetWantEcho(t, client, addr, large)
		}
		after, _ := leak.InUse()
		if each := (after - before) / sessions; each > 8<<10 {
			t.Errorf("%s: %d bytes of heap for each session", upstream, each)
		} else {
			t.Logf("%s: %d bytes of heap for each session", upstream, each)
		}
	}
}
