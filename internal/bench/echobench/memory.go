//go:build linux

package echobench

import (
	"fmt"
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// The metrics of what idle connections take, for each of them.
const (
	userBytes   = "user B"
	kernelBytes = "kernel B"
	bothBytes   = "user and kernel B"
	heapBytes   = "heap B"
	stackBytes  = "stacks B"
	files       = "files"
	pipes       = "of them pipes"
)

// idleCase shows what a connection costs that has nothing to do: after requests of 64
// bytes, and after some of 16 KiB besides.
//
// The user part is the growth of the anonymous pages of the server's process
// (RssAnon), after garbage and free pages are given up, since before the
// connections were opened; so it has stacks, and what does not fill a page. For the kernel
// part see [lab.Process.Footprint].
func idleCase(largest int) lab.Case {
	sizes := []int{requestSize}
	after := fmt.Sprintf("requests of %d bytes", requestSize)
	if largest > requestSize {
		sizes = append(sizes, largest)
		after += fmt.Sprintf(" and some of %d", largest)
	}
	return lab.Case{
		Name: "memory of an idle connection, after " + after,
		About: "What each of 1,000 connections to a new server takes when it has nothing more to do: the growth of the memory of the server's process without garbage (user), of which its heap and its stacks are parts, " +
			"and that of the kernel's memory for both ends (kernel), which cannot be told apart from what else happens on the machine. All replies before are compared with what was sent.",
		Sides: lab.Sides(lab.Ours, plain, copying, events),
		Metrics: []lab.Metric{
			{Name: userBytes, Best: lab.Low},
			{Name: bothBytes, Best: lab.Low},
			{Name: kernelBytes, Best: lab.None},
			{Name: heapBytes, Best: lab.None},
			{Name: stackBytes, Best: lab.None},
			{Name: files, Best: lab.None},
			{Name: pipes, Best: lab.None},
		},
		Targets: []lab.Target{{Metric: userBytes, Than: plain, AtMost: 0.6}},
		Run: func(t *lab.T) {
			client, count := t.Start("client"), lab.Of(t, 1_000, 10)
			for t.Round() {
				for side := range t.Turns() {
					before, after := idle(t, client, side, count, sizes)
					f := after.Since(before, count)
					t.Record(side, userBytes, f.User)
					t.Record(side, bothBytes, f.User+f.Kernel)
					t.Record(side, kernelBytes, f.Kernel)
					t.Record(side, heapBytes, f.Heap)
					t.Record(side, stackBytes, f.Stacks)
					t.Record(side, files, f.Files)
					t.Record(side, pipes, f.Pipes)
				}
			}
		},
	}
}

// idle is what a new server takes before and after so many connections have made requests
// of each size. The server is gone then.
func idle(t *lab.T, client *lab.Process, side string, count int, sizes []int) (before, after lab.Footprint) {
	server := t.Start(side)
	defer func() {
		server.End()
		// The kernel frees what the sockets had a while after they are closed.
		time.Sleep(lab.Of(t, 100*time.Millisecond, 0))
	}()
	listen(t, server, side, "tcp")
	open := func(conns int) {
		ask(client, server, order{Do: doOpen, Count: conns})
		for _, size := range sizes {
			ask(client, server, order{Do: doAsk, Count: 2 * conns, Size: size})
		}
	}
	open(1) // to warm up
	ask(client, server, order{Do: doClose})
	before = server.Footprint()
	open(count)
	after = server.Footprint()
	ask(client, server, order{Do: doClose})
	return before, after
}

// The metrics of a server with idle connections.
const (
	allMegabytes    = "MB"
	userMegabytes   = "user MB"
	kernelMegabytes = "kernel MB"
)

// idleGrowth shows all that a server takes with idle connections, not the growth: with few
// of them that would be what the runtime and others on the machine do meanwhile.
func idleGrowth() lab.Growth {
	return lab.Growth{
		Name: "memory with idle connections",
		About: fmt.Sprintf("Memory of the server's process, all of it, when so many connections have made two requests of %d bytes each and have nothing more to do, "+
			"and what the kernel has for both ends of them. With none it is that of this program, which has the code of all peers.", requestSize),
		Axis: "connections",
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:  fmt.Sprintf("memory with %d idle connections", n),
				Sides: requestSides(),
				Metrics: []lab.Metric{
					{Name: allMegabytes, Best: lab.Low}, {Name: userMegabytes, Best: lab.Low}, {Name: kernelMegabytes, Best: lab.None},
				},
				Run: func(t *lab.T) {
					needDescriptors(t, n)
					client := t.Start("client")
					for t.Round() {
						for side := range t.Turns() {
							before, after := idle(t, client, side, n, []int{requestSize})
							kernel := after.Kernel - before.Kernel
							t.Record(side, allMegabytes, (after.User+kernel)/1e6)
							t.Record(side, userMegabytes, after.User/1e6)
							t.Record(side, kernelMegabytes, kernel/1e6)
						}
					}
				},
			}
		},
	}
}
