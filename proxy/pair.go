package proxy

import (
	"context"
	"math"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/netparts/netparts/internal/serve"
)

// cutAfter is how long connections have to obey a deadline that has passed.
const cutAfter = time.Second

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// A pair is two connections and what goes on between them.
type pair struct {
	options *Options
	ends    [2]end  // by Side
	flows   [2]flow // by Direction
	begin   time.Time
	last    atomic.Int64 // when a byte moved, in nanoseconds since begin

	untapped atomic.Bool  // the tap has panicked
	returned atomic.Int32 // flows, if nobody waits for them

	mu      sync.Mutex
	timer   *time.Timer
	half    bool        // one side has ended its stream
	stopped bool        // the flows are to return
	cause   error       // of that, if it is a time-out or a context
	over    bool        // the flows have returned
	panic   *panicError // of a connection
	watched bool        // the side that has ended its stream
	watch   *watch      // that does it, or nil if nothing is to be seen

	helpers sync.WaitGroup // goroutines besides the flows
}

func newPair(client, upstream net.Conn, o *Options) *pair {
	p := &pair{options: o, begin: time.Now()}
	for side, conn := range [...]net.Conn{Client: client, Upstream: upstream} {
		p.ends[side].init(conn)
	}
	for d := range p.flows {
		p.flows[d] = flow{pair: p, direction: Direction(d), src: &p.ends[d], dst: &p.ends[1-d]}
	}
	return p
}

// relay runs the pair and closes it.
func (p *pair) relay(ctx context.Context) error {
	if err := p.start(); err != nil {
		return err
	}
	unwatch := context.AfterFunc(ctx, func() { p.stop(context.Cause(ctx)) })
	var other sync.WaitGroup
	other.Go(p.flows[ToClient].run)
	p.flows[ToUpstream].run()
	other.Wait()
	unwatch()
	return p.close(ctx)
}

// relayLater does the same without waiting, by two goroutines that have the small stacks
// with which they begin. Whoever ends ctx closes the client's connection too, which ends
// the flows. It calls ended at the end.
func (p *pair) relayLater(ctx context.Context, ended func(error)) {
	if err := p.start(); err != nil {
		ended(err)
		return
	}
	for d := range p.flows {
		go func() {
			p.flows[d].run()
			if p.returned.Add(1) == int32(len(p.flows)) {
				ended(p.close(ctx))
			}
		}()
	}
}

// start makes the connections ready and starts the timer.
func (p *pair) start() error {
	for side := range p.ends {
		if p.ends[side].messages {
			p.resetBoth()
			return &SideError{Side(side), errMessages}
		}
	}
	for i := range p.ends {
		// An error says that it is closed, which reading tells too.
		_ = p.ends[i].conn.SetDeadline(time.Time{})
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(math.MaxInt64, p.wake)
	p.schedule()
	return nil
}

// wake is called by the timer.
func (p *pair) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.over: // it fired at that moment
	case p.stopped:
		for i := range p.ends {
			if p.ends[i].kernel == nil { // which obeys its deadline
				p.cut(&p.ends[i])
			}
		}
	default:
		if p.half && !p.watched {
			p.watched = true
			p.watchEnded()
		}
		p.schedule()
	}
}

// stats returns what was delivered, when the flows have returned.
func (p *pair) stats() Stats {
	return Stats{ToUpstream: p.flows[ToUpstream].delivered, ToClient: p.flows[ToClient].delivered}
}

// touch notes that bytes have moved.
func (p *pair) touch() { p.last.Store(int64(time.Since(p.begin))) }

// schedule stops the pair if nothing has moved for too long, and sets the timer to
// when that may be. It is called under mu.
func (p *pair) schedule() {
	limit, cause := p.options.idleTimeout(), ErrIdle
	// Not while a reader is waited for to take what there is.
	silent := p.half && !p.flows[0].stuck.Load() && !p.flows[1].stuck.Load()
	if next := p.options.halfCloseTimeout(); silent && next != limit {
		limit, cause = next, ErrHalfClosed
	}
	rest := time.Duration(math.MaxInt64)
	if limit > 0 {
		rest = limit - (time.Since(p.begin) - time.Duration(p.last.Load()))
	}
	if rest <= 0 {
		p.stopLocked(cause)
		return
	}
	if next := p.options.halfCloseTimeout(); p.half && next > 0 {
		rest = min(rest, next) // the reader may go on, and then silence begin
	}
	if p.half && !p.watched {
		rest = min(rest, watchAfter)
	}
	p.timer.Reset(rest)
}

// stop makes the flows return. Its first cause is the one that counts.
func (p *pair) stop(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopLocked(cause)
}

func (p *pair) stopLocked(cause error) {
	if p.over || p.stopped {
		return
	}
	p.stopped, p.cause = true, cause
	for i := range p.ends {
		if p.ends[i].conn.SetDeadline(past) != nil {
			p.cut(&p.ends[i]) // it has no deadlines, or is closed
		}
	}
	p.timer.Reset(cutAfter)
}

