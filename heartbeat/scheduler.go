package heartbeat

import (
	"container/heap"
	"sync"
	"time"
)

// patience is how long the goroutine that writes pings may be in one Write before
// another one goes on with the pings that are due.
const patience = time.Millisecond

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
// it does not delay the others.
type Scheduler struct {
	mu      sync.Mutex
	queue   queue
	timer   *time.Timer // nil if the queue is empty and nobody works
	working int         // the number of the goroutine that does what is due, or 0
	workers int         // how many there were
	watched int64       // when timer was last set to look after the one that works
}

// A queue is the Pingers that run, as a heap: the first is due first. Touch does not
// change it, which is what makes Touch cheap: a Pinger that was touched meanwhile
// is found out when it is due, and put back.
type queue []*run

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].due < q[j].due }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	r := x.(*run)
	r.index = len(*q)
	*q = append(*q, r)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	r := old[len(old)-1]
	old[len(old)-1], r.index = nil, -1
	*q = old[:len(old)-1]
	return r
}

// add enters r. It is called under mu, as what follows.
func (s *Scheduler) add(r *run) {
	heap.Push(&s.queue, r)
	s.arm()
}

func (s *Scheduler) remove(r *run) {
	heap.Remove(&s.queue, r.index)
	s.arm()
}

// fix puts r where it is due, if it has not ended.
func (s *Scheduler) fix(r *run) {
	if r.index >= 0 {
		heap.Fix(&s.queue, r.index)
	}
}

// arm sets the timer to when the first Pinger is due. While somebody works it is set
// to look after that, and arm is called at the end.
func (s *Scheduler) arm() {
	switch {
	case s.working > 0:
	case len(s.queue) > 0:
		s.set(time.Duration(s.queue[0].due - clock()))
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
func (s *Scheduler) work() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers++
	own := s.workers
	s.working = own
	for len(s.queue) > 0 {
		now := clock()
		r := s.queue[0]
		if r.due > now {
			break
		}
		write, after := r.turn(now)
		s.fix(r)
		switch {
		case write && r.slow:
			go s.workAlone(r)
		case write || after != nil:
			s.watch(now)
			s.finish(r, write, after)
			if s.working != own {
				s.arm()
				return
			}
		}
	}
	s.working = 0
	s.arm()
}

// workAlone writes a ping in a goroutine of its own, whose end needs no waiting
// for: that of the run waits for the Write.
func (s *Scheduler) workAlone(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finish(r, true, nil)
	s.arm()
}

// finish does what a turn asked for, without mu.
func (s *Scheduler) finish(r *run, write bool, after func()) {
	for write {
		begin := clock()
		s.mu.Unlock()
		n, err := r.writer.ping(r.message(), r.timeout())
		s.mu.Lock()
		now := clock()
		r.slow = now-begin > int64(patience)
		write, after = r.wrote(n, err, now)
		s.fix(r)
	}
	if after != nil {
		s.mu.Unlock()
		after()
		s.mu.Lock()
	}
}
