//go:build linux

package bench

import (
	"fmt"
	"testing"
)

// BenchmarkEchoUDP keeps 8 bursts of 32 datagrams under way, each from a socket of
// its own. The plain client sends each datagram by itself, though a burst with one
// system call; the other one has the kernel cut and join bursts.
func BenchmarkEchoUDP(b *testing.B) {
	for _, size := range []int{64, 1200} {
		for _, coalesce := range []bool{false, true} {
			name := map[bool]string{false: "plain sender", true: "coalescing sender"}[coalesce]
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				c := newEchoContest(b, "udp", kindOurs, kindWildcard, kindPlain, kindBatch, kindGnet)
				o := order{Do: "echo-packets", Count: 4 * burst, Size: size, Coalesce: coalesce}
				c.each(b, o) // to warm up
				for b.Loop() {
					o.Count = of(200_000, 20_000)
					c.round(b, o)
				}
				c.report(b, echoes)
			})
		}
	}
}

// BenchmarkEchoUDPAllocs counts what the servers allocate for a datagram.
func BenchmarkEchoUDPAllocs(b *testing.B) {
	const count = 100_000
	for _, coalesce := range []bool{false, true} {
		name := map[bool]string{false: "plain sender", true: "coalescing sender"}[coalesce]
		b.Run(name, func(b *testing.B) {
			kinds := []string{kindOurs, kindWildcard, kindPlain, kindBatch, kindGnet}
			c := newEchoContest(b, "udp", kinds...)
			o := order{Do: "echo-packets", Count: 4 * burst, Size: 64, Coalesce: coalesce}
			c.each(b, o) // to warm up
			allocs := make(map[string][]float64)
			o.Count = count
			for b.Loop() {
				for _, s := range c.sides {
					o.Addrs = []string{s.server.addr}
					before := s.server.use(b)
					a := c.client.tell(b, o)
					u := s.server.use(b).since(before)
					allocs[s.server.kind] = append(allocs[s.server.kind], float64(u.Mallocs)/float64(a.Done))
				}
			}
			for _, kind := range kinds {
				b.ReportMetric(median(allocs[kind]), kind+"-allocs/echo")
			}
			b.ReportMetric(0, "ns/op")
			// What the runtime and the orders allocate is a few hundred.
			if ours := median(allocs[kindOurs]); ours > 0.01 {
				b.Errorf("ours allocates %v times a datagram", ours)
			}
		})
	}
}
