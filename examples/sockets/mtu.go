package sockets

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// ErrSilent is what a probe of a path returns when the host answers not even the
// smallest packet: it is not there, or something on the way drops what it says.
var ErrSilent = errors.New("sockets: the host does not answer")

// An MTU is the largest packet that reaches a host without being fragmented.
type MTU struct {
	// Packet is the size of the packet, in bytes with all headers, as links count it.
	Packet int

	// Payload is how many bytes of data one UDP datagram in such a packet holds.
	Payload int

	// Peer is the address that was asked.
	Peer netip.AddrPort
}

// An MTUProbe searches for the MTU of a path as RFC 8899 does: by UDP datagrams that no
// router may fragment. Its zero value is ready to use.
type MTUProbe struct {
	// Wait is how long the host has for an answer. If zero, it is a second, the least
	// that RFC 8899 allows; many hosts send no more than one ICMP message a second.
	Wait time.Duration

	// Tries is how many times a packet is sent before silence means that it is too
	// large. If zero, it is 3, so that a lost packet is not taken for a large one.
	Tries int
}

// PathMTU is [MTUProbe.Find] of a probe with the usual patience.
func PathMTU(ctx context.Context, address string) (MTU, error) {
	var p MTUProbe
	return p.Find(ctx, address)
}

// Find returns the MTU of the path to a host and port.
//
// It is meant for those who send datagrams: one that is larger than the MTU of its path
// travels in fragments, and is lost as a whole with any of them, if it is let through at
// all. The host needs no service of its own for the search. That the packet came through
// is told by any datagram from the port, such as that of an echo service, and as well by
// the ICMP message that the port is closed. That the packet is too large is told by this
// host, by the ICMP message of a router (RFC 1191, RFC 8201), or by silence: there
// are routers that drop packets and say nothing. When the answer itself is too large
// for the way back and gets lost, the result is the MTU of that.
//
// If the host answers nothing, the error wraps [ErrSilent]. Where the system cannot forbid
// fragments as this needs it, which is everywhere but on Linux, the error wraps
// [errors.ErrUnsupported]. A path where nobody drops packets in silence takes about
// four packets; otherwise the search takes some 20 sizes, of Tries packets each at most.
// The end of ctx ends it.
func (p *MTUProbe) Find(ctx context.Context, address string) (MTU, error) {
	mtu, err := p.find(ctx, address)
	if err == nil {
		return mtu, nil
	}
	if ctx.Err() != nil { // whatever failed because of it
		err = context.Cause(ctx)
	}
	return MTU{}, fmt.Errorf("sockets: path MTU to %s: %w", strconv.QuoteToASCII(address), err)
}

// maxHints is how many sizes that somebody named are tried. A path has few links whose
// MTUs differ, and whoever forges ICMP messages must not be able to turn the search into
// one byte at a time.
const maxHints = 8

// search returns the largest size that fits. Size lo does, and hi does not. The function
// tells of a size in between whether it fits, and what it has heard is the largest that
// does, or 0. That is a hint and no more: it decides what is tried next.
func search(lo, hi, hint int, fits func(size int) (ok bool, hint int, err error)) (int, error) {
	hints := maxHints
	for hi-lo > 1 {
		size := lo + (hi-lo)/2
		switch {
		case lo == hint:
			size = lo + 1 // if that is too large, the hint was right
		case lo < hint && hint < hi && hints > 0:
			size = hint
			hints--
		}
		ok, heard, err := fits(size)
		if err != nil {
			return 0, err
		}
		if ok {
			lo = size
			continue
		}
		hi = size
		if heard != 0 {
			hint = heard
		}
	}
	return lo, nil
}
