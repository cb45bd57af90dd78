//go:build linux

package houseworkbench

import (
	"cmp"
	"fmt"
	"path/filepath"

	"google.golang.org/grpc/codes"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/tlsutil"
)

// calls are told of by what one costs.
var calls = lab.NewScale("calls/s", "µs", 1, 1e6)

// Metrics of one call.
const (
	bothCPU           = "CPU µs of both ends"
	serverAllocations = "server allocations"
	clientAllocations = "client allocations"
)

func callMetrics() []lab.Metric {
	return append(append([]lab.Metric{{Name: bothCPU, Best: lab.Low}}, calls.Metrics()...),
		lab.Metric{Name: serverAllocations, Best: lab.Low}, lab.Metric{Name: clientAllocations, Best: lab.None})
}

// A pair is a kind of client and one of server.
type pair struct{ client, server string }

// pairs are the sides of calls.
var pairs = map[string]pair{
	lab.Ours:    {lab.Ours, lab.Ours},
	plain:       {plain, plain},
	deadline:    {deadline, plain},
	ourClient:   {lab.Ours, plain},
	ourServer:   {plain, lab.Ours},
	loggedSide:  {plain, kindLogged},
	connect:     {connect, connect},
	paged:       {paged, plain},
	copying:     {plain, copying},
	pagedServer: {paged, lab.Ours},
}

// A contest is pairs of clients and servers, each server in a process of its own and
// the clients together in another one.
type contest struct{ lab.Contest }

// newContest starts servers with a self-signed certificate, which is what the clients
// trust.
//
// If client is not empty, all clients are of that kind.
func newContest(t *lab.T, scale lab.Scale, client string) *contest {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}})
	t.Fatal(err)
	t.Fatal(tlsutil.WriteFiles(cert, certFile, keyFile))
	c := &contest{lab.Contest{T: t, Client: t.Start("client"), Servers: make(map[string]*lab.Process), Scale: scale}}
	for _, side := range t.Present() {
		p := t.Start(side)
		a, _ := lab.Tell[answer](p, order{Do: doServe, Kind: pairs[side].server, CertificateFile: certFile, KeyFile: keyFile})
		p.Addr = a.Addr
		c.Servers[side] = p
		kind := cmp.Or(client, pairs[side].client)
		lab.Tell[answer](c.Client, order{Do: doDial, Kind: kind, Addr: p.Addr, CertificateFile: certFile})
	}
	return c
}

// work returns what has the client obey an order at a server. It is done so many times
// with one order.
func (c *contest) work(o order, count int) func(server *lab.Process) lab.Done {
	return func(server *lab.Process) lab.Done {
		o.Addr = server.Addr
		a, used := lab.Tell[answer](c.Client, o)
		return lab.Done{Count: count, Took: a.Took, CPU: used.CPU}
	}
}

// round is a round that has the CPU time of both ends together, too.
func (c *contest) round(work func(server *lab.Process) lab.Done) {
	c.Round(func(server *lab.Process) lab.Done {
		before := server.CPU()
		d := work(server)
		cpu := server.CPU() - before + d.CPU
		c.T.Record(server.Kind, bothCPU, cpu.Seconds()*1e6/float64(d.Count))
		return d
	})
}

// allocations has each side obey an order once more, and records what is allocated for
// each of so many calls: to ask for that stops the processes for a moment.
func (c *contest) allocations(o order, count int) {
	for _, side := range c.T.Present() {
		server := c.Servers[side]
		o.Addr = server.Addr
		before := server.Use()
		_, client := lab.Tell[answer](c.Client, o)
		c.T.Record(side, serverAllocations, float64(server.Use().Since(before).Mallocs)/float64(count))
		c.T.Record(side, clientAllocations, float64(client.Mallocs)/float64(count))
	}
}

// addCase adds chores with some calls at once.
func addCase(workers int) lab.Case {
	return lab.Case{
		Name: fmt.Sprintf("Add over TLS, calls at once: %d", workers),
		About: "Adds chores to lists in memory, one a call, over one connection of TLS 1.3. The number of each is checked, " +
			"and at the end the lists of the servers.",
		Sides:   lab.Sides(lab.Ours, plain, deadline, ourClient, ourServer, loggedSide, connect),
		Metrics: callMetrics(),
		Targets: []lab.Target{{Metric: calls.Rate, Than: plain, AtLeast: 0.9, Reason: addReason}},
		Run: func(t *lab.T) {
			runAdds(t, workers, lab.Of(t, map[int]int{1: 1500, 16: 3000, 128: 4000}[workers], 150))
		},
	}
}

// runAdds runs rounds of so many calls.
func runAdds(t *lab.T, workers, count int) {
	c := newContest(t, calls, "")
	o := order{Do: doAdd, Count: count, Workers: workers}
	add := c.work(o, count)
	c.Each(add) // to warm up
	sum := count
	o.Count = lab.Of(t, 500, 50) // of what is looked at for allocations
	for t.Round() {
		if !t.HasMetric(serverAllocations) {
			c.Round(add)
			sum += count
			continue
		}
		c.round(add)
		c.allocations(o, o.Count)
		sum += count + o.Count
	}
	for _, side := range t.Present() {
		lab.Tell[answer](c.Servers[side], order{Do: doCheck, Count: sum})
	}
}

