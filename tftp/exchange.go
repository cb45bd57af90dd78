package tftp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// errTimeout is what a link's receive returns when the due time has come.
var errTimeout = errors.New("tftp: timeout")

// maxRepeats is how often the peer may have one thing sent again.
const maxRepeats = 32

// A link carries the packets of one transfer. One goroutine uses it, but for
// stop.
type link interface {
	// send sends b as packets of size bytes each; the last may be shorter.
	// Packets may get lost, so that nothing but the end of the link is an
	// error.
	send(b []byte, size int) error

	// hold is called before packets for send are put together, and letGo after
	// they were sent, so that not all that wait for their turn hold memory.
	hold()
	letGo()

	// receive returns the next packet of the peer, or errTimeout at due. The
	// packet is valid until the next receive or release.
	receive(due time.Time) ([]byte, error)

	// buffered reports whether the next receive will not wait.
	buffered() bool

	// release gives back the memory of the last packet.
	release()

	// stop ends the link: what waits and all later calls return err. If last
	// is not nil it is sent to the peer before. Any goroutine may call it.
	stop(last *Error, err error)

	// close frees the link.
	close()
}

// An exchange is what a sender and a receiver have in common: a link, and a
// timer that says when something must be sent again, and when to give up.
type exchange struct {
	link    link
	trip    roundTrip
	retries int

	// Before the peer has answered, the request may have a forged address, and
	// what is sent again goes to somebody who never asked.
	answered     bool
	firstRetries int
	first        func() // is called at the first answer, if not nil

	began time.Time // when the sending of what is under way began
	since time.Time // when the wait for its answer began
	tries int       // how often the timer had it sent again
	asked int       // how often the peer had, since
	clean bool      // neither did, so the answer tells the round trip

	gaveUp bool // the peer does not answer, and nobody is there to be told

	// silentSince is when a peer that had answered before was sent something
	// that it has not answered in time, in nanoseconds, or 0. The server reads it.
	silentSince atomic.Int64

	stats    Stats
	progress func(Stats)
	started  time.Time
}

// init prepares an exchange over l.
func (x *exchange) init(l link, timeout time.Duration, retries int) {
	x.link, x.retries = l, retries
	x.trip = newRoundTrip(timeout)
}

// start starts the timer for something new.
func (x *exchange) start() {
	now := time.Now()
	x.began, x.since, x.tries, x.asked, x.clean = now, now, 0, 0, true
}

// limit is how often the thing under way may be sent again.
func (x *exchange) limit() int {
	if x.answered {
		return x.retries
	}
	return min(x.retries, x.firstRetries)
}

// due is when to send again. The last try gets the longest wait.
func (x *exchange) due() time.Time {
	wait := x.trip.timeout
	if x.tries >= x.limit() {
		wait = x.trip.most
	}
	return x.since.Add(wait)
}

// again notes that something is sent once more, and reports ErrNoAnswer when
// that has happened too often.
func (x *exchange) again() error {
	if x.tries >= x.limit() {
		x.gaveUp = true
		return ErrNoAnswer
	}
	if x.tries == 0 && x.answered {
		x.silentSince.Store(x.since.UnixNano())
	}
	x.tries++
	x.asked = 0
	x.clean = false
	x.began = time.Now()
	x.since = x.began
	return nil
}

// repeat reports whether something may be sent again because of what the peer
// sent. That has a limit, so that two sides cannot keep each other busy for ever
// without getting on; behind it the timer decides.
func (x *exchange) repeat() bool {
	x.asked++
	if x.asked > maxRepeats {
		return false
	}
	x.clean = false
	x.began = time.Now()
	x.since = x.began
	return true
}

// heard notes an answer of the peer with something new.
func (x *exchange) heard() {
	switch {
	case x.clean:
		x.trip.sample(time.Since(x.began))
	case x.tries == 0:
		x.trip.recover()
	}
	if !x.answered {
		x.answered = true
		if x.first != nil {
			x.first()
		}
	}
	x.asked = 0
	if x.tries > 0 {
		x.tries = 0
		x.silentSince.Store(0)
	}
}

// ask sends packet until accept takes an answer or fails.
func (x *exchange) ask(packet []byte, accept func(p []byte) (bool, error)) error {
	x.start()
	for {
		if err := x.link.send(packet, len(packet)); err != nil {
			return err
		}
		for {
			p, err := x.link.receive(x.due())
			if err == errTimeout {
				break
			}
			if err != nil {
				return err
			}
			ok, err := accept(p)
			if err != nil {
				return err
			}
			if ok {
				x.heard()
				return nil
			}
		}
		if err := x.again(); err != nil {
			return err
		}
		x.trip.backOff()
	}
}

// tell sends the ERROR for err unless err came from the peer, or from nobody
// listening.
func (x *exchange) tell(err error) {
	if _, said := errors.AsType[*peerError](err); said || x.gaveUp {
		return
	}
	p, _ := report(err).AppendBinary(nil) // which never fails
	_ = x.link.send(p, len(p))            // an ERROR is sent once, lost or not
}

// done updates the figures of x and hands them to the progress hook.
func (x *exchange) done(blocks, bytes int64) {
	x.stats.Blocks, x.stats.Bytes = blocks, bytes
	if x.progress != nil {
		x.stats.Duration = time.Since(x.started)
		x.progress(x.stats)
	}
}

// A peerError is an ERROR that came from the peer. It is told apart from an
// [*Error] that a hook returned.
type peerError struct{ said *Error }

func (e *peerError) Error() string { return e.said.Error() }
func (e *peerError) Unwrap() error { return e.said }

// peerSaid returns the error in p if it is an ERROR packet.
func peerSaid(p []byte) error {
	if opcode(p) != OpError {
		return nil
	}
	said, err := parseError(p)
	if err != nil {
		return nil // too short to be one
	}
	return &peerError{said}
}

// opcode returns the opcode of p, or 0.
func opcode(p []byte) Opcode {
	if len(p) < 2 {
		return 0
	}
	return Opcode(binary.BigEndian.Uint16(p))
}

// ackBlock returns the block of an ACK.
func ackBlock(p []byte) (uint16, bool) {
	if opcode(p) != OpAck || len(p) != headerSize {
		return 0, false
	}
	return binary.BigEndian.Uint16(p[2:]), true
}

// errLocal marks an error of this side with the code for the peer.
func errLocal(code Code, format string, args ...any) error {
	return &localError{code: code, cause: fmt.Errorf(format, args...)}
}
