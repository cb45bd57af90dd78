package memnet

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// A Packet is one datagram on its way.
type Packet struct {
	From, To netip.AddrPort

	// Data belongs to the rule, which may change it.
	Data []byte

	// N counts the packets from From to To, this one included: the first is 1.
	N int

	// Delay is how long after it was sent the packet arrives. Packets with
	// equal times of arrival keep their order.
	Delay time.Duration
}

// A Rule decides what becomes of a packet: it returns what is delivered in its
// place. No packet at all is a loss, two are a duplicate, Data may be changed
// and Delay set, so that later packets overtake. A Network calls its Rule for
// one packet at a time, so it may keep state without a lock; it must not block,
// nor use the Network.
type Rule func(Packet) []Packet

// separate gives each packet but the first bytes of its own, since a Rule may
// return the same one twice.
func separate(packets []Packet) []Packet {
	for i := 1; i < len(packets); i++ {
		packets[i].Data = slices.Clone(packets[i].Data)
	}
	return packets
}

// A Match chooses packets. A nil Match chooses all.
type Match func(Packet) bool

func (m Match) of(p Packet) bool { return m == nil || m(p) }

// Chain applies rules in turn, each to what the one before it lets through.
func Chain(rules ...Rule) Rule {
	return func(p Packet) []Packet {
		packets := []Packet{p}
		for _, rule := range rules {
			var out []Packet
			for _, p := range packets {
				out = append(out, separate(rule(p))...)
			}
			packets = out
		}
		return packets
	}
}

// Drop loses the packets that m chooses.
func Drop(m Match) Rule {
	return func(p Packet) []Packet {
		if m.of(p) {
			return nil
		}
		return []Packet{p}
	}
}

// Delay makes the packets that m chooses arrive d later.
func Delay(m Match, d time.Duration) Rule {
	return func(p Packet) []Packet {
		if m.of(p) {
			p.Delay += d
		}
		return []Packet{p}
	}
}

// Duplicate delivers the packets that m chooses twice.
func Duplicate(m Match) Rule {
	return func(p Packet) []Packet {
		if !m.of(p) {
			return []Packet{p}
		}
		return separate([]Packet{p, p})
	}
}

// Corrupt inverts the last byte of the packets that m chooses.
func Corrupt(m Match) Rule {
	return func(p Packet) []Packet {
		if m.of(p) && len(p.Data) > 0 {
			p.Data[len(p.Data)-1] ^= 0xff
		}
		return []Packet{p}
	}
}

// Reorder holds back a packet that m chooses until the next one from the same
// sender to the same receiver, and delivers it after that, however long that
// takes; a delay of its own begins then. The next one is never held itself. If
// none follows, the packet is lost.
func Reorder(m Match) Rule {
	type link struct{ from, to netip.AddrPort }
	held := make(map[link]Packet)
	return func(p Packet) []Packet {
		key := link{p.From, p.To}
		if first, ok := held[key]; ok {
			delete(held, key)
			first.Delay = max(first.Delay, p.Delay)
			return []Packet{p, first}
		}
		if m.of(p) {
			held[key] = p
			return nil
		}
		return []Packet{p}
	}
}

// Nth chooses packets by their number on the way from sender to receiver,
// starting with 1.
func Nth(n ...int) Match {
	return func(p Packet) bool { return slices.Contains(n, p.N) }
}

// Chance chooses each packet with probability, from 0 to 1. The choice depends on
// seed, on the addresses and on N alone, so that a test that failed fails again,
// in whatever order two ends send at one instant.
func Chance(seed uint64, probability float64) Match {
	return func(p Packet) bool {
		h := fnv.New64a()
		fmt.Fprint(h, p.From, p.To, p.N)
		return rand.New(rand.NewPCG(seed, h.Sum64())).Float64() < probability
	}
}

// From chooses the packets that both come from addr and are chosen by m.
func From(addr netip.AddrPort, m Match) Match {
	return func(p Packet) bool { return p.From == addr && m.of(p) }
}
