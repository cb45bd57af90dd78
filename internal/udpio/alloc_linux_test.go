package udpio_test

import (
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/netns"
	"github.com/netparts/netparts/internal/udpio"
)

func skipIfRacing(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("with the race detector pools forget")
	}
}

// Neither a datagram nor a run costs an allocation, whatever is asked for.
func TestAllocs(t *testing.T) {
	skipIfRacing(t)
	for _, network := range []struct{ name, address string }{
		{"udp4", "127.0.0.1:0"},
		{"udp6", "[::1]:0"},
	} {
		for _, cfg := range []udpio.Config{
			{Size: 512},
			{Size: 512, Local: true},
			{Size: 512, Coalesce: true},
			{Size: 512, Batch: 16},
			{Size: 512, Batch: 16, Local: true, Coalesce: true},
		} {
			for _, n := range []int{1, 16, 100} {
				t.Run(fmt.Sprintf("%s/%+v/%d", network.name, cfg, n), func(t *testing.T) {
					server := listen(t, network.name, network.address)
					client := listen(t, network.name, network.address)
					r, w := udpio.NewReader(server, cfg), udpio.NewWriter(client)
					defer r.Release()
					b, to := pattern(n*512), addrPort(server)
					var from netip.Addr
					if cfg.Local {
						from = addrPort(client).Addr()
					}
					allocs := testing.AllocsPerRun(100, func() {
						if err := w.Write(b, 512, to, from); err != nil {
							t.Fatal(err)
						}
						for got := 0; got < n; {
							if err := r.Read(); err != nil {
								t.Fatal(err)
							}
							for _, ok := r.Next(); ok; _, ok = r.Next() {
								got++
							}
						}
					})
					if allocs != 0 {
						t.Errorf("%v allocations", allocs)
					}
				})
			}
		}
	}
}

// Neither does a zone that was seen before.
func TestRootAllocsOfZones(t *testing.T) {
	skipIfRacing(t)
	server := netns.New(t).ListenUDP(t, "udp6", netip.AddrPortFrom(netns.LinkLocal, 0).String())
	must(t, server.SetDeadline(time.Now().Add(10*time.Second)))
	r, w := udpio.NewReader(server, udpio.Config{Size: 512, Local: true}), udpio.NewWriter(server)
	defer r.Release()
	to := addrPort(server)
	allocs := testing.AllocsPerRun(100, func() {
		if err := w.Write(nil, 512, to, to.Addr()); err != nil {
			t.Fatal(err)
		}
		if err := r.Read(); err != nil {
			t.Fatal(err)
		}
		r.Next()
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// A server makes a Reader and a Writer for each small transfer.
func TestAllocsOfNew(t *testing.T) {
	skipIfRacing(t)
	const runs = 1000
	c := loopback(t)
	cfg := udpio.Config{Size: 512, Local: true, Coalesce: true}
	r, w := udpio.NewReader(c, cfg), udpio.NewWriter(c) // fills the pools
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		r, w = udpio.NewReader(c, cfg), udpio.NewWriter(c)
	}
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(r)
	runtime.KeepAlive(w)
	allocs := float64(after.Mallocs-before.Mallocs) / runs
	size := float64(after.TotalAlloc-before.TotalAlloc) / runs
	// A collection meanwhile empties the pools.
	if allocs > 4.5 || size > 450 {
		t.Errorf("%.1f allocations of %.0f bytes, want 4 of at most 450", allocs, size)
	}
}
