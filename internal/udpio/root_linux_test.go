package udpio_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/netns"
	"github.com/netparts/netparts/internal/udpio"
)

// Datagrams longer than the MTU are not split by the kernel but sent in
// fragments.
func TestRootBeyondMTU(t *testing.T) {
	n := netns.New(t)
	const size = 8 << 10
	n.SetMTU(t, 1500)
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		server, client := n.ListenUDP(t, "udp", address), n.ListenUDP(t, "udp", address)
		for _, c := range []*net.UDPConn{server, client} {
			must(t, c.SetDeadline(time.Now().Add(10*time.Second)))
		}
		udpio.SetReadBuffer(server, readBuffer)
		for _, cfg := range []udpio.Config{
			{Size: size, Batch: 16},
			{Size: size, Batch: 16, Coalesce: true},
		} {
			r := udpio.NewReader(server, cfg)
			w := udpio.NewWriter(client)
			b := pattern(30*size + 100)
			for range 2 {
				write(t, w, b, size, addrPort(server))
				readWhole(t, r, b, size, addrPort(client))
				if w.Whole() != size {
					t.Errorf("not split from %d bytes on, want %d", w.Whole(), size)
				}
			}
			// What fits goes on being split.
			b = b[:100*1000]
			must(t, w.Write(b, 1000, addrPort(server), netip.Addr{}))
			if got := read(t, r, 100); string(got[99].Data) != string(b[99*1000:]) || w.Whole() != size {
				t.Errorf("the last of 100 has %d bytes, not split from %d bytes on", len(got[99].Data), w.Whole())
			}
			r.Release()
		}
	}
}
