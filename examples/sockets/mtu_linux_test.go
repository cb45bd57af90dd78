package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/examples/sockets"
)

// How large may a datagram be, so that it is not fragmented on its way? Whoever sends
// datagrams asks once for each path. The port of this Example is closed for all but the peer
// of its socket, and the host says so, which tells as much as an answer would. The loopback
// interface takes more than Ethernet's 1,500 bytes, of which 1,472 remain for data.
func ExamplePathMTU() {
	closed, err := net.Dial("udp", "127.0.0.1:9") // which sends nothing
	if err != nil {
		log.Fatal(err)
	}
	defer closed.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	mtu, err := sockets.PathMTU(ctx, closed.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("the packet is", mtu.Packet-mtu.Payload, "bytes larger than its payload")
	fmt.Println("a datagram of 1472 bytes stays whole:", mtu.Payload >= 1472)
	// Output:
	// the packet is 28 bytes larger than its payload
	// a datagram of 1472 bytes stays whole: true
}

// mtuEcho answers what it is asked until the test ends.
func mtuEcho(t *testing.T, conn net.PacketConn) string {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				_, err = conn.WriteTo(b[:n], from)
			}
			if err != nil {
				t.Log(err) // such as that an answer was too large, which is no fault
			}
		}
	})
	t.Cleanup(func() { conn.Close(); wg.Wait() })
	return conn.LocalAddr().String()
}

// The sizes are those of the packets' headers, and the loopback interface limits them.
func TestPathMTUOfLoopback(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		address string
		headers int
		largest int
	}{
		{"127.0.0.1:0", 28, 65535},
		{"[::1]:0", 48, 65575},
	} {
		conn, err := net.ListenPacket("udp", tt.address)
		if err != nil && strings.HasPrefix(tt.address, "[") {
			t.Logf("no IPv6 here: %v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		address := mtuEcho(t, conn)
		got, err := sockets.PathMTU(t.Context(), address)
		want := min(lo.MTU, tt.largest)
		if err != nil || got.Packet != want || got.Payload != want-tt.headers || got.Peer.String() != address {
			t.Errorf("PathMTU(%s) = %+v, %v, want a packet of %d", address, got, err, want)
		}
	}
}

// A socket that nobody reads is a host that does not answer.
func TestPathMTUOfSilence(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	probe := sockets.MTUProbe{Wait: time.Millisecond, Tries: 2}
	if _, err := probe.Find(t.Context(), conn.LocalAddr().String()); !errors.Is(err, sockets.ErrSilent) {
		t.Errorf("Find: %v, want %v", err, sockets.ErrSilent)
	}
	b := make([]byte, 100)
	for range 2 {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, _, err := conn.ReadFrom(b); n != 40 || err != nil {
			t.Errorf("a packet of %d bytes, %v, want one of 40", n, err)
		}
	}
	// What comes next is the last packet, and none of the search.
	last, err := net.Dial("udp", conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer last.Close()
	if _, err := last.Write([]byte("last")); err != nil {
		t.Fatal(err)
	}
	if n, _, err := conn.ReadFrom(b); n != len("last") || err != nil {
		t.Errorf("a packet more, of %d bytes, %v", n, err)
	}
}

// The end of the context ends the wait, and is what the error tells.
func TestPathMTUIsCancelled(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		// When the first packet is here, its sender waits for an answer, or is about to.
		if _, _, err := conn.ReadFrom(make([]byte, 100)); err != nil {
			t.Error(err)
		}
		cancel(enough)
	})
	probe := sockets.MTUProbe{Wait: time.Hour}
	_, err = probe.Find(ctx, conn.LocalAddr().String())
	wg.Wait()
	if !errors.Is(err, enough) {
		t.Errorf("Find: %v, want %v", err, enough)
	}
}

// What is no address is not asked.
func TestPathMTUWithoutAddress(t *testing.T) {
	for _, address := range []string{"", "127.0.0.1", "127.0.0.1:70000", "::1:9"} {
		if mtu, err := sockets.PathMTU(t.Context(), address); err == nil {
			t.Errorf("PathMTU(%q) = %+v", address, mtu)
		}
	}
}
