//go:build linux

package bench

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/netparts/netparts/tlsutil"
)

// A choreContest is pairs of clients and servers, each server in a process of its own and
// the clients together in another one.
type choreContest struct {
	*serverContest
	sums []choreSums
}

// choreSums are what was allocated for the calls of one side.
type choreSums struct {
	calls          int
	server, client usage
}

// A chorePair is a client and a server.
type chorePair struct{ name, client, server string }

// newChoreContest starts servers with a self-signed certificate, which is what the
// clients trust.
func newChoreContest(b *testing.B, pairs ...chorePair) *choreContest {
	b.Helper()
	dir := b.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}})
	if err == nil {
		err = tlsutil.WriteFiles(cert, certFile, keyFile)
	}
	if err != nil {
		b.Fatal(err)
	}
	c := &choreContest{serverContest: &serverContest{client: startClient(b)}, sums: make([]choreSums, len(pairs))}
	for _, pair := range pairs {
		p := start(b, pair.name, nil)
		p.addr = p.tell(b, order{Do: "housework-serve", Kind: pair.server, Addrs: []string{"127.0.0.1:0", certFile, keyFile}}).Addr
		c.client.tell(b, order{Do: "housework-dial", Kind: pair.client, Addrs: []string{p.addr, certFile}})
		c.sides = append(c.sides, &serverSide{server: p})
	}
	return c
}

// count has each side obey an order once more, and counts what is allocated for it.
func (c *choreContest) count(b *testing.B, o order, calls int) {
	b.Helper()
	for i, s := range c.sides {
		o.Addrs = []string{s.server.addr}
		before := s.server.use(b)
		used := c.client.tell(b, o).Used
		c.sums[i] = choreSums{calls: calls, server: s.server.use(b).since(before), client: used}
	}
}

// report prints a table, and has the ratio of ours to kindPlain, which is the second side,
// for a metric. Costs are for one of so many things that the client has counted.
func (c *choreContest) report(b *testing.B, thing string, things float64) {
	b.Helper()
	t := newTable("", thing+"s/s", "server CPU-µs", "client's", "server mallocs", "B", "client's", "B",
		"rate to plain's", "CPU of server", "of both")
	ours, plain := c.sides[0], c.sides[1]
	b.ReportMetric(median(ours.rates)/things, thing+"s/s")
	b.ReportMetric(ratios(ours.rates, plain.rates), "x-plain-rate")
	for i, s := range c.sides {
		sum := c.sums[i]
		n := float64(sum.calls)
		t.row(s.server.kind, median(s.rates)/things, median(s.costs)*1e6*things, median(s.client)*1e6*things,
			float64(sum.server.Mallocs)/n, float64(sum.server.Bytes)/n, float64(sum.client.Mallocs)/n, float64(sum.client.Bytes)/n,
			ratios(s.rates, plain.rates), ratios(s.costs, plain.costs), ratios(costOfBoth(s), costOfBoth(plain)))
	}
	t.print(b)
}

// costOfBoth is the CPU time of the server and the client together, of each round.
func costOfBoth(s *serverSide) []float64 {
	sum := make([]float64, len(s.costs))
	for i := range sum {
		sum[i] = s.costs[i] + s.client[i]
	}
	return sum
}

// BenchmarkHouseworkAdd adds chores, one a call, with some calls at once over one
// connection. The target is 0.9 of the calls a second of kindPlain.
func BenchmarkHouseworkAdd(b *testing.B) {
	for _, workers := range []int{1, 16, 128} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			c := newChoreContest(
				b,
				chorePair{kindOurs, kindOurs, kindOurs},
				chorePair{kindPlain, kindPlain, kindPlain},
				chorePair{"plain-deadline", kindDeadline, kindPlain},
				chorePair{"our-client", kindOurs, kindPlain},
				chorePair{"our-server", kindPlain, kindOurs},
				chorePair{"our-server-logged", kindPlain, kindLogged},
				chorePair{kindConnect, kindConnect, kindConnect},
			)
			o := order{Do: "housework-add", Count: of(2000, 200), Workers: workers}
			c.each(b, o) // to warm up
			sum := o.Count
			for b.Loop() {
				c.turns(b, of(5, 1), o)
				sum += of(5, 1) * o.Count
			}
			c.count(b, o, o.Count)
			sum += o.Count
			for _, s := range c.sides {
				s.server.tell(b, order{Do: "housework-check", Count: sum})
			}
			c.report(b, "call", 1)
		})
	}
}

// BenchmarkHouseworkList gets a long list: ours by All, in pages, and kindPlain as one
// message, which is larger than gRPC allows by default; kindPages is the generated code
// with pages at both ends. The target is 1.3 times the time of one message. That of
// kindPlain is of a list that nobody can change; kindCopies is a server that has Complete,
// too, without a data race.
func BenchmarkHouseworkList(b *testing.B) {
	count := of(100_000, 10_000)
	c := newChoreContest(
		b,
		chorePair{kindOurs, kindOurs, kindOurs},
		chorePair{kindPlain, kindPlain, kindPlain},
		chorePair{kindCopies, kindPlain, kindCopies},
		chorePair{"our-client", kindOurs, kindPlain},
		chorePair{"our-server", kindPages, kindOurs},
		chorePair{kindPages, kindPages, kindPlain},
	)
	for _, s := range c.sides {
		s.server.tell(b, order{Do: "housework-fill", Count: count})
	}
	o := order{Do: "housework-list", Count: count}
	c.each(b, o) // to warm up
	for b.Loop() {
		c.turns(b, of(5, 1), o)
	}
	c.count(b, o, 1)
	c.report(b, "list", float64(count))
}
