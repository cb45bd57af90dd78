//go:build linux

package tftpbench

import (
	"fmt"
	"os"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// inMiB is the scale of transfers of large files.
var inMiB = lab.NewScale("MB/s", "ms/MiB", 1e-6, 1e3*(1<<20))

const blockMallocs = "server allocations a block"

// streamMetrics have the rate first, which the targets are about.
func streamMetrics() []lab.Metric {
	m := inMiB.Metrics()
	m[0], m[1] = m[1], m[0]
	return append(m, lab.Metric{Name: blockMallocs, Best: lab.Low})
}

// A setting is where the processes run.
type setting struct {
	name string // appended to the case's
	env  []string
	size int // of the file, so that a round takes long enough and not much longer
}

// singlePort is what one port for all transfers may cost.
func singlePort(metric, reason string) lab.Target {
	return lab.Target{Metric: metric, Side: kindSingle, Than: lab.Ours, AtLeast: 0.9, Reason: reason}
}

// lockStep reads a file with a window of one.
func lockStep(block int, at setting) lab.Case {
	const why = "Most of the server's time is system calls in both, and for each block both make the same ones: " +
		"a write, a read in vain, a wait for the poller, and a read. A thread that blocks in the read needs two, but it was " +
		"slower on two processors, and kept the process from other work on one. On several processors " +
		"the rate of each side depends most on where the scheduler puts the two processes."
	return lab.Case{
		Name: fmt.Sprintf("lock step, blocks of %d%s", block, at.name),
		About: fmt.Sprintf("Reads a file of %d MiB with a window of one block, from a server of its own kind; each byte is compared. "+
			"\"bare\" moves the same packets between connected sockets, with no protocol.", at.size>>20),
		Sides:   lab.Sides(lab.Ours, kindSingle, kindPin, kindPack, kindBare),
		Metrics: streamMetrics(),
		Targets: []lab.Target{
			{Metric: inMiB.Rate, Than: kindPin, AtLeast: 1.3, Reason: why},
			{Metric: inMiB.Rate, Than: kindBare, AtLeast: 0.85, Reason: why + " The ping-pong has no timers and no options to look at."},
			{Metric: blockMallocs, AtMost: 0.01, Reason: "What a transfer allocates once is divided by its blocks."},
			singlePort(inMiB.Rate, "Packets of one socket are told apart by their senders, which costs a look-up for each block."),
		},
		Run: func(t *lab.T) {
			race(t, 1, order{Size: lab.Of(t, at.size, 64<<10), Block: block, Window: 1}, at.env...)
		},
	}
}

// race lets the sides read a file in turn, so many times in each round.
func race(t *lab.T, turns int, o order, env ...string) {
	o.Do, o.Limit = "get", patience
	c := newContest(t, inMiB, o, env...)
	c.mallocs, c.per, c.turns = blockMallocs, o.Block, turns
	c.Each(c.stream) // to warm up
	c.run(c.stream)
}

// A window is a setting of the options that count for large files.
type window struct{ block, window int }

func (w window) String() string {
	if w.window == 1 {
		return fmt.Sprintf("blocks of %d", w.block)
	}
	return fmt.Sprintf("windows of %d blocks of %d", w.window, w.block)
}

var windows = []window{{1428, 16}, {512, 64}, {1428, 64}}

// windowTurns are how often each side reads the file in a round: once takes some 20 ms, which
// tells more of where the processes ran than of the sides.
const windowTurns = 4

// throughWindows reads a file with windows.
func throughWindows(w window) lab.Case {
	times := 2.0
	if w.block == 512 {
		times = 3
	}
	return lab.Case{
		Name: w.String(),
		About: fmt.Sprintf("Reads a file of 16 MiB with windows %d times, from a server of its own kind; each byte is compared. ", windowTurns) +
			"Ours sends and takes several packets with one system call.",
		Sides: []lab.Side{
			{Name: lab.Ours},
			{Name: kindSingle},
			{Name: kindStream},
			{Name: kindPack},
			{Name: kindPin, Cannot: "it has no windows (RFC 7440)"},
		},
		Metrics: streamMetrics(),
		Targets: []lab.Target{
			{Metric: inMiB.Rate, Than: kindPack, AtLeast: times},
			{Metric: inMiB.Server, Than: kindPack, AtMost: 0.5},
			singlePort(inMiB.Rate, "Both spend their time in the same system calls, and the shared socket adds a look-up and the control message "+
				"of the address to a window: bound to one processor, the two are within a tenth. "+
				"On two processors the rate of either depends most on where the scheduler puts the two processes."),
		},
		Run: func(t *lab.T) {
			race(t, lab.Of(t, windowTurns, 1), order{Size: lab.Of(t, 16<<20, 256<<10), Block: w.block, Window: w.window})
		},
	}
}

// userSettings are who may run a server and a client. Root has larger buffers than
// others.
func userSettings() []setting {
	list := []setting{{}, {name: ", without rights"}}
	if os.Getuid() == 0 {
		list[1].env = []string{lab.UserPrefix + "65534"}
	}
	return list
}

const completed = "completed %"

// peerTries is how often a peer may show that it cannot do a transfer.
const peerTries = 2

// largeWindows reads files in windows that overrun a receive buffer of the usual size.
func largeWindows(count int, at setting) lab.Case {
	const each = 15
	const limit = time.Second
	return lab.Case{
		Name: window{8192, count}.String() + at.name,
		About: fmt.Sprintf("Reads a file of 8 MiB %d times, in windows that are larger than the receive buffer "+
			"that a socket has at first; each byte is compared. A peer reads it once, within a second, "+
			"which is many times what it takes, and has no more turns when it failed %d times.", each, peerTries),
		Sides: []lab.Side{
			{Name: lab.Ours},
			{Name: kindSingle},
			{Name: kindPack},
			{Name: kindPin, Cannot: "it has no windows (RFC 7440)"},
		},
		Metrics: []lab.Metric{{Name: completed, Best: lab.High}, {Name: inMiB.Rate, Best: lab.High}, {Name: inMiB.Server, Best: lab.Low}},
		Targets: []lab.Target{
			{Metric: completed, AtLeast: 100},
			{Metric: completed, Side: kindSingle, AtLeast: 100},
		},
		Run: func(t *lab.T) {
			o := order{Do: "get", Size: lab.Of(t, 8<<20, 1<<20), Block: 8192, Window: count}
			servers, client := startServers(t, o.Size, at.env...), t.Start("client", at.env...)
			fails := make(map[string]int)
			for t.Round() {
				for side := range t.Turns() {
					o.Kind, o.Addrs, o.Limit = side, nil, patience
					for range lab.Of(t, each, 2) {
						o.Addrs = append(o.Addrs, servers[side].Addr)
					}
					if !isOurs(side) {
						o.Addrs, o.Limit = o.Addrs[:1], lab.Of(t, limit, 20*time.Millisecond)
					}
					fails[side] += recordLarge(t, client, servers[side], o, fails[side] == 0)
					if fails[side] >= peerTries {
						t.GiveUp(side, "%d transfers failed", fails[side])
					}
				}
			}
		},
	}
}

// recordLarge has a client obey, and returns how many transfers failed. A side that has failed
// has no rate from then on, as rates are compared round by round.
func recordLarge(t *lab.T, client, server *lab.Process, o order, wellSoFar bool) (fails int) {
	before := server.CPU()
	a, _ := lab.Tell[answer](client, o)
	cpu := server.CPU() - before
	if err := a.failure(); err != nil && isOurs(o.Kind) {
		t.Fatalf("%s: %w", o.Kind, err)
	}
	t.Record(o.Kind, completed, 100*float64(len(a.Took))/float64(len(o.Addrs)))
	if n := float64(o.Size) * float64(len(a.Took)); n > 0 && wellSoFar {
		t.Record(o.Kind, inMiB.Rate, n/a.All.Seconds()*inMiB.PerRate)
		t.Record(o.Kind, inMiB.Server, cpu.Seconds()/n*inMiB.PerSecond)
	}
	return len(a.Fails)
}
