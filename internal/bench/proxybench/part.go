//go:build linux

// Package proxybench measures package proxy.
package proxybench

import "github.com/netparts/netparts/internal/bench/lab"

// Part is what is measured.
func Part() lab.Part {
	return lab.Part{
		Name: "proxy",
		Job:  "streams passed on to an upstream, with everything on that a Server can do to all of them",
		Peers: []lab.Peer{
			{Name: spliceOnly, What: "a bare loop of splice(2) each way: no limits of time, no counters, one way to end"},
			{Name: ioCopy, What: "two calls of io.Copy a connection, which splice between TCP connections"},
			{Name: tcpProxy, What: "the proxy that most programs in Go take", Module: "github.com/inetaf/tcpproxy"},
			{Name: haproxy, What: "HAProxy with two threads, which copies, with the buffers that it takes by itself", Version: versionOf(haproxy)},
			{Name: haproxySplice, What: "the same with the options splice-request and splice-response", Version: versionOf(haproxySplice)},
			{Name: nginx, What: "the stream module of nginx, with two workers and the buffers that it takes by itself", Version: versionOf(nginx)},
			{Name: direct, What: "no proxy at all: the client connects to the upstream"},
			{Name: uncounted, What: "Relay of ours without counters"},
			{Name: goProxyProto, What: "headers of the PROXY protocol", Module: "github.com/pires/go-proxyproto"},
		},
		Cases: []lab.Case{
			bulk("one stream of TCP", 1, lab.Target{Metric: lab.Streams.Server, Than: spliceOnly, AtMost: 1.1, Reason: bulkReason}),
			bulk("eight streams of TCP", 8, lab.Target{Metric: lab.Streams.Server, Than: haproxy, AtMost: 0.4}),
			unprivileged(), unixStreams(), counters(),
			requests(), connections(), latencies(), idleMemory(),
			parseHeader(1), parseHeader(2), formatHeader(1), formatHeader(2),
		},
		Growths:    []lab.Growth{requestGrowth(), memoryGrowth()},
		Conclusion: conclusion,
		Child:      runChild,
	}
}

func versionOf(side string) func() (string, error) {
	p := programs[side]
	return p.version
}

const conclusion = `- In a program of Go, take this package rather than a pair of io.Copy or tcpproxy where many pairs are open at once: an idle pair takes about a third of their memory and of their descriptors, and a process that is not root goes on splicing beside hundreds of idle pairs, which they do not.
- In bulk, limits of time, counters and resets that are passed on cost next to nothing against a bare splice loop, and as root with few pairs io.Copy and tcpproxy are as good. nginx, and HAProxy unless it is told to splice, copy instead, which takes two to four times the CPU.
- HAProxy that is told to splice needs more than one and a half times the CPU of ours for one stream of TCP, about three times as much for eight, and no more from Unix socket to Unix socket. HAProxy and nginx have the sizes of buffers and pipes here that they take by themselves; larger ones may serve bulk better.
- Where requests are short and connections many, nearly all of the cost is system calls and the wake-ups of threads. The proxies in Go are within about a sixth of each other, and HAProxy and nginx need less CPU than any of them: about four fifths for a request, and about two thirds for a connection. Who needs no more than a TCP proxy, as a program, for such traffic is better served by one of these two.
- HAProxy takes the least memory for an idle pair, somewhat more than half of ours. nginx takes about as much as ours after little traffic, and more after much.
- Any proxy more than doubles the latency of a request on loopback, where it is a matter of two wake-ups more. HAProxy and nginx add somewhat less than the proxies in Go do, which differ little.`
