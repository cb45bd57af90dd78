package udpio_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/internal/udpio"
)

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// readBuffer is enough for every test. Where a test may not have that much, it
// has what is usual.
const readBuffer = 8 << 20

// listen opens a socket that is closed after the test and reads for no longer
// than 10 seconds.
func listen(tb testing.TB, network, address string) *net.UDPConn {
	tb.Helper()
	c, err := net.ListenPacket(network, address)
	must(tb, err)
	tb.Cleanup(func() {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			tb.Error(err)
		}
	})
	must(tb, c.SetDeadline(time.Now().Add(10*time.Second)))
	udpio.SetReadBuffer(c, readBuffer)
	return c.(*net.UDPConn)
}

// loopback opens a socket of 127.0.0.1.
func loopback(tb testing.TB) *net.UDPConn {
	tb.Helper()
	return listen(tb, "udp4", "127.0.0.1:0")
}

func addrPort(c net.PacketConn) netip.AddrPort {
	ap := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// read returns the next n datagrams, with Data that stays.
func read(tb testing.TB, r *udpio.Reader, n int) []udpio.Packet {
	tb.Helper()
	var got []udpio.Packet
	for len(got) < n {
		p, ok := r.Next()
		if !ok {
			if err := r.Read(); err != nil {
				tb.Fatalf("after %d of %d datagrams: %v", len(got), n, err)
			}
			continue
		}
		p.Data = bytes.Clone(p.Data)
		got = append(got, p)
	}
	return got
}

// write sends what is to be there, and an end that shows that nothing else is.
func write(tb testing.TB, w *udpio.Writer, b []byte, size int, to netip.AddrPort) {
	tb.Helper()
	must(tb, w.Write(b, size, to, netip.Addr{}))
	must(tb, w.Write([]byte("end"), 3, to, netip.Addr{}))
}

// readWhole reads b in datagrams of size bytes, each once and in order, and the
// end that write sends.
func readWhole(tb testing.TB, r *udpio.Reader, b []byte, size int, from netip.AddrPort) {
	tb.Helper()
	n := max((len(b)+size-1)/size, 1)
	got := read(tb, r, n+1)
	for i, p := range got[:n] {
		want := b[min(i*size, len(b)):min((i+1)*size, len(b))]
		if !bytes.Equal(p.Data, want) {
			tb.Fatalf("datagram %d of %d has %d bytes: %.20x, want %d: %.20x", i, n, len(p.Data), p.Data, len(want), want)
		}
		if p.Cut || p.Broadcast || p.Peer != from {
			tb.Fatalf("datagram %d = %+v, want one from %v", i, p, from)
		}
	}
	if string(got[n].Data) != "end" {
		tb.Fatalf("datagram %d is %.20x, want the end", n, got[n].Data)
	}
	if r.Buffered() {
		tb.Error("there are datagrams after the end")
	}
}

// numbers is text that does not repeat within any datagram.
var numbers = func() []byte {
	var b []byte
	for i := 0; len(b) < 4<<20; i++ {
		b = append(strconv.AppendInt(b, int64(i), 10), ',')
	}
	return b
}()

// pattern returns the first n bytes of numbers, with no room to append.
func pattern(n int) []byte { return numbers[:n:n] }

func TestFamilies(t *testing.T) {
	tests := []struct {
		name, network, server, client, peer string
	}{
		{"IPv4", "udp4", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6", "udp6", "[::1]:0", "[::1]:0", "::1"},
		{"IPv4 to dual-stack", "udp", "[::]:0", "127.0.0.1:0", "127.0.0.1"},
		{"IPv6 to dual-stack", "udp", "[::]:0", "[::1]:0", "::1"},
	}
	for _, tt := range tests {
		for _, cfg := range []udpio.Config{
			{Size: 512},
			{Size: 512, Batch: 8},
			{Size: 512, Local: true},
			{Size: 512, Coalesce: true},
			{Size: 512, Batch: 8, Local: true, Coalesce: true},
		} {
			t.Run(fmt.Sprintf("%s/%+v", tt.name, cfg), func(t *testing.T) {
				server, client := listen(t, tt.network, tt.server), listen(t, "udp", tt.client)
				peer := netip.MustParseAddr(tt.peer)
				to := netip.AddrPortFrom(peer, addrPort(server).Port())
				r := udpio.NewReader(server, cfg)
				defer r.Release()
				b := pattern(10*512 + 17)
				write(t, udpio.NewWriter(client), b, 512, to)
				readWhole(t, r, b, 512, addrPort(client))

				// And back, from a socket that is dual-stack perhaps.
				back := udpio.NewReader(client, cfg)
				defer back.Release()
				write(t, udpio.NewWriter(server), b, 512, addrPort(client))
				readWhole(t, back, b, 512, to)
			})
		}
	}
}

func TestConnected(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		server := listen(t, "udp", address)
		client, err := net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
		must(t, err)
		defer client.Close()
		r := udpio.NewReader(server, udpio.Config{Size: 100, Batch: 8})
		defer r.Release()
		w := udpio.NewWriter(client)
		for _, n := range []int{0, 100, 1000} {
			write(t, w, pattern(n), 100, addrPort(server))
			readWhole(t, r, pattern(n), 100, addrPort(client))
		}
	}
}

func TestEmptyDatagram(t *testing.T) {
	for _, batch := range []int{1, 4} {
		server, client := loopback(t), loopback(t)
		r := udpio.NewReader(server, udpio.Config{Size: 512, Batch: batch, Coalesce: true})
		defer r.Release()
		w := udpio.NewWriter(client)
		write(t, w, nil, 512, addrPort(server))
		readWhole(t, r, nil, 512, addrPort(client))
		write(t, w, []byte{}, 0, addrPort(server))
		readWhole(t, r, nil, 1, addrPort(client))
	}
}

func TestCut(t *testing.T) {
	tests := []struct {
		size, sent int
		cut        bool
	}{
		{100, 99, false},
		{100, 100, false},
		{100, 101, true},
		{512, 512, false},
		{512, 513, true},
		{512, 9000, true},
		{0, 0, false},
		{0, 1, true},
		{-1, 1, true},
		{9000, 9000, false},
		{1 << 30, 9000, false},
	}
	for _, tt := range tests {
		for _, batch := range []int{0, 1, 4} {
			for _, cfg := range []udpio.Config{{}, {Local: true}, {Coalesce: true}} {
				cfg.Size, cfg.Batch = tt.size, batch
				server, client := loopback(t), loopback(t)
				r := udpio.NewReader(server, cfg)
				defer r.Release()
				b := pattern(tt.sent)
				w := udpio.NewWriter(client)
				write(t, w, b, len(b), addrPort(server))
				want := b[:min(max(tt.size, 0), len(b))]
				if p := read(t, r, 1)[0]; !bytes.Equal(p.Data, want) || p.Cut != tt.cut {
					t.Errorf("%+v: datagram of %d is one of %d, Cut %t, want %d, %t", cfg, tt.sent, len(p.Data), p.Cut, len(want), tt.cut)
				}
				if p := read(t, r, 1)[0]; len(p.Data) != min(3, max(tt.size, 0)) {
					t.Errorf("%+v: then %q, want the end", cfg, p.Data)
				}
			}
		}
	}
}

func TestDeadline(t *testing.T) {
	c := loopback(t)
	for _, batch := range []int{1, 4} {
		r := udpio.NewReader(c, udpio.Config{Size: 512, Batch: batch})
		must(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
		for range 2 { // one that waits and one that is late
			err := r.Read()
			e, ok := errors.AsType[*net.OpError](err)
			if !errors.Is(err, os.ErrDeadlineExceeded) || !ok || !e.Timeout() || e.Op != "read" {
				t.Errorf("Read = %v, want a time-out", err)
			}
			if p, ok := r.Next(); ok || r.Buffered() {
				t.Errorf("then there is %+v", p)
			}
		}
		must(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		write(t, udpio.NewWriter(c), []byte("after"), 5, addrPort(c))
		readWhole(t, r, []byte("after"), 5, addrPort(c))
		r.Release()
	}
}

func TestCloseWhileReading(t *testing.T) {
	for _, batch := range []int{1, 4} {
		c := loopback(t)
		r := udpio.NewReader(c, udpio.Config{Size: 512, Batch: batch, Local: true})
		done := make(chan error, 1)
		go func() { done <- r.Read() }()
		must(t, c.Close())
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read = %v, want %v", err, net.ErrClosed)
		}
		if err := r.Read(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read of a closed connection = %v, want %v", err, net.ErrClosed)
		}
		if err := udpio.NewWriter(c).Write(nil, 1, addrPort(c), netip.Addr{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write to a closed connection = %v, want %v", err, net.ErrClosed)
		}
		if n := udpio.SetReadBuffer(c, 1<<20); n != 0 {
			t.Errorf("SetReadBuffer of a closed connection = %d, want 0", n)
		}
	}
}

func TestReaderOfClosedConn(t *testing.T) {
	c := loopback(t)
	must(t, c.Close())
	r := udpio.NewReader(c, udpio.Config{Size: 512, Local: true, Coalesce: true})
	if err := r.Read(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read = %v, want %v", err, net.ErrClosed)
	}
}

// A Read keeps what Next has not handed out, and Release drops it.
func TestReadAndReleaseWhileBuffered(t *testing.T) {
	server, client := loopback(t), loopback(t)
	w := udpio.NewWriter(client)
	b := pattern(4 * 100)
	write(t, w, b, 100, addrPort(server))
	r := udpio.NewReader(server, udpio.Config{Size: 100, Batch: 8, Coalesce: true})
	must(t, r.Read())
	for range 5 {
		must(t, r.Read())
		if !r.Buffered() {
			t.Fatal("not Buffered after Read")
		}
		read(t, r, 1)
	}
	write(t, w, b, 100, addrPort(server))
	must(t, r.Read())
	r.Release()
	if p, ok := r.Next(); ok || r.Buffered() {
		t.Errorf("after Release there is %+v", p)
	}
	r.Release()
}

func TestBadDestination(t *testing.T) {
	c := loopback(t)
	w := udpio.NewWriter(c)
	tests := []struct {
		name     string
		to, from string
		size     int
	}{
		{"none", "", "", 100},
		{"of another family", "[::1]:9", "", 100},
		{"no such zone", "[fe80::1%no-such-zone]:9", "", 100},
		{"port 0", "127.0.0.1:0", "", 100},
		{"too long", "127.0.0.1:9", "", 65508},
	}
	for _, tt := range tests {
		var to netip.AddrPort
		if tt.to != "" {
			to = netip.MustParseAddrPort(tt.to)
		}
		err := w.Write(pattern(2*tt.size), tt.size, to, netip.Addr{})
		if e, ok := errors.AsType[*net.OpError](err); !ok || e.Op != "write" {
			t.Errorf("%s: Write = %v, want an error", tt.name, err)
		}
	}
	// None of that changes what else is sent.
	b := pattern(1000)
	write(t, w, b, 100, addrPort(c))
	r := udpio.NewReader(c, udpio.Config{Size: 100, Batch: 4})
	defer r.Release()
	readWhole(t, r, b, 100, addrPort(c))
}

func TestSetReadBuffer(t *testing.T) {
	c := loopback(t)
	if n := udpio.SetReadBuffer(c, 64<<10); n < 64<<10 {
		t.Errorf("SetReadBuffer(64 KiB) = %d", n)
	}
	if n := udpio.SetReadBuffer(new(memnet.PacketConn), 64<<10); n != 0 {
		t.Errorf("SetReadBuffer of another connection = %d, want 0", n)
	}
}

// In a bubble nothing but what is in memory may block, so this also shows that
// there is no waiting besides that of the connection.
func TestOtherConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network memnet.Network
		server, err := network.ListenPacket("udp", "192.0.2.1:69")
		must(t, err)
		defer server.Close()
		client, err := network.ListenPacket("udp", "[2001:db8::1]:1000")
		must(t, err)
		defer client.Close()
		r := udpio.NewReader(server, udpio.Config{Size: 512, Batch: 8, Local: true, Coalesce: true})
		defer r.Release()
		b := pattern(10*512 + 17)
		write(t, udpio.NewWriter(client), b, 512, addrPort(server))
		readWhole(t, r, b, 512, addrPort(client))
		write(t, udpio.NewWriter(client), nil, 512, addrPort(server))
		readWhole(t, r, nil, 512, addrPort(client))
		write(t, udpio.NewWriter(client), pattern(513), 513, addrPort(server))
		if p := read(t, r, 1)[0]; !p.Cut || len(p.Data) != 512 {
			t.Errorf("513 bytes are %d, Cut %t", len(p.Data), p.Cut)
		}
		read(t, r, 1)

		start := time.Now()
		must(t, server.SetReadDeadline(start.Add(time.Minute)))
		if err := r.Read(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("after %v Read = %v", time.Since(start), err)
		}
		must(t, server.SetReadDeadline(time.Time{}))
		time.AfterFunc(time.Minute, func() { server.Close() })
		if err := r.Read(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read = %v, want %v", err, net.ErrClosed)
		}
	})
}

