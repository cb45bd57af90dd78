//go:build linux

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A proxyContest is kinds of proxies that one client and one backend have relay the
// same in turn.
type proxyContest struct {
	*serverContest
	backend *process
	network string
	held    int // connections that stay open
}

// newProxyContest starts the backend and the proxies, each of which gets env.
func newProxyContest(b *testing.B, network string, env func(i int) []string, kinds ...string) *proxyContest {
	b.Helper()
	c := &proxyContest{&serverContest{client: startClient(b)}, startBackend(b, network), network, 0}
	for i, kind := range installed(b, kinds...) {
		var variables []string
		if env != nil {
			variables = env(i)
		}
		c.sides = append(c.sides, &serverSide{server: startProxy(b, kind, network, c.backend.addr, variables)})
	}
	c.settle = func() { c.backend.tell(b, order{Do: "proxy-settle", Count: c.held}) }
	c.settle()
	return c
}

// at is an address for a server of its own.
func at(b *testing.B, network string) string {
	b.Helper()
	if network == "unix" {
		return filepath.Join(b.TempDir(), "server")
	}
	return "127.0.0.1:0"
}

func startBackend(b *testing.B, network string) *process {
	b.Helper()
	p := start(b, "backend", nil)
	p.addr = p.tell(b, order{Do: "proxy-backend", Network: network, Addrs: []string{at(b, network)}}).Addr
	return p
}

func startProxy(b *testing.B, kind, network, upstream string, env []string) *process {
	b.Helper()
	if _, ok := programs[kind]; ok {
		return startProgram(b, kind, network, upstream)
	}
	p := start(b, kind, env)
	o := order{Do: "proxy-serve", Kind: kind, Network: network, Addrs: []string{at(b, network), upstream}}
	p.addr = p.tell(b, o).Addr
	return p
}

var connections = scale{"connections/s", "CPU-µs/connection", 1, 1e6}

// BenchmarkProxyBulk has the backend stream to the client, over one connection and over
// eight at once.
func BenchmarkProxyBulk(b *testing.B) {
	for _, count := range []int{1, 8} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			c := newProxyContest(b, "tcp", nil, kindOurs, kindSplice, kindCopy, kindTCPProxy,
				kindHAProxy, kindHAProxySplice, kindNginx)
			c.bulk(b, order{Count: count, Bytes: of(1<<30, 32<<20)})
		})
	}
}

// BenchmarkProxyUnix is the same from one Unix socket to another.
func BenchmarkProxyUnix(b *testing.B) {
	c := newProxyContest(b, "unix", nil, kindOurs, kindSplice, kindCopy, kindHAProxy, kindHAProxySplice, kindNginx)
	c.bulk(b, order{Count: 1, Bytes: of(1<<30, 32<<20)})
}

// BenchmarkProxyCounters compares what Relay costs with counters that are read, and
// without any.
func BenchmarkProxyCounters(b *testing.B) {
	c := newProxyContest(b, "tcp", nil, kindCounted, kindUncounted)
	c.bulk(b, order{Count: 1, Bytes: of(512<<20, 32<<20)})
}

func (c *proxyContest) bulk(b *testing.B, o order) {
	b.Helper()
	o.Do, o.Network = "proxy-fetch", c.network
	warm := o
	warm.Bytes = 4 << 20 * o.Count
	c.each(b, warm)
	for b.Loop() {
		c.turns(b, 3, o)
	}
	c.report(b, streams)
}

// BenchmarkProxyUnprivileged streams over one connection, beside 200 that have carried
// something before and wait. Each proxy runs as a user of its own, since users have
// a limit for the memory of all their pipes.
func BenchmarkProxyUnprivileged(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("only root can start processes of other users")
	}
	const count = 200
	c := newProxyContest(b, "tcp", func(i int) []string {
		return []string{fmt.Sprintf("%s=%d", userVariable, 65534-i)}
	}, kindOurs, kindSplice, kindCopy, kindTCPProxy)
	c.each(b, order{Do: "proxy-hold", Network: c.network, Count: count, Size: 256 << 10})
	c.held = count * len(c.sides)
	c.settle()
	c.bulk(b, order{Count: 1, Bytes: of(512<<20, 32<<20)})
}

// BenchmarkProxyRequests makes requests of 64 bytes over 50 connections, one under way
// on each, to an echo server.
func BenchmarkProxyRequests(b *testing.B) {
	const count = 50
	c := newRequests(b)
	c.each(b, order{Do: "echo-open", Count: count})
	c.each(b, order{Do: "echo-requests", Count: 4 * count, Size: 64}) // to warm up
	for b.Loop() {
		c.turns(b, 5, order{Do: "echo-requests", Count: of(20_000, 5_000), Size: 64})
	}
	c.report(b, requests)
}

// newRequests starts proxies to an echo server.
func newRequests(b *testing.B) *serverContest {
	b.Helper()
	c := &serverContest{client: startClient(b)}
	upstream := startEcho(b, kindOurs, "tcp").addr
	for _, kind := range installed(b, kindOurs, kindCopy, kindTCPProxy, kindHAProxy, kindNginx) {
		c.sides = append(c.sides, &serverSide{server: startProxy(b, kind, "tcp", upstream, nil)})
	}
	return c
}

// BenchmarkProxyConnections opens connections, each for a request of 64 bytes, eight at a
// time.
func BenchmarkProxyConnections(b *testing.B) {
	c := newProxyContest(b, "tcp", nil, kindOurs, kindCopy, kindTCPProxy, kindHAProxy, kindNginx)
	o := order{Do: "proxy-churn", Network: c.network, Count: 200, Size: 64, Workers: 8}
	c.each(b, o) // to warm up
	for b.Loop() {
		o.Count = of(1_000, 500)
		c.turns(b, 5, o)
	}
	c.report(b, connections)
}

// BenchmarkProxyLatency makes requests of 64 bytes over one connection. The first line is
// without a proxy.
func BenchmarkProxyLatency(b *testing.B) {
	c := newRequests(b)
	direct := &serverSide{server: startEcho(b, kindOurs, "tcp")}
	direct.server.kind = "direct"
	sides := append([]*serverSide{direct}, c.sides...)
	medians, slow := make([][]float64, len(sides)), make([][]float64, len(sides))
	for n := 0; b.Loop(); n++ {
		for i := range sides {
			i = (i + n) % len(sides)
			o := order{Do: "proxy-latency", Addrs: []string{sides[i].server.addr}, Count: of(20_000, 1_000), Size: 64}
			a := c.client.tell(b, o)
			medians[i] = append(medians[i], a.Took[0].Seconds()*1e6)
			slow[i] = append(slow[i], a.Took[1].Seconds()*1e6)
		}
	}
	t := newTable("", "median µs", "99 % µs", "median of ours is")
	for i, s := range sides {
		t.row(s.server.kind, median(medians[i]), median(slow[i]), ratios(medians[1], medians[i]))
	}
	b.ReportMetric(median(medians[1]), "µs/request")
	t.print(b)
}
