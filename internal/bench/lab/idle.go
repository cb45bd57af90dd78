//go:build linux

package lab

import "time"

// These are the metrics of [IdleMetrics].
const (
	idleUser   = "user bytes"
	idleKernel = "kernel bytes, both ends"
	idleHeap   = "of it heap"
	idleStacks = "of it stacks"
)

// IdleMetrics are the memory of one thing that is open and has nothing to do; see
// [Footprint].
func IdleMetrics() []Metric {
	return []Metric{{idleUser, Low}, {idleHeap, None}, {idleStacks, None}, {idleKernel, None}}
}

// RecordIdle notes by how much the footprint of a side's server grows with each of the n
// things that open opens.
func (t *T) RecordIdle(side string, server *Process, n int, open func()) {
	before := server.Footprint()
	open()
	f := server.Footprint().Since(before, n)
	t.Record(side, idleUser, f.User)
	t.Record(side, idleHeap, f.Heap)
	t.Record(side, idleStacks, f.Stacks)
	t.Record(side, idleKernel, f.Kernel)
}

// EndIdle ends a server and its client, so that the rounds do not add up to more files
// than a process may have open.
func (t *T) EndIdle(server, client *Process) {
	client.End()
	server.End()
	// The kernel frees what the sockets had a while after they are closed.
	time.Sleep(Of(t, 100*time.Millisecond, 0))
}