// named is a connection whose peers have an address of another kind.
type named struct {
	net.PacketConn
	name string
}

func (n named) ReadFrom(b []byte) (int, net.Addr, error) {
	if n.name == "" {
		return copy(b, "data"), nil, nil
	}
	return copy(b, "data"), &net.UnixAddr{Name: n.name, Net: "unixgram"}, nil
}

func TestOtherAddresses(t *testing.T) {
	for name, want := range map[string]netip.AddrPort{
		"":                       {},
		"/run/x":                 {},
		"192.0.2.1:69":           netip.MustParseAddrPort("192.0.2.1:69"),
		"[::ffff:192.0.2.1]:69":  netip.MustParseAddrPort("192.0.2.1:69"),
		"[2001:db8::1%eth0]:900": netip.MustParseAddrPort("[2001:db8::1%eth0]:900"),
	} {
		r := udpio.NewReader(named{name: name}, udpio.Config{Size: 4})
		if p := read(t, r, 1)[0]; p.Peer != want || string(p.Data) != "data" {
			t.Errorf("peer %q = %+v, want %v", name, p, want)
		}
	}
}

// full is a connection that refuses every other datagram.
type full struct {
	net.PacketConn
	err  error
	sent []string
}

func (f *full) WriteTo(b []byte, _ net.Addr) (int, error) {
	f.sent = append(f.sent, string(b))
	if len(f.sent)%2 == 0 {
		return 0, &net.OpError{Op: "write", Err: f.err}
	}
	return len(b), nil
}

// A full queue loses what it refuses. Any other error ends the Write.
func TestOtherConnFails(t *testing.T) {
	to := netip.MustParseAddrPort("192.0.2.1:69")
	c := &full{err: os.NewSyscallError("sendto", syscall.ENOBUFS)}
	must(t, udpio.NewWriter(c).Write([]byte("abcde"), 1, to, netip.Addr{}))
	if got := fmt.Sprint(c.sent); got != "[a b c d e]" {
		t.Errorf("sent %s", got)
	}
	c = &full{err: net.ErrClosed}
	err := udpio.NewWriter(c).Write([]byte("abcde"), 1, to, netip.Addr{})
	if got := fmt.Sprint(c.sent); got != "[a b]" || !errors.Is(err, net.ErrClosed) {
		t.Errorf("sent %s with error %v", got, err)
	}
}
