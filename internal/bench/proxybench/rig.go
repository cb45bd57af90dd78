//go:build linux

package proxybench

import (
	"path/filepath"
	"slices"

	"github.com/netparts/netparts/internal/bench/lab"
)

// A rig is proxies that one client and one backend have relay the same in turn.
type rig struct {
	t               *lab.T
	network         string
	client, backend *lab.Process
	contest         lab.Contest
	held            int // connections that stay open
}

// newRig starts the backend and a proxy for each side. Each proxy has an address of the
// backend for itself, since the connections of one that have ended keep their ports for a
// while. The kind of a side that is not to run as such can be told, and what each process
// gets for environment.
func newRig(t *lab.T, network string, scale lab.Scale, kinds map[string]string, env map[string]string) *rig {
	r := newBackend(t, network)
	r.contest = lab.Contest{T: t, Client: r.client, Servers: make(map[string]*lab.Process), Scale: scale, Settle: r.settle}
	for _, side := range t.Present() {
		p := proxyPlan{side: side, kind: side, network: network, upstream: r.upstream(), pairs: usualPairs}
		if kind, ok := kinds[side]; ok {
			p.kind = kind
		}
		if v, ok := env[side]; ok {
			p.env = []string{v}
		}
		r.contest.Servers[side] = p.start(t)
	}
	r.settle()
	return r
}

// newBackend starts a client and a backend alone.
func newBackend(t *lab.T, network string) *rig {
	return &rig{t: t, network: network, client: t.Start("client"), backend: t.Start("backend")}
}

// upstream returns an address of the backend more.
func (r *rig) upstream() string {
	a, _ := lab.Tell[answer](r.backend, order{Do: doBackend, Network: r.network, Addr: at(r.t, r.network)})
	return a.Addr
}

// settle waits until the backend has as many connections as are held.
func (r *rig) settle() { lab.Tell[answer](r.backend, order{Do: doSettle, Count: r.held}) }

// at is an address for a server of its own.
func at(t *lab.T, network string) string {
	if network == "unix" {
		return filepath.Join(t.TempDir(), "server")
	}
	return "127.0.0.1:0"
}

// usualPairs is how many pairs proxies are configured for, where no more are needed.
const usualPairs = 1500

// A proxyPlan is a proxy that is to be started.
type proxyPlan struct {
	side, kind, network, upstream string
	pairs                         int
	env                           []string
}

// start starts the proxy. A program that does not start is given up.
func (p *proxyPlan) start(t *lab.T) *lab.Process {
	if _, ok := programs[p.kind]; ok {
		server, err := startProgram(t, p.kind, p.network, p.upstream, p.pairs)
		if err != nil {
			t.GiveUp(p.side, "%v", err)
		}
		return server
	}
	server := t.Start(p.side, p.env...)
	o := order{Do: doServe, Kind: p.kind, Network: p.network, Addr: at(t, p.network), Upstream: p.upstream}
	a, _ := lab.Tell[answer](server, o)
	server.Addr = a.Addr
	return server
}

// by is work that a client does at a server, which is given up if that fails.
func by(t *lab.T, client *lab.Process, o order) func(*lab.Process) lab.Done {
	return func(server *lab.Process) lab.Done {
		o.Addr = server.Addr
		a, used := lab.Tell[answer](client, o)
		if a.Failed != "" {
			t.GiveUp(server.Kind, "%s", a.Failed)
		}
		a.Done.CPU = used.CPU
		return a.Done
	}
}

// sides are those of these names, of which programs may be missing.
func sides(names ...string) []lab.Side {
	list := lab.Sides(names...)
	for i := range list {
		if p, ok := programs[names[i]]; ok {
			list[i].Missing = func() error {
				_, err := p.path()
				return err
			}
		}
	}
	return list
}

// without are sides of which one cannot do the work.
func without(list []lab.Side, name, why string) []lab.Side {
	i := slices.IndexFunc(list, func(s lab.Side) bool { return s.Name == name })
	list[i].Cannot = why
	return list
}
