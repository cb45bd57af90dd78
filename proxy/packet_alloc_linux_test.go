//go:build !race

// With the race detector pools forget.

package proxy_test

import (
	"math"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

// A datagram through the proxy and back allocates nothing.
func TestPacketAllocations(t *testing.T) {
	const runs = 2000
	s := &proxy.PacketServer{Dial: packetTo(packetEcho(t, "udp4"))}
	addr := packetServe(t, s, packetListen(t, "udp4"))
	client, err := net.Dial("udp4", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.SetDeadline(time.Now().Add(packetPatience)); err != nil {
		t.Fatal(err)
	}
	message, answer := random(1000), make([]byte, 2000)
	turn := func() {
		if _, err := client.Write(message); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(answer); n != len(message) || err != nil {
			t.Fatalf("Read = %d, %v", n, err)
		}
	}
	// A collection meanwhile empties the pools, and the first datagrams are held, and
	// copied, until the goroutine that sends these has once found none. Neither goes on.
	least := math.Inf(1)
	for round := 0; round < 5 && least > 0.05; round++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			turn()
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/runs)
	}
	if least > 0.05 {
		t.Errorf("%.2f allocations for each datagram and its answer", least)
	}
}
