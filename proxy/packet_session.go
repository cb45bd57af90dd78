package proxy

import (
	"context"
	"fmt"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/internal/udpio"
)

// refuseFor is how long after a dial that failed what the client sends is dropped,
// and how long there is between the dials of a client whose upstreams fail at once.
const refuseFor = time.Second

// A packetUpstream is the socket of a session.
type packetUpstream interface {
	// send sends to the upstream, and sets Err of those that are lost. Its error is
	// the end of the session.
	send(ms []udpio.Message) error

	// receive answers with what the upstream sends, until reading fails for good.
	receive(s *packetSession) error

	// waits reports whether send may wait for the upstream to read.
	waits() bool
}

// A packetSession is one client's.
//
// It has a goroutine that dials, which then sends what has come meanwhile, and one that
// reads from the upstream. What clients send later is sent by the goroutine that
// reads it from them, unless that might wait.
type packetSession struct {
	relay    *packetRelay
	key      packetKey
	client   packetClient
	begun    time.Time
	counters packetCounters
	answers  packetAnswerer

	last     atomic.Int64 // when a datagram passed, in nanoseconds since the relay began
	answered atomic.Bool  // that was to the client
	upstream packetUpstream
	held     packetQueue

	start func()        // starts the dial and the timer, until it has been called
	done  chan struct{} // closed at the end

	mu     sync.Mutex
	timer  *time.Timer
	dialed context.CancelFunc // ends the dial
	conn   net.Conn           // to the upstream
	ended  bool
	failed bool // it stays for a while, as a reminder
	err    error
}

func newPacketSession(ctx context.Context, r *packetRelay, k packetKey) *packetSession {
	s := &packetSession{relay: r, key: k, begun: time.Now(), done: make(chan struct{})}
	ctx, s.dialed = context.WithCancel(ctx)
	s.mu.Lock()
	s.timer = time.AfterFunc(math.MaxInt64, s.expire)
	s.mu.Unlock()
	s.start = func() {
		s.expire()
		r.running.Go(func() { s.dial(ctx) })
	}
	s.client.remote, s.client.local = r.port.asked(k)
	s.answers = r.port.answerer(s)
	s.held.more = make(chan struct{}, 1)
	s.touch()
	return s
}

// dial connects to the upstream, and then sends what is held, for ever if sending may
// wait.
func (s *packetSession) dial(ctx context.Context) {
	dialing := ctx
	if limit := s.relay.server.dialTimeout(); limit > 0 {
		var end context.CancelFunc
		dialing, end = context.WithTimeout(ctx, limit)
		defer end()
	}
	conn, err := dialSafely(dialing, s.relay.server.Dial, &s.client)
	if err == nil {
		s.upstream, err = newPacketUpstream(conn)
		if err != nil {
			_ = conn.Close() // nothing has passed over it
		}
	}
	if err != nil {
		s.fail(fmt.Errorf("proxy: dialing upstream: %w", err), time.Now().Add(refuseFor))
		s.finish(nil)
		return
	}
	if !s.open(conn) {
		_ = conn.Close() // the session has ended meanwhile
		s.finish(nil)
		return
	}
	own := keyOf(conn.LocalAddr())
	s.relay.server.totals.bind(own)
	// In a goroutine of its own, since a dial needs a large stack, which one that
	// waits for hours would keep.
	s.relay.running.Go(func() {
		defer s.relay.server.totals.unbind(own)
		s.serve()
	})
}

// open gives the session its connection, unless it has ended.
func (s *packetSession) open(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return false
	}
	s.conn = conn
	s.touch()
	return true
}

// serve passes on both ways.
func (s *packetSession) serve() {
	upstream := s.conn.RemoteAddr()
	var sender sync.WaitGroup
	sender.Go(func() { s.guard(s.sendHeld) })
	s.guard(func() error { return s.upstream.receive(s) })
	sender.Wait()
	s.finish(upstream)
}

// guard calls what uses the connection, and ends the session by its error or panic.
func (s *packetSession) guard(f func() error) {
	var err error
	panicked := safely("connection", func() { err = f() })
	if panicked != nil {
		s.fail(panicked, s.begun.Add(refuseFor))
	} else if err != nil {
		s.fail(&SideError{Upstream, err}, s.begun.Add(refuseFor))
	}
}

