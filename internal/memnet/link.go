package memnet

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// links is the way between the packet connections of a Network: it applies the
// rule and keeps what is delayed.
type links struct {
	mu      sync.Mutex
	sent    map[[2]netip.AddrPort]int
	delayed []delayedPacket // by time of arrival
	timer   *time.Timer
}

type delayedPacket struct {
	at time.Time
	to *PacketConn
	p  Packet
}

// send passes one packet through the rule and delivers what comes of it.
func (l *links) send(n *Network, from, to netip.AddrPort, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sent == nil {
		l.sent = make(map[[2]netip.AddrPort]int)
	}
	key := [2]netip.AddrPort{from, to}
	l.sent[key]++
	l.arrive() // what is due now was sent before
	packets := []Packet{{From: from, To: to, Data: slices.Clone(data), N: l.sent[key]}}
	if n.Rule != nil {
		packets = separate(n.Rule(packets[0]))
	}
	for _, p := range packets {
		n.mu.Lock()
		conn := n.packets[p.To]
		n.mu.Unlock()
		switch {
		case conn == nil: // nobody is there, and nobody will know
		case p.Delay <= 0:
			conn.deliver(p)
		default:
			l.hold(delayedPacket{time.Now().Add(p.Delay), conn, p})
		}
	}
}

// hold keeps d until its time. One timer serves all, because two timers of the
// same instant would run in either order.
func (l *links) hold(d delayedPacket) {
	i := len(l.delayed)
	for i > 0 && l.delayed[i-1].at.After(d.at) {
		i--
	}
	l.delayed = slices.Insert(l.delayed, i, d)
	if i == 0 {
		l.schedule()
	}
}

// schedule sets the timer to the next arrival. The caller holds l.mu.
func (l *links) schedule() {
	if l.timer != nil {
		l.timer.Stop()
	}
	if len(l.delayed) > 0 {
		l.timer = time.AfterFunc(time.Until(l.delayed[0].at), l.arriveNow)
	}
}

// arriveNow is arrive for callers that do not hold l.mu.
func (l *links) arriveNow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.arrive()
}

// arrive delivers what is due. The caller holds l.mu.
func (l *links) arrive() {
	now := time.Now()
	due := 0
	for due < len(l.delayed) && !l.delayed[due].at.After(now) {
		l.delayed[due].to.deliver(l.delayed[due].p)
		due++
	}
	if due > 0 {
		l.delayed = slices.Delete(l.delayed, 0, due)
		l.schedule()
	}
}
