//go:build linux

package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// together is how many transfers run at once where they wait most of the time. With
// more of them the relays are late.
const together = 8

// A network is what a relay does, once for each of some seeds.
type network struct {
	delay time.Duration // each way
	loss  float64       // each way
	seeds int
	first uint64 // seed
}

// across reads the file of the server through as many relays.
func across(b *testing.B, client, server *process, net network, o order) answer {
	b.Helper()
	var relays []*relay
	for i := range net.seeds {
		r := newRelay(b, server.addr, net.delay, net.loss, net.first+uint64(i))
		relays = append(relays, r)
		o.Addrs = append(o.Addrs, r.addr())
	}
	o.Do, o.Kind, o.Workers = "get", server.kind, together
	a := client.tell(b, o)
	for _, r := range relays {
		if err := r.close(); err != nil {
			b.Fatal(err)
		}
	}
	if strings.HasPrefix(server.kind, kindOurs) && len(a.Fails) > 0 {
		b.Errorf("%s: %d of %d failed, such as by: %s", server.kind, len(a.Fails), net.seeds, a.Fails[0])
	}
	return a
}

// BenchmarkTFTPLoss reads 1 MiB over a network with a round trip of 2 ms that
// loses packets.
func BenchmarkTFTPLoss(b *testing.B) {
	for _, loss := range []float64{0, 0.01, 0.1} {
		for _, window := range []int{1, 16} {
			b.Run(fmt.Sprintf("%v%%/window=%d", 100*loss, window), func(b *testing.B) {
				lossy(b, loss, window)
			})
		}
	}
}

func lossy(b *testing.B, loss float64, window int) {
	size := of(1<<20, 64<<10)
	kinds := []string{kindOurs, kindSingle}
	if full && loss < 0.1 { // they take minutes
		kinds = append(kinds, kindPack)
		if window == 1 {
			kinds = append(kinds, kindPin)
		}
	}
	sides := make([]*side, len(kinds))
	var client *process
	for i, kind := range kinds {
		sides[i] = &side{server: startServer(b, kind, size)}
	}
	client = startClient(b)
	runs := make([]int, len(kinds))
	seed := uint64(1)
	for b.Loop() {
		for i, kind := range kinds {
			net := network{delay: time.Millisecond, loss: loss, seeds: of(100, 8), first: seed}
			o := order{Size: size, Block: 1428, Window: window, Limit: time.Minute}
			if !strings.HasPrefix(kind, kindOurs) {
				net.seeds, o.Limit = 8, 20*time.Second
			}
			a := across(b, client, sides[i].server, net, o)
			runs[i] += net.seeds
			sides[i].add(a, usage{})
			for _, took := range a.Took {
				sides[i].rates = append(sides[i].rates, took.Seconds()*1e3)
			}
		}
		seed += 1000
	}
	t := newTable("", "ms", "longest", "transfers", "failed")
	for i, s := range sides {
		if i == 0 {
			b.ReportMetric(median(s.rates), "ours-ms")
		}
		t.row(kinds[i], median(s.rates), longest(s.rates), runs[i], len(s.fails))
	}
	t.print(b)
}

func longest(list []float64) float64 {
	most := 0.0
	for _, v := range list {
		most = max(most, v)
	}
	return most
}

// BenchmarkTFTPLongWay reads a file over a round trip of 50 ms, of which the most
// that a window allows is printed besides.
func BenchmarkTFTPLongWay(b *testing.B) {
	const block, window, trip = 1428, 64, 50 * time.Millisecond
	size := of(4<<20, 512<<10)
	for _, kind := range []string{kindOurs, kindSingle} {
		b.Run(kind, func(b *testing.B) {
			server, client := startServer(b, kind, size), startClient(b)
			var rates []float64
			for b.Loop() {
				a := across(b, client, server, network{delay: trip / 2, seeds: 1},
					order{Size: size, Block: block, Window: window, Limit: bareTime})
				for _, took := range a.Took {
					rates = append(rates, float64(size)/1e6/took.Seconds())
				}
			}
			most := block * window / 1e6 / trip.Seconds()
			b.ReportMetric(median(rates), "MB/s")
			b.ReportMetric(median(rates)/most, "of-the-most")
			b.ReportMetric(0, "ns/op")
		})
	}
}
