//go:build linux

package bench

import (
	"fmt"
	"path/filepath"
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

func newEchoContest(b *testing.B, network string, kinds ...string) *serverContest {
	b.Helper()
	c := &serverContest{client: startClient(b)}
	for _, kind := range kinds {
		c.sides = append(c.sides, &serverSide{server: startEcho(b, kind, network)})
	}
	return c
}

// startEcho starts a server.
func startEcho(b *testing.B, kind, network string) *process {
	b.Helper()
	at := "127.0.0.1:0"
	switch {
	case network == "unix":
		at = filepath.Join(b.TempDir(), "server")
	case kind == kindWildcard:
		at = anywhere
	}
	p := start(b, kind, nil)
	p.addr = p.tell(b, order{Do: "echo-serve", Kind: kind, Network: network, Addrs: []string{at}}).Addr
	return p
}
