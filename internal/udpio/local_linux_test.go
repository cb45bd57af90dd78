package udpio_test

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/netns"
	"github.com/netparts/netparts/internal/udpio"
)

// A socket of all addresses answers from the one that it was asked at.
func TestLocal(t *testing.T) {
	tests := []struct{ name, network, address, asked string }{
		{"IPv4", "udp4", "0.0.0.0:0", "127.0.0.1"},
		{"second IPv4", "udp4", "0.0.0.0:0", "127.0.0.2"},
		{"dual-stack", "udp", "[::]:0", "127.0.0.1"},
		{"dual-stack, second", "udp", "[::]:0", "127.0.0.2"},
		{"dual-stack, IPv6", "udp", "[::]:0", "::1"},
		{"IPv6", "udp6", "[::]:0", "::1"},
	}
	for _, tt := range tests {
		for _, batch := range []int{1, 4} {
			t.Run(tt.name+"/"+strconv.Itoa(batch), func(t *testing.T) {
				server := listen(t, tt.network, tt.address)
				asked := netip.MustParseAddr(tt.asked)
				client := listen(t, "udp", netip.AddrPortFrom(asked, 0).String())
				r := udpio.NewReader(server, udpio.Config{Size: 100, Batch: batch, Local: true})
				defer r.Release()
				to := netip.AddrPortFrom(asked, addrPort(server).Port())
				must(t, udpio.NewWriter(client).Write([]byte("question"), 8, to, netip.Addr{}))
				p := read(t, r, 1)[0]
				if p.Local != asked || p.Broadcast || p.Peer != addrPort(client) {
					t.Errorf("Packet %+v, want one to %v from %v", p, asked, addrPort(client))
				}
				// One datagram, and several that the kernel splits.
				w, back := udpio.NewWriter(server), udpio.NewReader(client, udpio.Config{Size: 100})
				defer back.Release()
				for _, n := range []int{100, 1000} {
					must(t, w.Write(pattern(n), 100, p.Peer, p.Local))
					for _, answer := range read(t, back, n/100) {
						if answer.Peer != to {
							t.Errorf("answer from %v, want %v", answer.Peer, to)
						}
					}
				}
			})
		}
	}
}

func TestSourceOfAnotherFamily(t *testing.T) {
	c := loopback(t)
	err := udpio.NewWriter(c).Write(nil, 1, addrPort(c), netip.IPv6Loopback())
	if _, ok := errors.AsType[*net.AddrError](err); !ok {
		t.Errorf("Write = %v, want an error of the address", err)
	}
}

// What is not asked for is not told.
func TestLocalNotAskedFor(t *testing.T) {
	c := loopback(t)
	r := udpio.NewReader(c, udpio.Config{Size: 100, Coalesce: true})
	defer r.Release()
	must(t, udpio.NewWriter(c).Write(nil, 1, addrPort(c), netip.Addr{}))
	if p := read(t, r, 1)[0]; p.Local.IsValid() {
		t.Errorf("Local is %v", p.Local)
	}
}

func TestBroadcast(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0"} {
		server, client := listen(t, "udp", address), loopback(t)
		r := udpio.NewReader(server, udpio.Config{Size: 100, Local: true})
		defer r.Release()
		to := netip.AddrPortFrom(netip.MustParseAddr("127.255.255.255"), addrPort(server).Port())
		must(t, udpio.NewWriter(client).Write(nil, 1, to, netip.Addr{}))
		p := read(t, r, 1)[0]
		if !p.Broadcast || !p.Local.Is4() || !p.Local.IsLoopback() || p.Local == to.Addr() {
			t.Errorf("at %s: %+v, want a broadcast to answer from an address of the loopback", address, p)
		}
		// That address can be answered from.
		must(t, udpio.NewWriter(server).Write(nil, 1, p.Peer, p.Local))
	}
}

// A link-local address belongs to an interface, which the packet tells.
func TestRootZones(t *testing.T) {
	n := netns.New(t)
	named := netns.LinkLocal
	numbered := named.WithZone("1") // lo
	server := n.ListenUDP(t, "udp6", "[::]:0")
	client := n.ListenUDP(t, "udp6", netip.AddrPortFrom(named, 0).String())
	for _, c := range []*net.UDPConn{server, client} {
		must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	}
	r := udpio.NewReader(server, udpio.Config{Size: 100, Local: true})
	defer r.Release()
	back := udpio.NewReader(client, udpio.Config{Size: 100})
	defer back.Release()
	for _, to := range []netip.Addr{numbered, named} {
		must(t, udpio.NewWriter(client).Write(nil, 1, netip.AddrPortFrom(to, addrPort(server).Port()), netip.Addr{}))
		p := read(t, r, 1)[0]
		if p.Peer != netip.AddrPortFrom(numbered, addrPort(client).Port()) || p.Local != numbered || p.Broadcast {
			t.Errorf("to %v: %+v, want one of and to %v", to, p, numbered)
		}
		w := udpio.NewWriter(server)
		for range 2 {
			must(t, w.Write(nil, 1, p.Peer, p.Local))
			if p := read(t, back, 1)[0]; p.Peer.Addr() != numbered {
				t.Errorf("answer from %v", p.Peer)
			}
		}
		// And to all of the link, which is this host too.
		all := netip.AddrPortFrom(netip.MustParseAddr("ff02::1%lo"), addrPort(server).Port())
		must(t, udpio.NewWriter(client).Write(nil, 1, all, to))
		if p := read(t, r, 1)[0]; !p.Broadcast || p.Local.IsValid() {
			t.Errorf("to %v: %+v, want a broadcast with no address to answer from", all, p)
		}
	}
}