// addGrowth is about the calls that one connection has under way.
func addGrowth() lab.Growth {
	return lab.Growth{
		Name: "Add over TLS, by calls at once",
		About: "Adds chores as above. A server of ours, as a connection allows 128 calls at once, has the others wait in the client; " +
			plain + " has no limit, and the net/http below " + connect + " has one of 250, beyond which its client opens further connections.",
		Axis: "calls at once",
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:    fmt.Sprintf("Add over TLS, calls at once: %d", n),
				Sides:   lab.Sides(lab.Ours, plain, connect),
				Metrics: calls.Metrics(),
				Run:     func(t *lab.T) { runAdds(t, n, max(lab.Of(t, 2000, 100), n)) },
			}
		},
	}
}

const elapsed = "ms elapsed"

// listCase gets a long list: ours by All, in pages, and plain as one message. That of plain
// is of a list that nobody can change.
func listCase() lab.Case {
	lists := lab.NewScale("lists/s", "ms", 1, 1e3)
	return lab.Case{
		Name: "List of 100,000 chores over TLS",
		About: "Gets the whole list: ours in pages of 1,000 chores, " + plain + " as one message, which at some 4 MB " +
			"is about as long as a client of gRPC takes unless it is told to take more. Each chore is compared.",
		Sides: lab.Sides(lab.Ours, plain, copying, paged, ourClient, pagedServer),
		Metrics: []lab.Metric{
			{Name: elapsed, Best: lab.Low},
			{Name: lists.Server, Best: lab.Low},
			{Name: lists.Client, Best: lab.Low},
			{Name: serverAllocations, Best: lab.Low},
			{Name: clientAllocations, Best: lab.Low},
			{Name: lists.Rate, Best: lab.None},
		},
		Targets: []lab.Target{{Metric: elapsed, Than: plain, AtMost: 1.3, Reason: listReason}},
		Run: func(t *lab.T) {
			count := lab.Of(t, 100_000, 2500)
			c := newContest(t, lists, "")
			for _, side := range t.Present() {
				lab.Tell[answer](c.Servers[side], order{Do: doFill, Count: count})
			}
			o := order{Do: doList, Count: count}
			list := c.work(o, 1)
			c.Each(list) // to warm up
			for t.Round() {
				c.Round(func(server *lab.Process) lab.Done {
					d := list(server)
					t.Record(server.Kind, elapsed, d.Took.Seconds()*1e3)
					return d
				})
				c.allocations(o, 1)
			}
		},
	}
}

const timesItsSize = "allocated, times the message's size"

// emptyCase sends a message that is small for what it makes the generated code allocate.
func emptyCase() lab.Case {
	return lab.Case{
		Name: "two million empty chores",
		About: "A client that means no good adds two million chores without a text, in one message of 4 MB, which is within gRPC's limit. " +
			"What is counted is what the server allocates for it, from pools that are empty. Ours has to refuse it as ResourceExhausted, " +
			"before it makes chores of it, and the generated code takes it.",
		Sides:   lab.Sides(lab.Ours, plain),
		Metrics: []lab.Metric{{Name: timesItsSize, Best: lab.Low}, {Name: "server CPU ms", Best: lab.Low}, {Name: elapsed, Best: lab.None}},
		Targets: []lab.Target{{Metric: timesItsSize, AtMost: 8}},
		Run: func(t *lab.T) {
			count := lab.Of(t, 2_000_000, 20_000)
			c := newContest(t, calls, plain)
			want := map[string]codes.Code{lab.Ours: codes.ResourceExhausted, plain: codes.OK}
			for t.Round() {
				for side := range t.Turns() {
					c.hostile(side, count, want[side])
				}
			}
		},
	}
}

// hostile has a side get the message once.
func (c *contest) hostile(side string, count int, want codes.Code) {
	t, server := c.T, c.Servers[side]
	before, cpu := server.Keeps(), server.CPU() // Keeps empties the pools
	a, _ := lab.Tell[answer](c.Client, order{Do: doHostile, Addr: server.Addr, Count: count})
	cpu = server.CPU() - cpu
	used := server.Use().Since(before)
	if a.Code != want.String() {
		t.Fatalf("%s: the call has ended as %s, want %v", side, a.Code, want)
	}
	t.Record(side, timesItsSize, float64(used.Bytes)/float64(count*len(emptyChore)))
	t.Record(side, "server CPU ms", cpu.Seconds()*1e3)
	t.Record(side, elapsed, a.Took.Seconds()*1e3)
	if side != lab.Ours {
		lab.Tell[answer](server, order{Do: doEmpty}) // or they would fill the memory
	}
}
