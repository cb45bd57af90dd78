//go:build linux

package tftpbench

import (
	"fmt"
	"slices"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// together is how many transfers run at once where they wait most of the time. With
// more of them the relays are late.
const together = 8

// across reads the file of the server through relays, one for each seed.
func across(t *lab.T, client, server *lab.Process, over network, seeds []uint64, o order) answer {
	var relays []*relay
	defer func() {
		for _, r := range relays {
			if err := r.close(); err != nil {
				t.Errorf("relay: %w", err)
			}
		}
	}()
	for _, seed := range seeds {
		r, err := newRelay(server.Addr, over, seed)
		t.Fatal(err)
		relays = append(relays, r)
		o.Addrs = append(o.Addrs, r.addr())
	}
	o.Do, o.Kind, o.Workers = "get", server.Kind, together
	a, _ := lab.Tell[answer](client, o)
	if err := a.failure(); err != nil && isOurs(server.Kind) {
		t.Fatalf("%s: %w", server.Kind, err)
	}
	return a
}

const (
	median  = "median ms"
	longest = "longest ms"
)

// A lossy is a case of a network that loses packets.
type lossy struct {
	loss   float64 // of each packet, each way
	window int
	sides  []lab.Side
	size   int           // of the file
	seeds  int           // in each round
	rounds int           // at most
	peer   time.Duration // how long one transfer of a peer may last
	target float64       // ms; 0 if there is none
}

// lossyCases are as much as there is time for: a transfer without a window lasts for
// seconds, and so does one whose request was lost. A peer that waits for seconds after each
// lost packet has one round.
func lossyCases() []lab.Case {
	noWindows := lab.Side{Name: kindPin, Cannot: "it has no windows (RFC 7440)"}
	return []lab.Case{
		lossy{
			loss: 0.01, window: 1, size: 1 << 20, seeds: together, rounds: 3, peer: 5 * time.Second, target: 4000,
			sides: lab.Sides(lab.Ours, kindPin, kindPack),
		}.Case(),
		lossy{
			loss: 0.01, window: 16, size: 1 << 20, seeds: 2 * together, rounds: 7, peer: 3 * time.Second, target: 300,
			sides: append(lab.Sides(lab.Ours, kindSingle, kindPack), noWindows),
		}.Case(),
		lossy{
			loss: 0.1, window: 1, size: 32 << 10, seeds: together, rounds: 2, peer: 3 * time.Second,
			sides: lab.Sides(lab.Ours, kindPin),
		}.Case(),
		lossy{
			loss: 0.1, window: 16, size: 256 << 10, seeds: together, rounds: 3, peer: 3 * time.Second,
			sides: append(lab.Sides(lab.Ours, kindPack), noWindows),
		}.Case(),
	}
}

// Case reads a file over a network with a round trip of 2 ms that loses packets.
func (l lossy) Case() lab.Case {
	c := lab.Case{
		Name: fmt.Sprintf("%.0f %% loss, window %d", 100*l.loss, l.window),
		About: fmt.Sprintf("Reads a file of %d KiB in blocks of 1428 through %d relays, %d at once, which deliver packets after 1 ms each way "+
			"and lose %.0f %% of them, others in each round. The times are those of the transfers of a round that completed; each byte is compared. "+
			"There are %d rounds at most; a peer has one, and each of its transfers %v.",
			l.size>>10, l.seeds, together, 100*l.loss, l.rounds, l.peer),
		Sides: l.sides,
		// A median is of what completed, so that a peer that gives up on most may have a low one.
		Metrics: []lab.Metric{{Name: completed, Best: lab.High}, {Name: median, Best: lab.Low}, {Name: longest, Best: lab.None}},
		Targets: []lab.Target{{Metric: completed, AtLeast: 100}},
		Rounds:  l.rounds,
		Run:     l.run,
	}
	if l.target > 0 {
		c.Targets = append(c.Targets, lab.Target{
			Metric: median, AtMost: l.target,
			Reason: "On a machine with other work the relays deliver late; the test of the package, whose network is in memory, keeps the limit.",
		})
	}
	return c
}

func (l lossy) run(t *lab.T) {
	size := lab.Of(t, l.size, 16<<10)
	servers := startServers(t, size)
	clients := make(map[string]*lab.Process) // of their own, as some cannot be stopped
	for _, side := range t.Present() {
		clients[side] = t.Start("client")
	}
	for next := uint64(1); t.Round(); next += 1000 {
		seeds := make([]uint64, lab.Of(t, l.seeds, 2))
		for i := range seeds {
			seeds[i] = next + uint64(i)
		}
		for side := range t.Turns() {
			o := order{Size: size, Block: 1428, Window: l.window, Limit: patience}
			if !isOurs(side) {
				o.Limit = lab.Of(t, l.peer, 50*time.Millisecond)
			}
			a := across(t, clients[side], servers[side], network{time.Millisecond, l.loss}, seeds, o)
			t.Record(side, completed, 100*float64(len(a.Took))/float64(len(seeds)))
			if len(a.Took) > 0 {
				slices.Sort(a.Took)
				t.Record(side, median, milliseconds(a.Took[len(a.Took)/2]))
				t.Record(side, longest, milliseconds(a.Took[len(a.Took)-1]))
			}
			if !isOurs(side) {
				t.GiveUp(side, "%d of %d transfers completed within %v each, and there was no other round", len(a.Took), len(seeds), o.Limit)
			}
		}
	}
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// longRounds are enough where most of the time is that of the way.
const longRounds = 4

// longWay reads a file over a round trip of 50 ms, with windows.
func longWay() lab.Case {
	const block, window, trip = 1428, 64, 50 * time.Millisecond
	const most = block * window / 1e6 // MB a round trip
	const share = "of the most"
	return lab.Case{
		Name: "long way",
		About: "Reads a file of 2 MiB in windows of 64 blocks of 1428 through a relay with a round trip of 50 ms; each byte is compared. " +
			"\"of the most\" is the rate as a part of one window each round trip. This case has four rounds.",
		Sides: []lab.Side{
			{Name: lab.Ours},
			{Name: kindSingle},
			{Name: kindPack},
			{Name: kindPin, Cannot: "it has no windows (RFC 7440)"},
		},
		Metrics: []lab.Metric{{Name: share, Best: lab.High}, {Name: inMiB.Rate, Best: lab.None}},
		Targets: []lab.Target{
			{Metric: share, AtLeast: 0.8},
			{Metric: share, Side: kindSingle, AtLeast: 0.8},
		},
		Rounds: longRounds,
		Run: func(t *lab.T) {
			size := lab.Of(t, 2<<20, 128<<10)
			servers, client := startServers(t, size), t.Start("client")
			for t.Round() {
				for side := range t.Turns() {
					o := order{Size: size, Block: block, Window: window, Limit: patience}
					if !isOurs(side) {
						o.Limit = 5 * time.Second
					}
					a := across(t, client, servers[side], network{delay: trip / 2}, []uint64{1}, o)
					if err := a.failure(); err != nil {
						t.GiveUp(side, "%v", err)
						continue
					}
					rate := float64(size) / 1e6 / a.Took[0].Seconds()
					t.Record(side, share, rate*trip.Seconds()/most)
					t.Record(side, inMiB.Rate, rate)
				}
			}
		},
	}
}
