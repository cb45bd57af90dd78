package udpio_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/udpio"
)

// forever gives a socket of a benchmark as long as a benchmark can take.
func forever(tb testing.TB, cs ...net.Conn) {
	tb.Helper()
	for _, c := range cs {
		must(tb, c.SetDeadline(time.Now().Add(10*time.Minute)))
	}
}

// answerer answers each datagram of a socket with 4 bytes, until it is closed.
func answerer(tb testing.TB, c *net.UDPConn, serve func() error) {
	tb.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for serve() == nil {
		}
	}()
	tb.Cleanup(func() {
		must(tb, c.Close())
		<-done
	})
}

// connected returns two sockets that are connected to each other.
func connected(tb testing.TB) (server, client *net.UDPConn) {
	tb.Helper()
	first := loopback(tb)
	dial := func(from, to net.Addr) *net.UDPConn {
		c, err := net.DialUDP("udp4", from.(*net.UDPAddr), to.(*net.UDPAddr))
		must(tb, err)
		return c
	}
	client = dial(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, first.LocalAddr())
	must(tb, first.Close())
	server = dial(first.LocalAddr(), client.LocalAddr())
	tb.Cleanup(func() { must(tb, client.Close()) })
	return server, client
}

// BenchmarkLockStep sends 512 bytes and waits for the 4 that answer them.
func BenchmarkLockStep(b *testing.B) {
	b.Run("udpio", func(b *testing.B) { lockStep(b, loopback(b), loopback(b)) })
	b.Run("udpio connected", func(b *testing.B) {
		server, client := connected(b)
		lockStep(b, server, client)
	})

	data, ack := pattern(512), []byte("ack!")
	b.Run("AddrPort", func(b *testing.B) {
		server, client := loopback(b), loopback(b)
		forever(b, server, client)
		in := make([]byte, 513)
		answerer(b, server, func() error {
			_, peer, err := server.ReadFromUDPAddrPort(in)
			if err != nil {
				return err
			}
			_, err = server.WriteToUDPAddrPort(ack, peer)
			return err
		})
		to, back := addrPort(server), make([]byte, 5)
		b.ReportAllocs()
		b.SetBytes(512)
		for b.Loop() {
			if _, err := client.WriteToUDPAddrPort(data, to); err != nil {
				b.Fatal(err)
			}
			if n, _, err := client.ReadFromUDPAddrPort(back); n != 4 {
				b.Fatal(err)
			}
		}
	})
	b.Run("Conn connected", func(b *testing.B) {
		server, client := connected(b)
		forever(b, server, client)
		in := make([]byte, 513)
		answerer(b, server, func() error {
			if _, err := server.Read(in); err != nil {
				return err
			}
			_, err := server.Write(ack)
			return err
		})
		back := make([]byte, 5)
		b.ReportAllocs()
		b.SetBytes(512)
		for b.Loop() {
			if _, err := client.Write(data); err != nil {
				b.Fatal(err)
			}
			if n, err := client.Read(back); n != 4 {
				b.Fatal(err)
			}
		}
	})
}

func lockStep(b *testing.B, server, client *net.UDPConn) {
	forever(b, server, client)
	data, ack := pattern(512), []byte("ack!")
	sr, sw := udpio.NewReader(server, udpio.Config{Size: 512}), udpio.NewWriter(server)
	answerer(b, server, func() error {
		if err := sr.Read(); err != nil {
			return err
		}
		p, _ := sr.Next()
		return sw.Write(ack, 4, p.Peer, netip.Addr{})
	})
	r, w, to := udpio.NewReader(client, udpio.Config{Size: 4}), udpio.NewWriter(client), addrPort(server)
	defer r.Release()
	b.ReportAllocs()
	b.SetBytes(512)
	for b.Loop() {
		if err := w.Write(data, 512, to, netip.Addr{}); err != nil {
			b.Fatal(err)
		}
		if err := r.Read(); err != nil {
			b.Fatal(err)
		}
		if p, _ := r.Next(); len(p.Data) != 4 {
			b.Fatal("no answer")
		}
	}
}

// BenchmarkStream sends windows of 64 datagrams of 1432 bytes, each window
// after the one before has arrived.
func BenchmarkStream(b *testing.B) {
	const size, window = 1432, 64
	data := pattern(window * size)
	for _, mode := range []struct {
		name string
		cfg  udpio.Config
	}{
		{"one at a time", udpio.Config{Size: size}},
		{"Batch", udpio.Config{Size: size, Batch: 32}},
		{"Coalesce", udpio.Config{Size: size, Coalesce: true}},
		{"both", udpio.Config{Size: size, Batch: 4, Coalesce: true}},
	} {
		b.Run(mode.name, func(b *testing.B) {
			server, client := loopback(b), loopback(b)
			forever(b, server, client)
			r, w, to := udpio.NewReader(server, mode.cfg), udpio.NewWriter(client), addrPort(server)
			defer r.Release()
			b.ReportAllocs()
			b.SetBytes(window * size)
			for b.Loop() {
				if err := w.Write(data, size, to, netip.Addr{}); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < window; {
					if err := r.Read(); err != nil {
						b.Fatal(err)
					}
					for _, ok := r.Next(); ok; _, ok = r.Next() {
						got++
					}
				}
			}
		})
	}

	b.Run("AddrPort", func(b *testing.B) {
		server, client := loopback(b), loopback(b)
		forever(b, server, client)
		in, to := make([]byte, size+1), addrPort(server)
		b.ReportAllocs()
		b.SetBytes(window * size)
		for b.Loop() {
			for i := range window {
				if _, err := client.WriteToUDPAddrPort(data[i*size:][:size], to); err != nil {
					b.Fatal(err)
				}
			}
			for range window {
				if _, _, err := server.ReadFromUDPAddrPort(in); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkNew makes what a server makes for each transfer.
func BenchmarkNew(b *testing.B) {
	c := loopback(b)
	forever(b, c)
	to := addrPort(c)
	b.ReportAllocs()
	for b.Loop() {
		r, w := udpio.NewReader(c, udpio.Config{Size: 512}), udpio.NewWriter(c)
		if err := w.Write(nil, 1, to, netip.Addr{}); err != nil {
			b.Fatal(err)
		}
		if err := r.Read(); err != nil {
			b.Fatal(err)
		}
		r.Release()
	}
}
