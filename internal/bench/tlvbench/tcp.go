//go:build linux

package tlvbench

import (
	"fmt"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The metrics of connections.
const (
	bothCPU          = "CPU ns"
	rate             = "records/s"
	senderCPU        = "sender CPU ns"
	receiverCPU      = "receiver CPU ns"
	connectionMemory = "user B/connection"
)

// A link is two processes with connections between them.
type link struct{ sender, receiver *lab.Process }

// connect starts the processes of a side, and returns what the one that receives needed
// before there was a connection.
func connect(t *lab.T, o order) (l link, before lab.Footprint) {
	l = link{sender: t.Start(o.Side + " sender"), receiver: t.Start(o.Side + " receiver")}
	before = l.receiver.Footprint()
	o.Do = "listen"
	a, _ := lab.Tell[answer](l.receiver, o)
	o.Do, o.Addr = "dial", a.Addr
	lab.Tell[answer](l.sender, o)
	return l, before
}

// transfer sends so many records in the way that do says, and returns what it has cost.
func (l link) transfer(do string, count int) (sender, receiver, took time.Duration) {
	lab.Tell[answer](l.receiver, order{Do: "expect", Count: count})
	sent, got := l.sender.CPU(), l.receiver.CPU()
	begin := time.Now()
	lab.Tell[answer](l.sender, order{Do: do, Count: count})
	lab.Tell[answer](l.receiver, order{Do: "received"})
	took = time.Since(begin)
	return l.sender.CPU() - sent, l.receiver.CPU() - got, took
}

// streamed are how many records each side sends in a turn, which takes a tenth of a second:
// a side that is a hundred times slower cannot send as many.
var streamed = map[int]map[string]int{
	16:       {lab.Ours: 3 << 20, byHand: 2 << 20, delim: 512 << 10, gathered: 1 << 20, plain: 16 << 10},
	1 << 10:  {lab.Ours: 128 << 10, byHand: 128 << 10, delim: 64 << 10, gathered: 64 << 10, plain: 16 << 10},
	64 << 10: {lab.Ours: 2 << 10, byHand: 2 << 10, delim: 1 << 10, gathered: 2 << 10, plain: 2 << 10},
}

// stream sends records over one connection.
func stream(size int) lab.Case {
	c := lab.Case{
		Name: fmt.Sprintf("TCP, values of %d bytes", size),
		About: "One process sends records over a connection of the loopback, gathered where the side can and flushed at the end, and another one reads them. " +
			`"plain" writes each part of a record to the connection, and reads it from there. The figures are for one record, the first for both processes together. ` +
			"A side sends as many as it can in about a tenth of a second. The length of every value is looked at, and the bytes of each 16th.",
		Sides:   lab.Sides(lab.Ours, byHand, delim, gathered, plain),
		Metrics: []lab.Metric{{Name: bothCPU}, {Name: rate, Best: lab.High}, {Name: senderCPU, Best: lab.None}, {Name: receiverCPU, Best: lab.None}},
		Run:     func(t *lab.T) { runStream(t, size) },
	}
	switch size {
	case 16:
		c.Targets = []lab.Target{{Metric: rate, Than: plain, AtLeast: 10}}
	case 1 << 10:
		c.Targets = []lab.Target{{Metric: rate, Than: plain, AtLeast: 2}}
	}
	return c
}

func runStream(t *lab.T, size int) {
	links := make(map[string]link)
	for _, side := range t.Present() {
		links[side], _ = connect(t, order{Side: side, Size: size, Ahead: ahead, Conns: 1})
		links[side].transfer("send", 2*batch) // to warm up
	}
	for t.Round() {
		for side := range t.Turns() {
			count := lab.Of(t, streamed[size][side], 8*batch)
			sender, receiver, took := links[side].transfer("send", count)
			n := float64(count)
			t.Record(side, bothCPU, float64(sender+receiver)/n)
			t.Record(side, rate, n/took.Seconds())
			t.Record(side, senderCPU, float64(sender)/n)
			t.Record(side, receiverCPU, float64(receiver)/n)
		}
	}
}

const (
	crowdSize = 64             // bytes of a value
	crowdSent = 20_000 * batch // records in a turn
)

// connectionsCPU and connectionsMemory are growths.
func connectionsCPU() lab.Growth {
	return connections("CPU of receiving", "The CPU time is that of the receiving process for a record. With few connections it depends most on how often the reader sleeps, which differs from run to run.",
		receiverCPU, func(t *lab.T, n int) int { return lab.Of(t, crowdSent, n*batch) })
}

func connectionsMemory() lab.Growth {
	return connections("memory of receiving", "The memory is that of the receiving process for a connection after that, without garbage and without the kernel's part. With few connections nearly all of it is what the process takes for the first one.",
		connectionMemory, func(_ *lab.T, n int) int { return n * batch })
}

// connections tells one metric. In a turn of n connections, count is how many records are
// sent.
func connections(name, what, metric string, count func(t *lab.T, n int) int) lab.Growth {
	return lab.Growth{
		Name: name, Axis: "connections",
		About: fmt.Sprintf("One process sends records of %d bytes, 16 at once on each connection in turn, and another one reads them with a goroutine for each connection. ", crowdSize) +
			what + " Where there is a bufio.Reader, it has its usual 4 KiB. All lengths are looked at, and the bytes of each 16th value.",
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:    fmt.Sprintf("%s, %d connections", name, n),
				Sides:   lab.Sides(lab.Ours, gathered, delim),
				Metrics: []lab.Metric{{Name: metric}},
				Run:     func(t *lab.T) { runConnections(t, n, count(t, n), metric) },
			}
		},
	}
}

func runConnections(t *lab.T, n, count int, metric string) {
	t.NeedFiles(n + 100)
	links, before := make(map[string]link), make(map[string]lab.Footprint)
	for _, side := range t.Present() {
		links[side], before[side] = connect(t, order{Side: side, Size: crowdSize, Ahead: 4 << 10, Conns: n})
		links[side].transfer("send bursts", n*batch) // so that each has had some
	}
	for t.Round() {
		for side := range t.Turns() {
			_, receiver, _ := links[side].transfer("send bursts", count)
			if metric == receiverCPU {
				t.Record(side, metric, float64(receiver)/float64(count))
			} else {
				t.Record(side, metric, links[side].receiver.Footprint().Since(before[side], n).User)
			}
		}
	}
}