// cut closes a connection whose deadlines do not make the flows return. It is called
// under mu, and does not wait, since Close may take its time.
func (p *pair) cut(e *end) {
	_, late := p.cause.(timeout)
	p.helpers.Go(func() {
		defer p.recover()
		if p.cause == nil || late {
			e.conn.Close()
			return
		}
		_ = serve.Reset(e.conn) // an error leaves nothing to do
	})
}

// recover notes a panic of a connection, and ends the pair.
func (p *pair) recover() {
	cause := recover()
	if cause == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.panic == nil {
		p.panic = newPanicError("connection", cause)
	}
	p.stopLocked(errPanic)
}

// ended is called when a flow returns, with what it met: readErr at its source, nil
// for the end of the stream, or writeErr where it delivers.
func (p *pair) ended(f *flow, readErr, writeErr error) {
	// A write may have taken the error of a reset, so that only the end is left for
	// reading. Not when this side has ended its stream, which the other flow may do
	// meanwhile.
	shut := &f.src.shut
	if readErr == nil && writeErr == nil && !shut.Load() && wasReset(f.src.conn) && !shut.Load() {
		readErr = os.NewSyscallError("read", syscall.ECONNRESET)
	}
	if !p.note(f, readErr, writeErr) || p.isLast(f) {
		return
	}
	switch err := f.dst.closeWrite(); err {
	case nil:
	case errNoHalfClose:
		p.stop(nil)
	default:
		p.note(f, nil, err)
	}
}

// isLast reports whether closing the connections, which is next, passes the end of f on
// as well, since the other flow has ended before.
func (p *pair) isLast(f *flow) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return f.dst.over && f.dst.kernel != nil
}

// watchEnded looks out for a reset of a side that has ended its stream, when the other
// one has gone on for a while: nothing else does as long as that is silent. It is called
// under mu.
func (p *pair) watchEnded() {
	for i := range p.ends {
		e := &p.ends[i]
		if !e.over || e.kernel == nil || wireOf(e.conn) == nil {
			continue // a Unix stream that is closed is not reset
		}
		if p.watch = newWatch(e.conn); p.watch == nil {
			return
		}
		w := p.watch
		p.helpers.Go(func() {
			// When both sides have ended well it looks the same.
			if w.untilReset() && !e.shut.Load() {
				p.note(&p.flows[i], os.NewSyscallError("read", syscall.ECONNRESET), nil)
			}
		})
		return
	}
}

// note does that under mu, and reports whether the end of the stream is to be passed
// on.
func (p *pair) note(f *flow, readErr, writeErr error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return false // the errors are those of the deadlines
	}
	p.half = true
	p.touch()
	switch {
	case readErr != nil:
		f.src.fail(readErr)
		p.stopLocked(nil)
		return false
	case writeErr != nil:
		// What the other side sent before it broke can still be read.
		f.dst.fail(writeErr)
	default:
		f.src.over = true
	}
	p.schedule()
	return writeErr == nil && f.src.err == nil
}

// close closes both connections when the flows have returned, and returns the cause
// of the end, which is a panicError after a panic.
func (p *pair) close(ctx context.Context) error {
	p.mu.Lock()
	p.over = true
	p.timer.Stop()
	if p.watch != nil {
		p.watch.end()
	}
	p.mu.Unlock()
	p.helpers.Wait()

	client, upstream := &p.ends[Client], &p.ends[Upstream]
	lost := p.flows[0].lost || p.flows[1].lost
	switch {
	case p.panic != nil:
		p.resetBoth()
		return p.panic
	case ctx.Err() != nil:
		p.resetBoth()
		return context.Cause(ctx)
	case client.err != nil || upstream.err != nil:
		return p.reset(ctx)
	case p.cause != nil && lost:
		p.resetBoth()
		return p.cause
	}
	client.conn.Close()
	upstream.conn.Close()
	return p.cause
}

// resetBoth closes both connections by a reset.
func (p *pair) resetBoth() {
	for i := range p.ends {
		_ = serve.Reset(p.ends[i].conn) // an error leaves nothing to do
	}
}

// reset closes a pair one side of which is broken, and resets the other one when it
// has what was delivered.
func (p *pair) reset(ctx context.Context) error {
	side := Client
	if p.ends[Client].err == nil {
		side = Upstream
	}
	broken, other := &p.ends[side], &p.ends[1-side]
	_ = serve.Reset(broken.conn) // which is of no use any more
	if other.err == nil {
		limit := p.options.halfCloseTimeout()
		if limit < 0 {
			limit = defaultHalfCloseTimeout
		}
		drain(ctx, other.conn, limit)
	}
	_ = serve.Reset(other.conn)
	return &SideError{Side: side, Err: broken.err}
}
