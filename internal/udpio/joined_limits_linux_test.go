package udpio_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/netns"
	"github.com/netparts/netparts/internal/udpio"
)

// What one message can hold is a matter of the family, also where addresses of one are
// written as those of the other: each of these is as much as fits, one more, and one less.
func TestDatagramsInARowAtTheLimits(t *testing.T) {
	for _, family := range []struct{ name, network, server, client, to string }{
		{"IPv4", "udp4", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "udp6", "[::1]:0", "[::1]:0", "::1"},
		{"dual-stack to IPv4", "udp", "[::]:0", "127.0.0.1:0", "127.0.0.1"},
		{"dual-stack to mapped IPv4", "udp", "[::]:0", "127.0.0.1:0", "::ffff:127.0.0.1"},
	} {
		t.Run(family.name, func(t *testing.T) {
			server := listen(t, family.network, family.server)
			w := udpio.NewWriter(server)
			for _, sizes := range [][]int{
				same(63, 20), same(64, 20), same(65, 20), same(128, 20), same(129, 20), // segments
				same(13, 5039), same(14, 5039), // 65507 bytes
				same(19, 3448), same(20, 3448), same(64, 1023), same(64, 1024), // 65512, 65472 and 65536
				append(same(63, 1024), 995), append(same(63, 1024), 996), // 65507 and 65508
				{32753, 32754}, {32754, 32753}, {32754, 32754}, // 65507, with one that grows
				{65507}, {65507, 1}, {1, 65507, 1},
			} {
				client := listen(t, family.network, family.client)
				r := udpio.NewReader(client, udpio.Config{Size: 65507, Batch: 4, Coalesce: true})
				ms := to(netip.AddrPortFrom(netip.MustParseAddr(family.to), addrPort(client).Port()), sizes...)
				must(t, w.WriteAll(ms))
				wantMessages(t, r, ms)
				r.Release()
			}
			if w.Whole() != 0 {
				t.Errorf("not split from %d bytes on", w.Whole())
			}
		})
	}
}

// A kernel that knows nothing of UDP_SEGMENT would send what is joined as one datagram,
// and so it is not asked to.
func TestDatagramsInARowWithoutSegments(t *testing.T) {
	defer udpio.KernelSegments(0)
	udpio.KernelSegments(-1)
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(client, udpio.Config{Size: 65507, Batch: 4})
	defer r.Release()
	ms := to(addrPort(client), same(130, 100)...)
	must(t, udpio.NewWriter(server).WriteAll(ms))
	wantMessages(t, r, ms)
}

// Where there are no batches of messages they go one at a time.
func TestDatagramsInARowOneAtATime(t *testing.T) {
	server, client := loopback(t), loopback(t)
	r, w := udpio.NewReader(client, udpio.Config{Size: 1000}), udpio.NewWriter(server)
	udpio.OneAtATime(r, w)
	ms := to(addrPort(client), 100, 100, 40, 0, 100, 100)
	must(t, w.WriteAll(ms))
	wantMessages(t, r, ms)
}

// Those that leave from several addresses, and go to addresses of several links, are told
// apart by their zones as well.
func TestRootDatagramsInARowWithZones(t *testing.T) {
	n := netns.New(t)
	named, numbered := netns.LinkLocal.WithZone("lo"), netns.LinkLocal.WithZone("1")
	server := n.ListenUDP(t, "udp6", "[::]:0")
	client := n.ListenUDP(t, "udp6", "[::]:0")
	must(t, server.SetDeadline(time.Now().Add(10*time.Second)))
	must(t, client.SetDeadline(time.Now().Add(10*time.Second)))
	r := udpio.NewReader(client, udpio.Config{Size: 100, Batch: 8})
	defer r.Release()
	port := addrPort(client).Port()
	linkLocal, local := netip.AddrPortFrom(numbered, port), netip.AddrPortFrom(netip.IPv6Loopback(), port)
	var ms []udpio.Message
	var want []netip.Addr
	add := func(peer netip.AddrPort, from, seen netip.Addr, count int) {
		for _, m := range to(peer, same(count, 50)...) {
			m.From = from
			ms, want = append(ms, m), append(want, seen)
		}
	}
	add(linkLocal, numbered, numbered, 3)
	add(linkLocal, named, numbered, 2)
	add(netip.AddrPortFrom(named, port), numbered, numbered, 3)
	add(local, netip.IPv6Loopback(), netip.IPv6Loopback(), 3)
	add(linkLocal, netip.Addr{}, numbered, 2)
	add(netip.AddrPortFrom(netns.LinkLocal.WithZone("none such"), port), numbered, netip.Addr{}, 2)
	add(local, netip.IPv6Loopback(), netip.IPv6Loopback(), 2)
	if err := udpio.NewWriter(server).WriteAll(ms); err == nil {
		t.Error("a zone that there is not was no error")
	}
	for i, m := range ms {
		if (m.Err != nil) == want[i].IsValid() {
			t.Errorf("message %d from %v to %v: %v", i, m.From, m.To, m.Err)
		}
		if !want[i].IsValid() {
			continue
		}
		if p := read(t, r, 1)[0]; p.Peer.Addr() != want[i] || string(p.Data) != string(m.Data) {
			t.Errorf("message %d is %.20q from %v, want %.20q from %v", i, p.Data, p.Peer, m.Data, want[i])
		}
	}
}
