//go:build linux

package proxybench

import (
	"fmt"

	"github.com/netparts/netparts/internal/bench/lab"
)

// points are numbers of pairs, the last of which leaves a process that has two files a
// pair some more.
func points() []int {
	return []int{1, 10, 100, 1000, min(10_000, (fileLimit()-otherFiles)/2)}
}

// otherFiles is how many files a process may need besides those of connections.
const otherFiles = 200

// requestGrowth shows what a request costs beside more and more others.
func requestGrowth() lab.Growth {
	return lab.Growth{
		Name:   "CPU of a request",
		About:  "One thread keeps a request of 64 bytes under way on each of the connections through the proxy, behind which is an echo server. Every reply is compared. The most are as many as the limit of descriptors allows, of which a pair takes two.",
		Axis:   "connections",
		Points: points(),
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:    fmt.Sprintf("requests on %d connections", n),
				Sides:   goAndPrograms(),
				Metrics: lab.Requests.Metrics(),
				Run: func(t *lab.T) {
					clients, servers := manyPairs(t, n)
					c := lab.Contest{T: t, Servers: servers, Scale: lab.Requests}
					for t.Round() {
						c.Round(func(server *lab.Process) lab.Done {
							o := order{Do: doRequests, Count: max(lab.Of(t, 5_000, 50), 2*n), Size: small}
							return by(t, clients[server.Kind], o)(server)
						})
					}
				},
			}
		},
	}
}

// processMemory is the metric of all of a process, with the processes that work for it.
const processMemory = "user MiB"

// memoryGrowth shows what a process needs for more and more pairs that wait.
func memoryGrowth() lab.Growth {
	return lab.Growth{
		Name:   "memory of a process",
		About:  "The client opens connections through the proxy and makes two requests of 64 bytes on each. What is shown is all anonymous pages of the proxy then (RssAnon), without garbage. The kernel has memory for it besides, where the sockets are and the pipes of those who keep them.",
		Axis:   "idle pairs",
		Points: points(),
		Case: func(n int) lab.Case {
			return lab.Case{
				Name:    fmt.Sprintf("%d idle pairs", n),
				Sides:   goAndPrograms(),
				Metrics: []lab.Metric{{Name: processMemory, Best: lab.Low}},
				Run: func(t *lab.T) {
					_, servers := manyPairs(t, n)
					for t.Round() {
						for side := range t.Turns() {
							t.Record(side, processMemory, servers[side].Footprint().User/(1<<20))
						}
					}
				},
			}
		},
	}
}

// pipedFiles is how many files a pair takes at those who keep two pipes for each: two
// sockets and four ends.
const pipedFiles = 6

// manyPairs starts proxies, each with so many connections that have carried two requests.
func manyPairs(t *lab.T, n int) (clients, servers map[string]*lab.Process) {
	clients, servers = make(map[string]*lab.Process), make(map[string]*lab.Process)
	nextClient, nextUpstream := spread(t, "client", n), spread(t, "upstream", n)
	for _, side := range t.Present() {
		if (side == ioCopy || side == tcpProxy) && pipedFiles*n+otherFiles > fileLimit() {
			t.GiveUp(side, "with two pipes a pair takes %d descriptors, and the limit is %d", pipedFiles, fileLimit())
			continue
		}
		a, _ := lab.Tell[answer](nextUpstream(), order{Do: doEcho, Network: "tcp", Addr: at(t, "tcp")})
		p := proxyPlan{side: side, kind: side, network: "tcp", upstream: a.Addr, pairs: n + 20}
		clients[side], servers[side] = nextClient(), p.start(t)
		if !t.Has(side) {
			continue
		}
		by(t, clients[side], order{Do: doOpen, Count: n})(servers[side])
		if t.Has(side) {
			by(t, clients[side], order{Do: doRequests, Count: 2 * n, Size: small})(servers[side])
		}
	}
	return clients, servers
}

// spread returns processes with room for so many connections more.
func spread(t *lab.T, kind string, n int) func() *lab.Process {
	var p *lab.Process
	left := 0
	return func() *lab.Process {
		if left -= n; p == nil || left < 0 {
			p = t.Start(kind)
			left = fileLimit() - otherFiles - n
		}
		return p
	}
}