// send sends what the client has sent, or holds it.
func (s *packetSession) send(ms []udpio.Message) {
	select {
	case <-s.done: // it is a reminder, or has just ended
		for i := range ms {
			s.relay.drop(ms[i].Data, ms[i].Size)
		}
		return
	default:
	}
	lost, held := s.held.add(ms)
	s.counters.dropped.Add(lost)
	if held {
		return
	}
	s.guard(func() error { return s.forward(ms) })
}

// sendHeld sends what is held until nothing is, and for ever if sending may wait.
func (s *packetSession) sendHeld() error {
	waits := s.upstream.waits()
	if waits {
		s.held.grow()
	}
	for {
		ms := s.held.take(!waits)
		if ms == nil && !waits {
			return nil
		}
		if ms != nil {
			if err := s.forward(ms); err != nil {
				return err
			}
			continue
		}
		select {
		case <-s.held.more:
		case <-s.done:
			return nil
		}
	}
}

// forward sends to the upstream, and counts.
func (s *packetSession) forward(ms []udpio.Message) error {
	s.setAnswered(false) // before the answer can come
	err := s.upstream.send(ms)
	if s.count(ToUpstream, ms) {
		s.touch()
	}
	return err
}

// answer sends to the client, and counts.
func (s *packetSession) answer(ms []udpio.Message) {
	s.answers.answer(ms)
	if s.count(ToClient, ms) {
		s.setAnswered(true)
		s.touch()
	}
}

// count counts what was sent one way, and what was not. It reports whether anything
// was.
func (s *packetSession) count(d Direction, ms []udpio.Message) bool {
	var datagrams, bytes, dropped int64
	for i := range ms {
		n := countDatagrams(ms[i].Data, ms[i].Size)
		if ms[i].Err != nil {
			dropped += n
			continue
		}
		datagrams += n
		bytes += int64(len(ms[i].Data))
	}
	s.counters.datagrams.of(d).Add(datagrams)
	s.counters.bytes.of(d).Add(bytes)
	if dropped > 0 {
		s.counters.dropped.Add(dropped)
	}
	return datagrams > 0
}

// touch notes that a datagram has passed.
func (s *packetSession) touch() { s.last.Store(int64(time.Since(s.relay.begun))) }

// setAnswered notes which way the last datagram goes.
func (s *packetSession) setAnswered(yes bool) {
	if s.answered.Load() != yes {
		s.answered.Store(yes)
	}
}

// expire ends the session if nothing has passed for too long, and sets the timer to
// when that may be.
func (s *packetSession) expire() {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	limit, soon := s.relay.server.idleTimeout(), time.Duration(math.MaxInt64)
	if s.relay.draining.Load() {
		limit, soon = unanswered, quiet // the answer may come, and silence begin
		if s.answered.Load() {
			limit = quiet
		}
	}
	rest := soon
	switch {
	case limit < 0: // never
	case s.conn == nil && !s.relay.draining.Load():
		rest = limit // the dial has a limit of its own
	default:
		rest = limit - (time.Since(s.relay.begun) - time.Duration(s.last.Load()))
	}
	over := rest <= 0
	if !over {
		s.timer.Reset(min(rest, soon))
	}
	s.mu.Unlock()
	if over {
		s.end(nil)
	}
}

// end ends the session, for the first cause that it gets.
func (s *packetSession) end(cause error) { s.endUntil(cause, time.Time{}) }

// fail does the same, and leaves a reminder until then.
func (s *packetSession) fail(cause error, until time.Time) { s.endUntil(cause, until) }

func (s *packetSession) endUntil(cause error, until time.Time) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.err = true, cause
	s.timer.Stop()
	if rest := time.Until(until); rest > 0 {
		s.timer = time.AfterFunc(rest, s.stop)
		s.failed = true
	}
	failed, conn := s.failed, s.conn
	s.dialed()
	close(s.done)
	s.mu.Unlock()
	if !failed {
		s.relay.forget(s)
	}
	if conn != nil {
		_ = conn.Close() // which ends what waits for it
	}
}

// stop removes the reminder.
func (s *packetSession) stop() {
	s.mu.Lock()
	s.timer.Stop()
	s.mu.Unlock()
	s.relay.forget(s)
}

// finish reports the end, when nothing passes any more.
func (s *packetSession) finish(upstream net.Addr) {
	s.counters.dropped.Add(s.held.close())
	s.mu.Lock()
	err := s.err
	s.mu.Unlock()
	r := PacketReport{Client: s.client.remote, Upstream: upstream, Duration: time.Since(s.begun), Err: err}
	r.PacketStats.add(&s.counters)
	s.relay.server.totals.end(s)
	s.relay.server.ended(&r)
}
