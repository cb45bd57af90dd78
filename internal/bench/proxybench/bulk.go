//go:build linux

package proxybench

import (
	"errors"
	"fmt"
	"os"

	"github.com/netparts/netparts/internal/bench/lab"
)

const bulkReason = "Nearly all of the time of both is within splice. What ours has besides is a read before each wait, about a fiftieth of the time, since a splice cannot tell the end of what there is from urgent data. The rest is noise: how large the pieces are in which a stream arrives depends on how the sender, the proxy and the receiver share the processors."

// bulk has the backend stream to the client.
func bulk(name string, count int, target lab.Target) lab.Case {
	return lab.Case{
		Name:    name,
		About:   "The backend streams to the client through the proxy. The client compares every byte.",
		Sides:   sides(lab.Ours, spliceOnly, ioCopy, tcpProxy, haproxy, haproxySplice, nginx),
		Metrics: lab.Streams.Metrics(),
		Targets: []lab.Target{target},
		Run: func(t *lab.T) {
			r := newRig(t, "tcp", lab.Streams, nil, nil)
			r.stream(count, lab.Of(t, 384<<20, 2<<20))
		},
	}
}

// unixStreams is the same from one Unix socket to another.
func unixStreams() lab.Case {
	list := sides(lab.Ours, spliceOnly, ioCopy, tcpProxy, haproxy, haproxySplice, nginx)
	return lab.Case{
		Name:    "one stream from Unix socket to Unix socket",
		About:   "The backend streams to the client through the proxy, both over Unix sockets. The client compares every byte. io.Copy does not splice between such.",
		Sides:   without(list, tcpProxy, "it dials over TCP, unless it is given a dialer"),
		Metrics: lab.Streams.Metrics(),
		Targets: []lab.Target{
			{Metric: lab.Streams.Rate, Than: ioCopy, AtLeast: 1.4, Reason: unixReason},
			{Metric: lab.Streams.Server, Than: ioCopy, AtMost: 0.6, Reason: unixReason},
		},
		Run: func(t *lab.T) {
			r := newRig(t, "unix", lab.Streams, nil, nil)
			r.stream(1, lab.Of(t, 384<<20, 2<<20))
		},
	}
}

const unixReason = "Nearly all of the time of ours is within splice, as is that of the bare loop, which needs little less. How much of a stream is there at once depends on how the sender, the proxy and the receiver share the processors, and the rate is theirs rather than the proxy's when these are busy."

// counters compares what Relay costs with counters that are read, and without any.
func counters() lab.Case {
	return lab.Case{
		Name:    "one stream of TCP, with and without counters",
		About:   "The backend streams to the client through Relay, with counters that are read ten times a second, and without any. The client compares every byte.",
		Sides:   sides(lab.Ours, uncounted),
		Metrics: lab.Streams.Metrics(),
		Targets: []lab.Target{{
			Metric: lab.Streams.Server, Than: uncounted, AtMost: 1.03,
			Reason: "Counting is an atomic addition for each piece of up to a MiB, which no profile shows: what differs is the noise of the machine.",
		}},
		Run: func(t *lab.T) {
			r := newRig(t, "tcp", lab.Streams, map[string]string{lab.Ours: counted}, nil)
			r.stream(1, lab.Of(t, 512<<20, 2<<20))
		},
	}
}

// unprivileged streams over one connection, beside some that have carried something
// before and wait. Each proxy runs as a user of its own, since users have a limit for the
// memory of all their pipes.
func unprivileged() lab.Case {
	list := sides(lab.Ours, spliceOnly, ioCopy, tcpProxy)
	for i := range list[1:] {
		list[i+1].Missing = func() error {
			if os.Geteuid() != 0 {
				return errors.New("only root can start processes of other users, each with pipes of its own")
			}
			return nil
		}
	}
	return lab.Case{
		Name:    "one stream of TCP beside 200 idle pairs, not as root",
		About:   "The backend streams to the client through the proxy, which has 200 connections besides that have carried 256 KiB each way, and wait. The client compares every byte. Each proxy runs as a user of its own, since Linux limits the memory of all pipes of a user who is not root.",
		Sides:   list,
		Metrics: lab.Streams.Metrics(),
		Targets: []lab.Target{{Metric: lab.Streams.Server, Than: tcpProxy, AtMost: 0.7}},
		Run: func(t *lab.T) {
			env := make(map[string]string)
			if os.Geteuid() == 0 {
				for i, side := range t.Present() {
					env[side] = fmt.Sprintf("%s%d", lab.UserPrefix, 65534-i)
				}
			}
			count := lab.Of(t, 200, 20)
			r := newRig(t, "tcp", lab.Streams, nil, env)
			r.contest.Each(by(r.t, r.client, order{Do: doHold, Network: "tcp", Count: count, Size: chunk}))
			r.held = count * len(t.Present())
			r.settle()
			r.stream(1, lab.Of(t, 384<<20, 2<<20))
			lab.Tell[answer](r.client, order{Do: doRelease})
		},
	}
}

// stream has all sides pass on so many bytes, over some streams at once.
func (r *rig) stream(count, size int) {
	o := order{Do: doFetch, Network: r.network, Count: count, Bytes: lab.Of(r.t, 16<<20, 1<<20)}
	r.contest.Each(by(r.t, r.client, o)) // to warm up
	for r.t.Round() {
		o.Bytes = size
		r.contest.Round(by(r.t, r.client, o))
	}
}
