//go:build linux

package heartbeatbench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/bench/lab"
)

// The metrics of pairs.
const (
	beatCPU         = "CPU µs/beat"
	addedMemory     = "user B added"
	addedGoroutines = "goroutines added"
	roundTrips      = "round trips/beat"
)

func pairsMetrics() []lab.Metric {
	return []lab.Metric{{Name: beatCPU}, {Name: addedMemory}, {Name: addedGoroutines}, {Name: roundTrips, Best: lab.None}}
}

// pairsCase compares both ends of connections that one process holds.
func pairsCase() lab.Case {
	return lab.Case{
		Name: "keep-alive of 1,000 connections",
		About: "Both ends of each connection, which one process holds, are to notice within a tenth of a second that the other is there. " +
			"The CPU time is that of one connection and one such beat. Ours takes the ping of either end for a sign of life at the other one, so that one round trip does for both; " +
			"yamux has both ends ping. A single round trip costs both about as much, as most of it is the kernel's. " +
			"Memory and goroutines are what a pair adds to two bare ends that are read. The round trips are counted; where they are fewer than one a beat, or two with yamux, the machine had too much else to do.",
		Sides:   lab.Sides(lab.Ours, mux),
		Metrics: pairsMetrics(),
		Targets: []lab.Target{{Metric: beatCPU, Than: mux, AtMost: 0.6, Reason: muxReason}},
		Run: func(t *lab.T) {
			runPairs(t, lab.Of(t, 1000, 10), lab.Of(t, 100*time.Millisecond, 50*time.Millisecond), lab.Of(t, 5, 1))
		},
	}
}

// pairsGrowth ends where a process has no more descriptors, of which a pair takes two.
func pairsGrowth() lab.Growth {
	return lab.Growth{
		Name: "keep-alive of connections", Axis: "connections",
		About: "As above, at beats of 0.4 s, so that 5,000 connections do not take all of two processors. " +
			"Ours spreads its pings by a tenth, so that those of a few connections wake the process one by one; sessions of yamux that were opened together ping together. " +
			"A process that may open 20,000 files holds both ends of not many more.",
		Points: []int{1, 10, 100, 1000, 5000},
		Case: func(n int) lab.Case {
			return lab.Case{
				Name: fmt.Sprintf("keep-alive of %d connections", n), Sides: lab.Sides(lab.Ours, mux), Metrics: pairsMetrics(),
				Run: func(t *lab.T) { runPairs(t, n, lab.Of(t, 400*time.Millisecond, 50*time.Millisecond), 1) },
			}
		},
	}
}

func runPairs(t *lab.T, count int, beat time.Duration, beats int) {
	t.NeedFiles(2*count + 100)
	for t.Round() {
		base := onePairs(t, bare, count, beat, 0)
		for side := range t.Turns() {
			c := onePairs(t, side, count, beat, beats)
			// Of ours there may be two, where both ends ping at the same time. A machine that
			// has much else to do is late.
			if !t.Tiny && (c.answered < 0.05 || c.answered > 2.2+1/float64(beats)) {
				t.Fatalf("%s: %.2f round trips in a beat, want 1 to 2", side, c.answered)
			}
			t.Record(side, roundTrips, c.answered)
			t.Record(side, beatCPU, c.beat*1e6)
			t.Record(side, addedMemory, c.grown.User-base.grown.User)
			t.Record(side, addedGoroutines, c.grown.Goroutines-base.grown.Goroutines)
		}
	}
}

// A pairsCost is what pairs have used.
type pairsCost struct {
	beat     float64       // seconds of CPU time
	answered float64       // pings for each beat
	grown    lab.Footprint // by each
}

