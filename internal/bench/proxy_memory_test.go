//go:build linux

package bench

import (
	"testing"
	"time"
)

// kindDirect is no proxy at all: the client connects to the backend.
const kindDirect = "direct"

// BenchmarkProxyIdleMemory shows what a pair costs that has nothing to do, after 256 KiB
// each way. The user part is that of BenchmarkEchoIdleMemory. The kernel's part is
// what the machine needs more than without a proxy, so it is that of the pair's own
// two sockets and what belongs to them.
func BenchmarkProxyIdleMemory(b *testing.B) {
	kinds := installed(b, kindOurs, kindDirect, kindCopy, kindTCPProxy, kindHAProxy, kindNginx)
	found := make(map[string][]footprint)
	for b.Loop() {
		for _, kind := range kinds {
			found[kind] = append(found[kind], idlePair(b, kind, of(1000, 100)))
		}
	}
	t := newTable("", "user B", "its heap", "its stacks", "kernel B", "files", "of them pipes", "user part of ours is", "with the kernel's")
	direct, ours := typical(found[kindDirect]), typical(found[kindOurs])
	ours.kernel -= direct.kernel
	b.ReportMetric(ours.user, "B/pair")
	b.ReportMetric(ours.kernel, "kernel-B/pair")
	for _, kind := range kinds {
		if kind == kindDirect {
			continue
		}
		f := typical(found[kind])
		f.kernel -= direct.kernel
		both := (ours.user + ours.kernel) / (f.user + f.kernel)
		t.row(kind, f.user, f.heap, f.stacks, f.kernel, f.files, f.pipes, ours.user/f.user, both)
		if kind != kindOurs {
			b.ReportMetric(both, "x-"+kind)
		}
	}
	t.print(b)
}

// idlePair is what one of so many pairs costs at a new proxy.
func idlePair(b *testing.B, kind string, count int) footprint {
	b.Helper()
	backend, client := startBackend(b, "tcp"), startClient(b)
	server := &process{kind: kind, addr: backend.addr}
	if kind != kindDirect {
		server = startProxy(b, kind, "tcp", backend.addr, nil)
	}
	o := order{Do: "proxy-hold", Network: "tcp", Addrs: []string{server.addr}, Count: 8, Size: 256 << 10}
	settle := func(held int) {
		backend.tell(b, order{Do: "proxy-settle", Count: held})
		time.Sleep(of(2500*time.Millisecond, 0)) // until pipes are closed that nobody uses
	}
	settle(0)
	client.tell(b, o) // to warm up
	client.tell(b, order{Do: "proxy-release"})
	settle(0)
	before := footprintOf(b, server)
	o.Count = count
	client.tell(b, o)
	settle(count)
	f := footprintOf(b, server)
	client.tell(b, order{Do: "proxy-release"})
	return f.since(before, float64(count))
}
