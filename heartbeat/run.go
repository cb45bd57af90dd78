package heartbeat

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxLateness is how late a Pinger may look at its peer and still judge it.
	// Beyond, the process was asleep, and an answer may be there that nobody has
	// read yet.
	maxLateness = 100 * time.Millisecond

	// maxChances is how many pings in a row are not judged for that. A process
	// that is always late has to judge some time.
	maxChances = 3
)

// A run is a Pinger from its start to its end. The mutex of its scheduler guards
// what is not set at the start.
type run struct {
	*Pinger
	scheduler *Scheduler
	writer    pingWriter
	watched   func() bool // whether anybody would have noticed an answer, if not nil
	ended     func(error)

	due     int64 // when it has its next turn
	index   int   // in the queue, or -1
	early   int64 // by how much the wait for the next ping is shortened
	pinged  int64 // when the last ping began, or was due while another was written
	verdict int64 // when that counts as missed
	missed  int
	chances int   // pings in a row that were not judged because they were late
	waiting bool  // the last ping has no answer yet
	writing bool  // its Write has not returned
	slow    bool  // the last Write took long
	again   bool  // what it writes has had an answer, so that another ping follows
	result  error // why it ends, once it does
}

// shorten chooses the jitter of the next wait.
func (r *run) shorten() {
	r.early = 0
	if r.Jitter > 0 {
		r.early = int64(min(r.Jitter, 1) * rand.Float64() * float64(r.wait()))
	}
}

// turn is called when r is due, and sets when it is due again. It reports whether
// a ping is to be written. If after is not nil, r has ended, and after is to be
// called without the mutex.
func (r *run) turn(now int64) (write bool, after func()) {
	touched := r.touched.Load()
	if r.waiting && touched >= r.pinged {
		r.waiting, r.missed, r.chances = false, 0, 0
	}
	if r.waiting && now >= r.verdict && r.watched != nil && !r.watched() {
		r.waiting = false // nobody would have noticed an answer
	}
	if r.waiting && (r.writing || r.maxMissed() > 0) {
		if now < r.verdict {
			r.due = min(r.verdict, now+int64(r.wait()))
			return false, nil
		}
		if r.mayJudge(now) && r.miss() {
			return false, r.end(r.verdictError())
		}
		return r.ping(now), nil
	}
	next := max(touched, r.restarted.Load(), r.pinged) + int64(r.wait()) - r.early
	if now < next {
		r.due = next
		return false, nil
	}
	r.again = r.writing
	return r.ping(now), nil
}

// mayJudge reports whether this is not so late that the process may have been asleep.
func (r *run) mayJudge(now int64) bool {
	if now-r.due <= int64(min(maxLateness, r.timeout()/2)) || r.chances == maxChances {
		r.chances = 0
		return true
	}
	r.chances++
	return false
}

// ping begins a ping. It reports whether that is to be written: not if the one
// before is still being written, which stands for both then.
func (r *run) ping(now int64) (write bool) {
	write = !r.writing
	r.pinged, r.waiting, r.writing = now, true, true
	r.verdict = now + int64(r.timeout())
	r.shorten()
	// Not later than the next ping if an answer comes at once, because Touch
	// does not change when r is due.
	r.due = min(r.verdict, now+int64(r.wait())-r.early)
	return write
}

// miss counts a ping as missed, and reports whether it is one too many.
func (r *run) miss() bool {
	r.missed++
	return r.missed >= r.maxMissed()
}

// verdictError is why a run ends by a miss.
func (r *run) verdictError() error {
	if r.maxMissed() < 0 { // so it is about the Write alone
		return fmt.Errorf("heartbeat: ping: %w", os.ErrDeadlineExceeded)
	}
	return ErrPeerSilent
}

// wrote is called when a Write has returned. It reports whether the next one is to
// follow at once; for after see turn.
func (r *run) wrote(n int, err error, now int64) (write bool, after func()) {
	r.writing = false
	again := r.again && r.waiting && r.touched.Load() < r.pinged
	r.again = false
	switch {
	case r.result != nil: // it was told to return, perhaps when it just had
		r.writer.settle()
		return false, r.finish()
	case err == nil && again:
		return r.ping(now), nil
	case err == nil:
		return false, nil
	case n == 0 && errors.Is(err, os.ErrDeadlineExceeded) && r.maxMissed() > 0:
		return false, nil // it is missed then, which its turn counts
	}
	return false, r.end(fmt.Errorf("heartbeat: ping: %w", err))
}

// hasten makes the turn come for an interval of d. It may come too early then, and
// is put off.
func (r *run) hasten(d time.Duration) {
	s := r.scheduler
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.result != nil {
		return
	}
	r.shorten()
	if due := clock() + int64(d) - r.early; due < r.due {
		r.due = due
		s.fix(r)
		s.arm()
	}
}

func (r *run) stop(cause error) {
	r.scheduler.mu.Lock()
	after := r.end(cause)
	r.scheduler.mu.Unlock()
	if after != nil {
		after()
	}
}

// end takes r out of the queue. What it returns is to be called without the mutex;
// it is nil if r has ended before, or if its Write has to return first.
func (r *run) end(cause error) (after func()) {
	if r.result != nil {
		return nil
	}
	r.result = cause
	r.scheduler.remove(r)
	if r.writing && r.writer.abort() {
		return nil
	}
	return r.finish()
}

// finish makes room for the next run, once.
func (r *run) finish() (after func()) {
	ended := r.ended
	if ended == nil {
		return nil
	}
	r.ended = nil
	r.running.Store(nil)
	return func() { ended(r.result) }
}

// A pingWriter writes pings. What takes too long is for the run to judge, which
// aborts the Write when it ends and not before: a time-out would be the end of a
// [crypto/tls.Conn], and may leave half a ping behind.
type pingWriter interface {
	ping(b []byte) (int, error)

	// abort makes a ping that is being written, or about to be, return. It
	// reports whether it will. Then settle is called when it has.
	abort() bool
	settle()
}

func newPingWriter(w io.Writer) pingWriter {
	if w, ok := w.(deadlineWriter); ok {
		return &limited{w: w, raw: rawOf(w)}
	}
	return unlimited{w}
}

type deadlineWriter interface {
	io.Writer
	SetWriteDeadline(t time.Time) error
}

// A limited aborts by a deadline. It removes one that was left there, because one
// that has passed would fail the ping, and leaves none behind, because that would
// fail the next Write of the application. Where deadlines do not work it has none.
type limited struct {
	w       deadlineWriter
	raw     syscall.RawConn // what w is, if that is a socket
	aborted atomic.Bool
}

func (l *limited) ping(b []byte) (int, error) {
	n := writeNow(l.raw, b)
	if n == len(b) && n > 0 {
		return n, nil
	}
	l.settle()
	if l.aborted.Load() { // perhaps before settle, which would have undone it
		return n, os.ErrDeadlineExceeded
	}
	m, err := l.w.Write(b[n:])
	return n + m, err
}

func (l *limited) abort() bool {
	l.aborted.Store(true)
	return l.w.SetWriteDeadline(time.Unix(1, 0)) == nil
}

// settle ignores an error: if w is closed the Write fails.
func (l *limited) settle() { _ = l.w.SetWriteDeadline(time.Time{}) }

// An unlimited has no deadlines.
type unlimited struct{ w io.Writer }

func (u unlimited) ping(b []byte) (int, error) { return u.w.Write(b) }

func (unlimited) abort() bool { return false }

func (unlimited) settle() {}
