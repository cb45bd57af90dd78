//go:build linux

package bench

import (
	"fmt"
	"testing"
)

// BenchmarkEchoTCP makes requests of 64 bytes over some connections, one under way
// on each. The client is one thread, and compares all replies.
func BenchmarkEchoTCP(b *testing.B) {
	for _, count := range []int{1, 50, 1000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			c := newEchoContest(b, "tcp", kindOurs, kindPlain, kindCopy, kindGnet)
			c.each(b, order{Do: "echo-open", Count: count})
			c.each(b, order{Do: "echo-requests", Count: 4 * count, Size: 64}) // to warm up
			for b.Loop() {
				c.round(b, order{Do: "echo-requests", Count: of(100_000, 10_000), Size: 64})
			}
			c.report(b, requests)
		})
	}
}
