//go:build linux

// Package heartbeatbench measures package heartbeat.
package heartbeatbench

import "github.com/netparts/netparts/internal/bench/lab"

// The sides beside lab.Ours.
const (
	goroutine = "goroutine and timer"
	timers    = "timer alone"
	clock     = "time.Since"
	reset     = "Timer.Reset"
	channel   = "channel"
	mux       = "yamux"

	bare = "bare" // connections that are read and have no heartbeat, from which others are told
)

// Part is what is measured.
func Part() lab.Part {
	return lab.Part{
		Name: "heartbeat",
		Job:  "many pingers in one process, and keep-alive of connections",
		Peers: []lab.Peer{
			{Name: goroutine, What: "a goroutine, a timer and a channel for each pinger, in the shape of Network Programming with Go; a touch is sent over the channel"},
			{Name: timers, What: "a time.AfterFunc for each pinger, that a touch resets; nobody looks whether answers come"},
			{Name: clock, What: "reading the clock and nothing else"},
			{Name: reset, What: "Reset of a time.AfterFunc"},
			{Name: channel, What: "a send to a goroutine that resets its timer, over a channel without a buffer"},
			{Name: mux, What: "a multiplexer of streams, whose sessions ping each other; here without a stream", Module: "github.com/hashicorp/yamux"},
		},
		Cases:      []lab.Case{fleetsCase(), touchCase(), pairsCase()},
		Growths:    []lab.Growth{fleetsGrowth("CPU of idle pingers", pingCPU), fleetsGrowth("memory of pingers", pingerMemory), pairsGrowth()},
		Child:      child,
		Conclusion: conclusion,
	}
}

const conclusion = `- Up to some hundred connections any design will do: choose by what it notices and how it fails. What ours is for then is the verdict: when a peer is silent, that a stopped process does not accuse, that a Write that blocks does not hang.
- For thousands of connections do without a goroutine for each pinger: its stack is nearly all of the memory, and a touch that goes over a channel costs as much as two switches of goroutines.
- A time.AfterFunc for each connection is a good design too, and smaller than ours: it needs no package where a ping now and then is all that is wanted. It costs more when there is much traffic, since each arrival resets a timer, and nobody looks whether answers come.
- A touch costs what reading the clock costs. Where even that is too much, touch once for a batch of reads.
- For keep-alive alone yamux is the wrong tool, for memory and goroutines above all. Who needs its streams has its keep-alive for little more: a single round trip costs as much as ours, which needs one where yamux makes two.`

const (
	idleReason = "To wake up a process is most of what is left, in the kernel and in the runtime's scheduler. Ours does so some 30 times a second, " +
		"and how much dearer the wake-ups of a goroutine each are depends on how busy the machine is."
	touchReason = "Reading the clock is nearly all of it, as the row of time.Since shows, and how long that takes is the machine's. " +
		"A touch that does not note the time would make the pings inexact."
	muxReason = "The system calls that send and receive a ping and its answer are about four fifths of ours in the profile, and there is one of each. " +
		"Where both ends ping at the same time there are two round trips, as yamux always has. On a machine that is late that happens more often, and yamux pings less often than it is asked to, which its round trips show."
)
