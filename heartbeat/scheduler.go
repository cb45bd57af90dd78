package heartbeat

import (
	"sync"
	"time"
)

const (
	// patience is how long the goroutine that writes pings may be in one Write
	// before another one goes on with the pings that are due.
	patience = time.Millisecond

	// crowd is from how many Pingers on they wait for each other. rest is how long
	// a Scheduler that has worked lets them, so that their pings are written
	// together: to wake up an idle process costs as much as writing a hundred. A
	// ping waits for a 32nd of its interval at most.
	crowd    = 100
	rest     = 30 * time.Millisecond
	fraction = 32
)

// epoch is when this process began. Times are counted from a century before it, in
// nanoseconds of the monotonic clock, so that none is below zero in a test whose
// clock begins in the year 2000, and zero means never.
var epoch = time.Now()

const century = 100 * 365 * 24 * time.Hour

func clock() int64 { return int64(century + time.Since(epoch)) }

// A Scheduler is shared by Pingers, so that ten thousand of them cost one timer and
// no goroutine that waits. Its zero value is ready to use, and it has nothing to
// close.
//
// Pings that are due are written one after the other. One whose Write takes longer
// than a millisecond gets a goroutine of its own, then and the next times, so that
// it does not delay the others. A Scheduler with a hundred Pingers or more lets a
// ping wait for others, for 30 ms or a 32nd of its interval or Timeout, whichever is
// less.
type Scheduler struct {
	mu      sync.Mutex
	queue   queue
	timer   *time.Timer // nil if the queue is empty and nobody works
	working int         // the number of the goroutine that does what is due, or 0
	workers int         // how many there were
	watched int64       // when timer was last set to look after the one that works
	worked  int64       // when the last one has ended
}

// add enters r. It is called under mu, as what follows.
func (s *Scheduler) add(r *run) {
	s.queue.push(r)
	s.arm()
}

func (s *Scheduler) remove(r *run) {
	s.queue.remove(r)
	s.arm()
}

// fix puts r where it is due, if it has not ended.
func (s *Scheduler) fix(r *run) {
	if r.index >= 0 {
		s.queue.fix(r)
	}
}

// arm sets the timer to when the first Pinger is due. While somebody works it is set
// to look after that, and arm is called at the end.
func (s *Scheduler) arm() {
	switch {
	case s.working > 0:
	case len(s.queue) > 0:
		r := s.queue[0].run
		at := r.due
		if len(s.queue) >= crowd {
			at = max(at, min(s.worked+int64(rest), at+int64(min(r.wait(), r.timeout())/fraction)))
		}
		s.set(time.Duration(at - clock()))
	case s.timer != nil:
		s.timer.Stop()
		s.timer = nil
	}
}

func (s *Scheduler) set(d time.Duration) {
	if s.timer == nil {
		s.timer = time.AfterFunc(d, s.work)
	} else {
		s.timer.Reset(d)
	}
}

// watch lets another goroutine work if this one does not come back soon.
func (s *Scheduler) watch(now int64) {
	if now-s.watched > int64(patience)/2 {
		s.watched = now
		s.set(patience)
	}
}

// work does what is due. If a Write takes long, the timer makes another goroutine
// work on, and this one leaves when the Write has returned.
//
// It does not unlock mu by defer, nor does workAlone, because a Write that panics
// does so while mu is not held.
func (s *Scheduler) work() {
	s.mu.Lock()
	s.workers++
	own := s.workers
	s.working = own
	s.watched = 0 // the timer that was set then has been set anew, or is the one that fired
	for now := clock(); len(s.queue) > 0; {
		r := s.queue[0].run
		if r.due > now {
			if now = clock(); r.due > now { // it may be later than it was
				break
			}
		}
		write, after := r.turn(now)
		s.fix(r)
		switch {
		case write && r.slow:
			go s.workAlone(r)
		case write || after != nil:
			s.watch(now)
			now = s.finish(r, now, write, after)
			if s.working != own {
				s.arm()
				s.mu.Unlock()
				return
			}
		}
	}
	s.working, s.worked = 0, clock()
	s.arm()
	s.mu.Unlock()
}

// workAlone writes a ping in a goroutine of its own, whose end needs no waiting
// for: that of the run waits for the Write.
func (s *Scheduler) workAlone(r *run) {
	s.mu.Lock()
	s.finish(r, clock(), true, nil)
	s.arm()
	s.mu.Unlock()
}

// finish does what a turn asked for, without mu, and returns the time afterwards.
func (s *Scheduler) finish(r *run, begin int64, write bool, after func()) int64 {
	now := begin
	for write {
		begin = now
		s.mu.Unlock()
		n, err := r.writer.ping(r.message())
		now = clock()
		s.mu.Lock()
		r.slow = now-begin > int64(patience)
		write, after = r.wrote(n, err, now)
		s.fix(r)
	}
	if after != nil {
		s.mu.Unlock()
		after()
		s.mu.Lock()
	}
	return now
}
