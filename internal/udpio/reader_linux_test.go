package udpio_test

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/udpio"
)

// A Reader that is about to wait gives back what it took to try.
func TestWaitingHoldsNothing(t *testing.T) {
	for _, cfg := range readers {
		c := loopback(t)
		r := udpio.NewReader(c, cfg)
		defer r.Release()
		for _, want := range []bool{false, true} {
			ready, holds, err := r.TryRead()
			must(t, err)
			if ready != want || holds != want {
				t.Errorf("%+v: ready %t and holds buffers %t, want %t", cfg, ready, holds, want)
			}
			must(t, udpio.NewWriter(c).Write(nil, 1, addrPort(c), netip.Addr{}))
		}
	}
}

// What other systems do with a socket.
func TestOneAtATime(t *testing.T) {
	server := loopback(t)
	for _, client := range []*net.UDPConn{loopback(t), dial(t, server)} {
		cfg := udpio.Config{Size: 100}
		r, w := udpio.NewReader(server, cfg), udpio.NewWriter(client)
		defer r.Release()
		udpio.OneAtATime(r, w)
		for _, n := range []int{0, 100, 1050} {
			write(t, w, pattern(n), 100, addrPort(server))
			readWhole(t, r, pattern(n), 100, addrPort(client))
		}
		must(t, w.Write(pattern(101), 101, addrPort(server), netip.Addr{}))
		if p := read(t, r, 1)[0]; !p.Cut || len(p.Data) != 100 {
			t.Errorf("101 bytes are %d, Cut %t", len(p.Data), p.Cut)
		}
	}
}

// Other destinations than the peer of a connected socket remain possible.
func TestConnectedElsewhere(t *testing.T) {
	peer, other := loopback(t), loopback(t)
	client := dial(t, peer)
	r := udpio.NewReader(other, udpio.Config{Size: 100, Batch: 8})
	defer r.Release()
	write(t, udpio.NewWriter(client), pattern(1000), 100, addrPort(other))
	readWhole(t, r, pattern(1000), 100, addrPort(client))
}

// That nobody listens is told to a connected socket, once.
func TestRefused(t *testing.T) {
	peer := loopback(t)
	client := dial(t, peer)
	must(t, peer.Close())
	w := udpio.NewWriter(client)
	for _, batch := range []int{1, 8} {
		must(t, w.Write(nil, 1, addrPort(peer), netip.Addr{}))
		r := udpio.NewReader(client, udpio.Config{Size: 100, Batch: batch})
		err := r.Read()
		e, ok := errors.AsType[*net.OpError](err)
		if !errors.Is(err, unix.ECONNREFUSED) || !ok || e.Op != "read" || e.Net != "udp" {
			t.Errorf("Read = %v, want %v", err, unix.ECONNREFUSED)
		}
	}
}

func dial(t *testing.T, peer net.PacketConn) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, peer.LocalAddr().(*net.UDPAddr))
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	return c
}

// message returns a control message as the kernel writes it.
func message(level, typ int32, data ...byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	word := unix.SizeofCmsghdr - 8
	if word == 8 {
		binary.NativeEndian.PutUint64(b, uint64(unix.CmsgLen(len(data))))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(unix.CmsgLen(len(data))))
	}
	binary.NativeEndian.PutUint32(b[word:], uint32(level))
	binary.NativeEndian.PutUint32(b[word+4:], uint32(typ))
	copy(b[unix.CmsgLen(0):], data)
	return b
}

// native returns a number of 4 bytes in this machine's order.
func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

