//go:build !race

// With the race detector pools forget.

package echo_test

import (
	"net"
	"runtime"
	"testing"

	"github.com/netparts/netparts/echo"
)

// allocations returns how many allocations this process does for one call of f.
func allocations(t *testing.T, f func()) float64 {
	t.Helper()
	const runs = 2000
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		f()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / runs
}

// An echo allocates nothing, of a datagram as of a stream.
func TestNoAllocations(t *testing.T) {
	for _, network := range []string{"udp", "tcp", "unix", "unixpacket"} {
		t.Run(network, func(t *testing.T) {
			var server echo.Server
			var conn net.Conn
			if network == "udp" {
				conn = dialPacket(t, network, listenPacket(t, &server, network, "127.0.0.1:0").String())
			} else {
				conn = dial(t, network, listen(t, &server, network))
			}
			message, answer := pattern(1000), make([]byte, 2000)
			n := allocations(t, func() {
				if _, err := conn.Write(message); err != nil {
					t.Fatal(err)
				}
				if n, err := conn.Read(answer); n != len(message) || err != nil {
					t.Fatalf("Read = %d, %v", n, err)
				}
			})
			// A collection meanwhile empties the pools.
			if n > 0.05 {
				t.Errorf("%.2f allocations for each echo", n)
			}
		})
	}
}
