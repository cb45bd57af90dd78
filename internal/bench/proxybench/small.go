//go:build linux

package proxybench

import (
	"time"

	"github.com/netparts/netparts/internal/bench/lab"
)

// small is the size of a request.
const small = 64

// goAndPrograms are the sides for requests and connections. The bare splice loop is as
// io.Copy there.
func goAndPrograms() []lab.Side { return sides(lab.Ours, ioCopy, tcpProxy, haproxy, nginx) }

// requests makes requests over some connections, one under way on each, to an echo server.
func requests() lab.Case {
	const count = 50
	return lab.Case{
		Name:    "requests of 64 bytes on 50 connections",
		About:   "One thread keeps a request of 64 bytes under way on each of 50 connections through the proxy, behind which is an echo server. Every reply is compared.",
		Sides:   goAndPrograms(),
		Metrics: lab.Requests.Metrics(),
		Targets: []lab.Target{{Metric: lab.Requests.Server, Than: tcpProxy, AtMost: 0.85, Reason: requestReason}},
		Run: func(t *lab.T) {
			client := t.Start("client")
			c := lab.Contest{T: t, Client: client, Servers: toEcho(t), Scale: lab.Requests}
			c.Each(by(t, client, order{Do: doOpen, Count: count}))
			c.Each(by(t, client, order{Do: doRequests, Count: 4 * count, Size: small})) // to warm up
			for t.Round() {
				c.Round(by(t, client, order{Do: doRequests, Count: lab.Of(t, 10_000, 200), Size: small}))
			}
		},
	}
}

const requestReason = "Two thirds of the time of ours and of tcpproxy alike are the system call that sends, in which loopback delivers to the receiver, and a quarter those that receive. Ours reads once more after each message, to find nothing. Without that it would still miss the target, and would not notice an end or a reset that came together with the message: no system call tells of both."

// toEcho starts an echo server, and a proxy to it for each side but direct, which is the
// server itself.
func toEcho(t *lab.T) map[string]*lab.Process {
	upstream := t.Start("upstream")
	a, _ := lab.Tell[answer](upstream, order{Do: doEcho, Network: "tcp", Addr: at(t, "tcp")})
	upstream.Addr = a.Addr
	servers := make(map[string]*lab.Process)
	for _, side := range t.Present() {
		if side == direct {
			servers[side] = upstream
			continue
		}
		p := proxyPlan{side: side, kind: side, network: "tcp", upstream: a.Addr, pairs: usualPairs}
		servers[side] = p.start(t)
	}
	return servers
}

// connections opens connections, each for one request.
func connections() lab.Case {
	return lab.Case{
		Name:    "connections with one request each",
		About:   "The client opens connections through the proxy, eight at a time, and sends 64 bytes on each, gets 64 back, which are compared, and closes it. The CPU time is that until the connections of a round have ended at the backend too.",
		Sides:   goAndPrograms(),
		Metrics: lab.Connections.Metrics(),
		Targets: []lab.Target{{Metric: lab.Connections.Server, Than: tcpProxy, AtMost: 0.8, Reason: connectionReason}},
		Run: func(t *lab.T) {
			r := newRig(t, "tcp", lab.Connections, nil, nil)
			o := order{Do: doChurn, Network: "tcp", Count: lab.Of(t, 200, 20), Size: small, Workers: 8}
			r.contest.Each(by(r.t, r.client, o)) // to warm up
			for t.Round() {
				o.Count = lab.Of(t, 1000, 40)
				r.contest.Round(by(r.t, r.client, o))
			}
		},
	}
}

const connectionReason = "Three quarters of the time are system calls, nearly all of which a proxy cannot do without: to accept, connect, pass on and close. Those that could be put off, eight that set keep-alive, are about a twenty-fifth, less than what is missing, and make sure that a peer that has gone is noticed. The rest is the scheduler, and contexts and timers for the limits of time."

// direct is no proxy at all.
const direct = "direct"

// The metrics of latency.
const (
	medianLatency = "median µs"
	slowLatency   = "99 % µs"
)

// latencies makes requests over one connection, one after another.
func latencies() lab.Case {
	return lab.Case{
		Name:    "latency of a request of 64 bytes",
		About:   "A client makes requests one after another on one connection through the proxy to an echo server, or without a proxy. Every reply is compared.",
		Sides:   append(goAndPrograms(), lab.Side{Name: direct}),
		Metrics: []lab.Metric{{Name: medianLatency, Best: lab.Low}, {Name: slowLatency, Best: lab.Low}},
		Run: func(t *lab.T) {
			servers, client := toEcho(t), t.Start("client")
			for t.Round() {
				for side := range t.Turns() {
					o := order{Do: doLatency, Addr: servers[side].Addr, Count: lab.Of(t, 5_000, 100), Size: small}
					a, _ := lab.Tell[answer](client, o)
					if a.Failed != "" {
						t.GiveUp(side, "%s", a.Failed)
						continue
					}
					t.Record(side, medianLatency, micros(a.Median))
					t.Record(side, slowLatency, micros(a.Slow))
				}
			}
		},
	}
}

func micros(d time.Duration) float64 { return d.Seconds() * 1e6 }
