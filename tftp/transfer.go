package tftp

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// errGaveWay ends a transfer that nobody has answered yet, when there are too
// many.
var errGaveWay = errors.New("tftp: gave way to another request")

// maxDallying is how many transfers of a server or a client stay at once to repeat
// their last ACK.
const maxDallying = 64

// A transfer is one request that a server is busy with, in a goroutine of its
// own.
type transfer struct {
	exchange
	listener *listener
	id       tid
	wire     string          // the request as it came
	after    <-chan struct{} // closed when the transfer that this one replaces has ended
	result   Transfer
	terms    terms
	taken    []Option  // for the OACK
	stored   *receiver // of an upload that has ended well

	// The rest is guarded by the mutex of the server.
	count      *peerCount
	counted    bool // for MaxTransfers
	dallies    bool // all is done but for the last ACK, maybe
	unanswered bool
	older      *transfer     // in the queue of those that are unanswered
	newer      *transfer     // likewise
	way        link          // the link of the exchange, once there is one
	repeat     *transfer     // of the same request, which came again
	repeated   time.Time     // when it did
	ended      chan struct{} // closed when it has, or nil if nobody waits
	cancel     context.CancelCauseFunc
	stopErr    error
}

// enter counts the transfer. It is called under the mutex of the server.
func (t *transfer) enter(count *peerCount) {
	l, s := t.listener, t.listener.server
	t.count, t.counted, t.unanswered = count, true, true
	count.active++
	count.unanswered++
	s.active++
	s.running++
	l.transfers[t.id] = t
	l.waiting.push(t)
}

// leave ends the counting of the transfer. It is called under the mutex of the
// server.
func (t *transfer) leave() {
	t.heardOf()
	if !t.counted {
		return
	}
	s := t.listener.server
	t.counted = false
	s.active--
	if t.count.active--; t.count.active == 0 {
		delete(s.peers, t.id.peer.Addr())
	}
}

// heardOf notes that the address of the peer is real.
func (t *transfer) heardOf() {
	if t.unanswered {
		t.unanswered = false
		t.count.unanswered--
		t.listener.waiting.remove(t)
	}
}

// silent reports whether nothing has come from the peer for so long that a request
// is a new one, although it looks like the old.
func (t *transfer) silent() bool {
	since := t.silentSince.Load()
	return since != 0 && time.Since(time.Unix(0, since)) >= firstTimeout
}

// stop ends the transfer with err, and tells the peer last if it is not nil. It is
// called under the mutex of the server.
func (t *transfer) stop(last *Error, err error) {
	if t.stopErr != nil {
		return
	}
	t.stopErr = err
	if t.cancel != nil {
		t.cancel(err)
	}
	if t.way != nil {
		t.way.stop(last, err)
	} else if last != nil {
		t.listener.refuse(t.id, last)
	}
}

// run serves the request to its end.
func (t *transfer) run() {
	s := t.listener.server
	defer t.end()
	if t.after != nil {
		<-t.after // so that nothing of it goes to the peer any more
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	s.mu.Lock()
	t.cancel = cancel
	err := t.stopErr
	s.mu.Unlock()

	if err == nil {
		err = t.serve(ctx)
	}
	t.finish(err)
	if t.stored != nil {
		if long := t.mayDally(); long > 0 {
			t.stored.dally(long)
			s.mu.Lock()
			s.dallying--
			s.mu.Unlock()
		}
	}
}

// mayDally takes one of the places for dallying, and returns for how long that may
// be. The option timeout does not make that shorter: atftp asks for a second, and itself
// waits five before it sends the last block again. A server that shuts down has not as much
// time.
func (t *transfer) mayDally() time.Duration {
	s := t.listener.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dallying >= maxDallying {
		return 0
	}
	s.dallying++
	t.dallies = true
	if s.closing {
		return min(t.trip.most, 4*t.trip.timeout)
	}
	return max(t.trip.most, s.timeout())
}

// finish reports the transfer.
func (t *transfer) finish(err error) {
	s := t.listener.server
	s.mu.Lock()
	t.leave()
	s.mu.Unlock()
	if peer, ok := errors.AsType[*peerError](err); ok {
		err = peer.said
	}
	t.stats.Duration = time.Since(t.started)
	t.result.Stats = t.stats
	t.result.Err = err
	if s.Logger != nil {
		t.log()
	}
	if s.Report != nil {
		s.Report(t.result)
	}
}

// end forgets the transfer.
func (t *transfer) end() {
	l, s := t.listener, t.listener.server
	s.mu.Lock()
	again := t.again() // not before the lock: another request may come in between
	if l.transfers[t.id] == t {
		delete(l.transfers, t.id)
	} else {
		again = nil // there is a newer one
	}
	t.way = nil // so that nothing is delivered to it any more
	ended := t.ended
	wake := s.closing && len(l.transfers) == 0
	s.mu.Unlock()
	if t.link != nil {
		t.link.close()
	}
	if wake {
		l.wake()
	}
	if ended != nil {
		close(ended)
	}
	if again != nil && l.admit(again) {
		go again.run()
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.forget(l)
	s.checkIdle()
}

// again returns the request that came twice, if the second was no duplicate: a
// client that has all, and asks for the same from the same port, may be quicker
// than this side is with its last ACK. A duplicate is not, since it comes with the
// first. So it is a new request if it came in the second half of the wait for the
// last ACK. It is called under the mutex of the server.
func (t *transfer) again() *transfer {
	if t.repeat == nil || t.result.Write || t.result.Err != nil || t.result.Probe {
		return nil
	}
	if now := time.Now(); t.repeated.Sub(t.began) <= now.Sub(t.began)/2 {
		return nil
	}
	return t.repeat
}

// log writes one record of what has ended.
func (t *transfer) log() {
	r := &t.result
	level, message := slog.LevelInfo, "transfer"
	if r.Err != nil {
		level, message = slog.LevelWarn, "transfer failed"
	}
	direction := "read"
	if r.Write {
		direction = "write"
	}
	if r.Probe {
		direction = "probe"
	}
	attrs := []slog.Attr{
		slog.String("peer", r.Request.Peer.String()), slog.String("direction", direction),
		slog.String("name", loggable(r.Request.Name)), slog.String("mode", r.Request.Mode),
		slog.Int64("bytes", r.Bytes), slog.Int64("blocks", r.Blocks), slog.Int64("resent", r.Resent),
		slog.Duration("duration", r.Duration), slog.Int("blksize", r.BlockSize), slog.Int("windowsize", r.WindowSize),
	}
	if r.Err != nil {
		attrs = append(attrs, slog.String("error", loggable(r.Err.Error())))
	}
	t.listener.server.Logger.LogAttrs(context.Background(), level, message, attrs...)
}
