//go:build linux

package proxybench

import (
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The metrics of an idle pair.
const (
	pairMemory   = "KiB"
	userMemory   = "of it user KiB"
	kernelMemory = "kernel KiB"
	pairHeap     = "heap KiB"
	pairFiles    = "files"
	pairPipes    = "ends of pipes"
)

// memoryRounds are enough for figures that hardly differ, since each takes long.
const memoryRounds = 3

// idleMemory shows what a pair costs that has nothing to do.
func idleMemory() lab.Case {
	return lab.Case{
		Name:  "memory of an idle pair",
		About: "The client opens 1,000 connections through the proxy, each carries 256 KiB each way, which are compared, and waits. User memory is anonymous pages of the process (RssAnon) without garbage. The kernel's is what the machine needs more than for as many connections without a proxy, so that of the pair's own two sockets and of its files and pipes. This case has three rounds.",
		Sides: goAndPrograms(),
		Metrics: []lab.Metric{
			{Name: pairMemory, Best: lab.Low},
			{Name: userMemory, Best: lab.Low},
			{Name: kernelMemory, Best: lab.None},
			{Name: pairHeap, Best: lab.None},
			{Name: pairFiles, Best: lab.None},
			{Name: pairPipes, Best: lab.None},
		},
		Targets: []lab.Target{
			{Metric: pairMemory, AtMost: 16, Reason: memoryReason},
			{Metric: pairFiles, AtMost: 2},
			{Metric: pairPipes, Zero: true},
		},
		Rounds: memoryRounds,
		Run: func(t *lab.T) {
			r := newBackend(t, "tcp")
			bare := &lab.Process{Kind: direct, Addr: r.upstream()} // which is no process
			for t.Round() {
				r.memoryRound(bare, lab.Of(t, 1000, 20))
			}
		},
	}
}

const memoryReason = "Two goroutines with the small stacks that they begin with, the two connections and the timer of the pair are the user's part, and two sockets the kernel's, which it rounds up to whole slabs: what others do on the machine meanwhile counts too."

// memoryRound measures each side in turn, at a proxy that is new: one that had as many
// pairs before keeps some of what they took.
func (r *rig) memoryRound(bare *lab.Process, count int) {
	base := r.grown(r.client, bare, count) // the kernel's part is of the whole machine
	for side := range r.t.Turns() {
		p := proxyPlan{side: side, kind: side, network: r.network, upstream: r.upstream(), pairs: usualPairs}
		server := p.start(r.t)
		if !r.t.Has(side) {
			continue
		}
		f := r.grown(server, server, count)
		if !r.t.Has(side) {
			continue
		}
		kernel := f.Kernel - base.Kernel
		r.t.Record(side, pairMemory, (f.User+kernel)/1024)
		r.t.Record(side, userMemory, f.User/1024)
		r.t.Record(side, kernelMemory, kernel/1024)
		r.t.Record(side, pairHeap, f.Heap/1024)
		r.t.Record(side, pairFiles, f.Files)
		r.t.Record(side, pairPipes, f.Pipes)
	}
}

// grown is what a process needs more for each of so many connections to a server.
func (r *rig) grown(p, server *lab.Process, count int) lab.Footprint {
	r.hold(server, 8) // to warm up
	r.release()
	r.idle(server)
	before := p.Footprint()
	r.hold(server, count)
	r.idle(server)
	f := p.Footprint().Since(before, count)
	r.release()
	return f
}

// hold opens connections that carry something.
func (r *rig) hold(server *lab.Process, count int) {
	r.held = by(r.t, r.client, order{Do: doHold, Network: r.network, Count: count, Size: chunk})(server).Count
	if r.held == count {
		r.settle()
	}
}

// release closes them.
func (r *rig) release() {
	lab.Tell[answer](r.client, order{Do: doRelease})
	r.held = 0
	r.settle()
}

// idle waits until ours has closed the pipes that nobody uses, which takes two seconds.
func (r *rig) idle(server *lab.Process) {
	if server.Kind == lab.Ours {
		time.Sleep(lab.Of(r.t, 2200*time.Millisecond, 0))
	}
}
