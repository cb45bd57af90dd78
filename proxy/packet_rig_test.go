package proxy_test

import (
	"bytes"
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

// packetPatience is how long a test waits for what should come at once.
const packetPatience = 20 * time.Second

// packetReports keeps the reports of a server.
type packetReports struct{ ended chan proxy.PacketReport }

// reportPackets makes a server report to the test.
func reportPackets(s *proxy.PacketServer) *packetReports {
	r := &packetReports{make(chan proxy.PacketReport, 10_000)}
	s.Report = func(report proxy.PacketReport) { r.ended <- report }
	return r
}

// next returns the report of the session that ends next.
func (r *packetReports) next(t testing.TB) proxy.PacketReport {
	t.Helper()
	select {
	case report := <-r.ended:
		return report
	case <-time.After(packetPatience):
		t.Fatal("no session has ended")
		panic("unreachable")
	}
}

// packetListen makes a packet socket, on a free address of its network.
func packetListen(t testing.TB, network string) net.PacketConn {
	t.Helper()
	address := "127.0.0.1:0"
	switch network {
	case "udp6":
		address = "[::1]:0"
	case "unixgram":
		address = filepath.Join(t.TempDir(), "s")
	}
	return packetListenAt(t, network, address)
}

// packetListenAt makes a packet socket with a deadline.
func packetListenAt(t testing.TB, network, address string) net.PacketConn {
	t.Helper()
	pc, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	if err := pc.SetDeadline(time.Now().Add(packetPatience)); err != nil {
		t.Fatal(err)
	}
	return pc
}

// packetServe serves pc, and checks at the end of the test that all ends.
func packetServe(t testing.TB, s *proxy.PacketServer, pc net.PacketConn) net.Addr {
	t.Helper()
	if err := pc.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	addr := pc.LocalAddr()
	served := make(chan error, 1)
	go func() { served <- s.Serve(pc) }()
	t.Cleanup(func() {
		_ = s.Close() // some tests have closed pc
		packetShutdown(t, s)
		if err := <-served; err != proxy.ErrServerClosed {
			t.Errorf("Serve = %v, want %v", err, proxy.ErrServerClosed)
		}
	})
	return addr
}

// packetShutdown shuts s down.
func packetShutdown(t testing.TB, s *proxy.PacketServer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), packetPatience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
}

// packetTo is the To of an address.
func packetTo(a net.Addr) proxy.DialFunc { return proxy.To(a.Network(), a.String()) }

// packetEcho is an upstream that echoes, until the end of the test.
func packetEcho(t testing.TB, network string) net.Addr {
	t.Helper()
	pc := packetListen(t, network)
	if err := pc.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	var echoing sync.WaitGroup
	echoing.Go(func() {
		b := make([]byte, 1<<20)
		for packetEchoOne(pc, b) == nil {
		}
	})
	t.Cleanup(func() {
		pc.Close()
		echoing.Wait()
	})
	return pc.LocalAddr()
}

// packetSend sends a datagram.
func packetSend(t testing.TB, pc net.PacketConn, to net.Addr, message string) {
	t.Helper()
	if _, err := pc.WriteTo([]byte(message), to); err != nil {
		t.Fatal(err)
	}
}

// packetWant reads a datagram, and returns who sent it.
func packetWant(t testing.TB, pc net.PacketConn, message string) net.Addr {
	t.Helper()
	b := make([]byte, 1<<20)
	n, from, err := pc.ReadFrom(b)
	if err != nil || !bytes.Equal(b[:n], []byte(message)) {
		t.Fatalf("read %d bytes %.40q, %v, want %d bytes %.40q", n, b[:n], err, len(message), message)
	}
	return from
}

// packetWantEcho sends a datagram, and wants it back from where it was sent to.
func packetWantEcho(t testing.TB, pc net.PacketConn, to net.Addr, message string) {
	t.Helper()
	packetSend(t, pc, to, message)
	if from := packetWant(t, pc, message); from.String() != to.String() {
		t.Fatalf("the answer is from %v, want %v", from, to)
	}
}

// packetUntil waits until a condition holds that nothing tells of.
func packetUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begin := time.Now(); !ok(); <-tick.C {
		if time.Since(begin) > packetPatience {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// packetEchoOne answers one datagram, of UDP without an allocation.
func packetEchoOne(pc net.PacketConn, b []byte) error {
	if udp, ok := pc.(*net.UDPConn); ok {
		n, from, err := udp.ReadFromUDPAddrPort(b)
		if err != nil {
			return err
		}
		_, _ = udp.WriteToUDPAddrPort(b[:n], from) // the peer may be gone
		return nil
	}
	n, from, err := pc.ReadFrom(b)
	if err != nil {
		return err
	}
	_, _ = pc.WriteTo(b[:n], from)
	return nil
}