// onePairs has a new process hold pairs for a while.
func onePairs(t *lab.T, side string, count int, beat time.Duration, beats int) (c pairsCost) {
	p := t.Start(side)
	before := p.Footprint()
	lab.Tell[answer](p, order{Do: "open", Side: side, Count: count, Interval: beat})
	if beats > 0 {
		time.Sleep(5 * beat / 4) // until all have begun
		first, _ := lab.Tell[answer](p, order{Do: "pongs"})
		begin := time.Now()
		cpu := load(p, time.Duration(beats)*beat)
		last, _ := lab.Tell[answer](p, order{Do: "pongs"})
		done := float64(count) * time.Since(begin).Seconds() / beat.Seconds()
		c.beat, c.answered = cpu*beat.Seconds()/float64(count), float64(last.Pongs-first.Pongs)/done
	}
	c.grown = p.Footprint().Since(before, count)
	p.End() // so that the next is alone
	return c
}

// A pairs is connections that a child holds both ends of until it ends. Both ends have a heartbeat,
// as each wants to know of the other's end, and both are read.
type pairs struct {
	listener  net.Listener
	scheduler heartbeat.Scheduler
	config    heartbeat.Config
	pongs     atomic.Int64 // of ours
	frames    atomic.Int64 // of yamux: a ping or its answer
	ends      []io.Closer
}

func openPairs(side string, count int, beat time.Duration) (*pairs, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &pairs{listener: l}
	p.config = heartbeat.Config{
		Interval: beat, Timeout: 10 * time.Second, Jitter: 0.1, Scheduler: &p.scheduler,
		Ping: frame(heartbeat.Ping), Pong: frame(heartbeat.Pong),
		// The length of a message, and its kind, in the shape of yamux's frames.
		Next: func(b []byte) (int, heartbeat.Kind) {
			if len(b) < 12 {
				return 0, heartbeat.Data
			}
			kind := heartbeat.Kind(b[1])
			if kind == heartbeat.Pong {
				p.pongs.Add(1)
			}
			return 12 + int(binary.BigEndian.Uint32(b[8:])), kind
		},
	}
	for i := range count {
		if err := p.open(side, beat); err != nil {
			return nil, errors.Join(fmt.Errorf("connection %d: %w", i+1, err), p.close())
		}
	}
	return p, nil
}

func frame(kind heartbeat.Kind) []byte {
	return []byte{0, byte(kind), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
}

// open opens one pair.
func (p *pairs) open(side string, beat time.Duration) error {
	client, err := net.Dial("tcp", p.listener.Addr().String())
	if err != nil {
		return err
	}
	server, err := p.listener.Accept()
	if err != nil {
		return errors.Join(err, client.Close())
	}
	// A reset at the end spares the system a minute of TIME_WAIT for each.
	if err := client.(*net.TCPConn).SetLinger(0); err != nil {
		return err
	}
	switch side {
	case bare:
	case lab.Ours:
		client, server = heartbeat.NewConn(client, p.config), heartbeat.NewConn(server, p.config)
	case mux:
		client, server = &frames{client, p}, &frames{server, p}
		config := yamux.DefaultConfig() // both ends ping
		config.LogOutput, config.KeepAliveInterval = io.Discard, beat
		c, err := yamux.Client(client, config)
		s, err2 := yamux.Server(server, config)
		p.ends = append(p.ends, c, s)
		return errors.Join(err, err2)
	default:
		return fmt.Errorf("no heartbeat is called %q", side)
	}
	p.ends = append(p.ends, client, server)
	go discard(client)
	go discard(server)
	return nil
}

// A frames counts what yamux writes, which is a frame a call.
type frames struct {
	net.Conn
	pairs *pairs
}

func (f *frames) Write(b []byte) (int, error) {
	f.pairs.frames.Add(1)
	return f.Conn.Write(b)
}

// answered is how many pings were answered.
func (p *pairs) answered() int { return int(p.pongs.Load() + p.frames.Load()/2) }

// discard reads until the connection is closed. It has a buffer of its own, as io.Copy needs
// more for some connections than for others.
func discard(r io.Reader) {
	b := make([]byte, 512)
	for {
		if _, err := r.Read(b); err != nil {
			return // which says nothing but that
		}
	}
}

func (p *pairs) close() error {
	for _, c := range p.ends {
		_ = c.Close() // whose other end may have reset it
	}
	return p.listener.Close()
}