func TestControl(t *testing.T) {
	info4 := func(from, to string) []byte {
		a, b := netip.MustParseAddr(from), netip.MustParseAddr(to)
		return message(unix.SOL_IP, unix.IP_PKTINFO, slices.Concat(native(1), a.AsSlice(), b.AsSlice())...)
	}
	info6 := func(to string) []byte {
		a := netip.MustParseAddr(to).As16()
		return message(unix.SOL_IPV6, unix.IPV6_PKTINFO, slices.Concat(a[:], native(7))...)
	}
	gro := func(n uint32) []byte { return message(unix.SOL_UDP, unix.UDP_GRO, native(n)...) }
	tests := []struct {
		name      string
		b         []byte
		local     string
		broadcast bool
		segment   int
	}{
		{"nothing", nil, "", false, 0},
		{"IPv4", info4("192.0.2.1", "192.0.2.1"), "192.0.2.1", false, 0},
		{"broadcast", info4("192.0.2.1", "192.0.2.255"), "192.0.2.1", true, 0},
		{"IPv4 multicast", info4("192.0.2.1", "224.0.0.1"), "192.0.2.1", true, 0},
		{"before it was asked for", info4("0.0.0.0", "192.0.2.1"), "192.0.2.1", false, 0},
		{"multicast before", info4("0.0.0.0", "224.0.0.1"), "", true, 0},
		{"broadcast before", info4("0.0.0.0", "255.255.255.255"), "", true, 0},
		{"IPv6", info6("2001:db8::1"), "2001:db8::1", false, 0},
		{"link-local", info6("fe80::1"), "fe80::1%7", false, 0},
		{"IPv6 multicast", info6("ff02::1"), "", true, 0},
		{"dual-stack", slices.Concat(info6("::ffff:192.0.2.255"), info4("192.0.2.1", "192.0.2.255")), "192.0.2.1", true, 0},
		{"run", gro(512), "", false, 512},
		{"run of no length", gro(0), "", false, 0},
		{"run of negative length", gro(1 << 31), "", false, 0},
		{"unknown first", slices.Concat(message(99, 99, 1, 2, 3), gro(512)), "", false, 512},
		{"cut short", gro(512)[:unix.CmsgLen(4)-1], "", false, 0},
		{"short run", message(unix.SOL_UDP, unix.UDP_GRO, 1, 2), "", false, 0},
		{"short IPv4", message(unix.SOL_IP, unix.IP_PKTINFO, 1, 2, 3, 4), "", false, 0},
		{"short IPv6", message(unix.SOL_IPV6, unix.IPV6_PKTINFO, 1, 2, 3, 4), "", false, 0},
	}
	for _, tt := range tests {
		var local netip.Addr
		if tt.local != "" {
			local = netip.MustParseAddr(tt.local)
		}
		p, segment := udpio.ParseControl(tt.b)
		if p.Local != local || p.Broadcast != tt.broadcast || segment != tt.segment {
			t.Errorf("%s: %v, Broadcast %t, segment %d, want %v, %t, %d", tt.name, p.Local, p.Broadcast, segment, local, tt.broadcast, tt.segment)
		}
	}
}

func FuzzControl(f *testing.F) {
	f.Add(message(unix.SOL_UDP, unix.UDP_GRO, native(512)...))            // a run
	f.Add(message(unix.SOL_IP, unix.IP_PKTINFO, make([]byte, 12)...))     // IPv4
	f.Add(message(unix.SOL_IPV6, unix.IPV6_PKTINFO, make([]byte, 20)...)) // IPv6
	f.Fuzz(func(t *testing.T, b []byte) {
		p, segment := udpio.ParseControl(slices.Clone(b))
		if segment < 0 {
			t.Errorf("segment %d", segment)
		}
		if p.Local.IsMulticast() && !p.Broadcast {
			t.Errorf("%+v", p)
		}
	})
}

func FuzzSockaddr(f *testing.F) {
	for _, s := range []string{"192.0.2.1:69", "[2001:db8::1]:69", "[::ffff:192.0.2.1]:1"} { // of each kind
		for _, inet6 := range []bool{false, true} {
			if b, err := udpio.EncodeSockaddr(netip.MustParseAddrPort(s), inet6); err == nil {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		ap := udpio.DecodeSockaddr(b)
		if !ap.IsValid() || ap.Addr().Zone() != "" {
			return
		}
		for _, inet6 := range []bool{false, true} {
			again, err := udpio.EncodeSockaddr(ap, inet6)
			if err != nil && (inet6 || ap.Addr().Is4()) {
				t.Errorf("%v: %v", ap, err)
			}
			if err == nil && udpio.DecodeSockaddr(again) != ap {
				t.Errorf("%v becomes %v", ap, udpio.DecodeSockaddr(again))
			}
		}
	})
}

// A Reader that holds its thread for a while reads as any other, and still notices
// the deadline and Close.
func TestHold(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	self := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	r := udpio.NewReader(conn, udpio.Config{Size: 4, Hold: time.Millisecond})
	w := udpio.NewWriter(conn)
	for range 100 {
		if err := w.Write([]byte("abcdef"), 3, self, netip.Addr{}); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"abc", "def"} {
			if err := r.Read(); err != nil {
				t.Fatal(err)
			}
			if p, ok := r.Next(); !ok || string(p.Data) != want || p.Peer != self || p.Cut {
				t.Fatalf("Next = %+v, %v, want %q", p, ok, want)
			}
		}
	}
	if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := r.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read: %v, want %v", err, os.ErrDeadlineExceeded)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	go conn.Close()
	if err := r.Read(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read: %v, want %v", err, net.ErrClosed)
	}
}
