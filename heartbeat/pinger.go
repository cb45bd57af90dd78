package heartbeat

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

const defaultInterval = 30 * time.Second

var defaultMessage = []byte("ping") // which no Writer may change

var (
	// ErrPeerSilent says that as many pings as MaxMissed allows were not
	// answered. It is a [net.Error] whose Timeout is true, and is
	// [os.ErrDeadlineExceeded].
	ErrPeerSilent error = peerSilent{}

	// ErrStopped says that a Pinger was ended by Stop, or a Conn by Close.
	ErrStopped = errors.New("heartbeat: stopped")

	errRunning = errors.New("heartbeat: Pinger is running already")
)

type peerSilent struct{}

func (peerSilent) Error() string { return "heartbeat: peer is silent" }

// Timeout reports true.
func (peerSilent) Timeout() bool { return true }

// Temporary reports false.
func (peerSilent) Temporary() bool { return false }

// Is makes it os.ErrDeadlineExceeded, as the time-outs of the package net are.
func (peerSilent) Is(target error) bool { return target == os.ErrDeadlineExceeded }

// A Pinger writes a ping whenever its peer has been silent for an interval, and ends
// when the peer does not answer. Whoever reads from the peer calls Touch for all
// that arrives: any byte is an answer.
//
// A Pinger is started by [Pinger.Run] or [Pinger.Start], and can be started again
// when it has ended. Its exported fields must not be changed while it runs. Its
// methods are safe for concurrent use, also before it runs and after it ended.
type Pinger struct {
	// Writer takes the pings, each by one Write. If it has a method
	// SetWriteDeadline, as a [net.Conn], a Write that blocks when the Pinger
	// ends is given up by that. A deadline that was left there is removed
	// before each ping, and none is left behind; where the application sets
	// write deadlines itself, or writes from other goroutines at the same time,
	// use a [Conn] instead. Other Writers should not block: a Write that does
	// goes on after the Pinger has ended.
	Writer io.Writer

	// Message is what a ping consists of. If nil, it is "ping".
	Message []byte

	// Interval is how long the peer may be silent before it is pinged. If zero
	// or negative, 30 seconds.
	Interval time.Duration

	// Timeout is how long a ping may take: to be written, and to be answered by
	// anything at all. If zero or negative, as long as the interval.
	Timeout time.Duration

	// MaxMissed is how many pings in a row may be missed. With the last one Run
	// returns ErrPeerSilent, so that a peer that vanishes is reported after
	// Interval and MaxMissed times Timeout. If zero, 1. If negative, silence is
	// not held against the peer: it is pinged once an interval, and only a
	// Write that fails ends the Pinger.
	MaxMissed int

	// Jitter is the largest part of an interval by which one is shortened at
	// random, from 0 to 1, so that many Pingers that started together do not
	// write together.
	Jitter float64

	// Scheduler is shared with other Pingers. If nil, the Pinger has a timer
	// of its own.
	Scheduler *Scheduler

	touched   atomic.Int64 // when Touch was last called
	restarted atomic.Int64 // when the wait last began anew: at the start, by SetInterval
	interval  atomic.Int64 // by SetInterval, or 0
	running   atomic.Pointer[run]
}

func (p *Pinger) maxMissed() int { return cmp.Or(p.MaxMissed, 1) }

func (p *Pinger) message() []byte {
	if p.Message == nil {
		return defaultMessage
	}
	return p.Message
}

// wait returns the interval. It is a century at most, and so is the timeout, so that
// no time that is counted from now overflows.
func (p *Pinger) wait() time.Duration {
	switch d := time.Duration(p.interval.Load()); {
	case d > 0:
		return min(d, century)
	case p.Interval > 0:
		return min(p.Interval, century)
	}
	return defaultInterval
}

func (p *Pinger) timeout() time.Duration {
	if p.Timeout > 0 {
		return min(p.Timeout, century)
	}
	return p.wait()
}

// Run pings until ctx ends, the peer is silent, a Write fails or Stop is called, and
// returns the cause of ctx, ErrPeerSilent, an error that wraps that of the Write, or
// ErrStopped. The first ping comes after an interval.
//
// A Write that is under way when ctx ends is given up, if the Writer has deadlines.
// On a [crypto/tls.Conn] no Write succeeds after that.
func (p *Pinger) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	if err := p.Start(func(err error) { ended <- err }); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		p.stop(context.Cause(ctx))
		return <-ended
	}
}

// Start is Run without a goroutine that waits: it returns at once, and ended is
// called when the Pinger ends, with what Run would return. It fails if the Pinger
// runs already.
//
// The function ended may start the Pinger again. It should not block. If it is nil,
// nobody is told.
func (p *Pinger) Start(ended func(error)) error {
	return p.start(newPingWriter(p.Writer), nil, ended)
}

func (p *Pinger) start(w pingWriter, watched func() bool, ended func(error)) error {
	s := p.Scheduler
	if s == nil {
		s = new(Scheduler)
	}
	if ended == nil {
		ended = func(error) {}
	}
	r := &run{Pinger: p, scheduler: s, writer: w, watched: watched, ended: ended}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.running.CompareAndSwap(nil, r) {
		return errRunning
	}
	now := clock()
	p.touched.Store(now)
	p.restarted.Store(now)
	r.pinged = now
	r.shorten()
	r.due = now + int64(p.wait()) - r.early
	s.add(r)
	return nil
}

// Touch says that something arrived from the peer, now. It neither blocks nor
// allocates.
func (p *Pinger) Touch() {
	now := clock()
	for {
		// An older Touch that comes to this later does not undo a newer one. It is
		// tried again at most once for each Touch that had begun before.
		last := p.touched.Load()
		if now <= last || p.touched.CompareAndSwap(last, now) {
			return
		}
	}
}

// SetInterval changes the interval, and begins the wait for the next ping anew. A d
// of zero or less keeps the interval. That is not a sign of life: a ping that has
// not been answered still has to be.
func (p *Pinger) SetInterval(d time.Duration) {
	if d > 0 {
		p.interval.Store(int64(d))
	}
	p.restarted.Store(clock())
	if r := p.running.Load(); r != nil && d > 0 {
		r.hasten(min(d, century))
	}
}

// Stop ends the Pinger with ErrStopped, if it runs. It does not wait for that.
func (p *Pinger) Stop() { p.stop(ErrStopped) }

func (p *Pinger) stop(cause error) {
	if r := p.running.Load(); r != nil {
		r.stop(cause)
	}
}
