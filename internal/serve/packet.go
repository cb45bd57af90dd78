package serve

import (
	"net"
	"sync"
)

// A packets is a packet connection that a loop reads from.
type packets struct {
	net.PacketConn
	close func() error
}

// ServePacket calls step, which reads from pc and answers, again and again until
// it fails. It closes pc and always returns an error: c.Closed after Shutdown or
// Close, and otherwise what step returned. Errors that pass are waited out as
// those of accept are.
//
// Shutdown moves the read deadline of pc into the past and waits until step has
// returned; Close closes pc. MaxConns does not count pc.
func (g *Group) ServePacket(pc net.PacketConn, c Config, step func() error) error {
	own := &packets{PacketConn: pc, close: sync.OnceValue(pc.Close)}
	if !g.addPackets(own) {
		own.close()
		return c.Closed
	}
	// In this order, so that Shutdown returns when pc is closed and Ended was called.
	defer g.removePackets(own)
	if c.Ended != nil {
		defer c.Ended()
	}
	defer own.close()
	pause := backoff{what: "reading packets"}
	for {
		err := step()
		switch {
		case g.IsStopping():
			return c.Closed
		case err == nil:
			pause.success(c.logger())
		case !passes(err):
			return err
		case !pause.wait(err, g.stop, c.logger()):
			return c.Closed
		}
	}
}

func (g *Group) addPackets(p *packets) bool {
	addr := p.LocalAddr()
	g.lock()
	defer g.mu.Unlock()
	if g.stopping {
		return false
	}
	g.announce(addr)
	g.packets[p] = struct{}{}
	return true
}

func (g *Group) removePackets(p *packets) {
	g.lock()
	defer g.mu.Unlock()
	delete(g.packets, p)
	g.checkIdle()
}
