package heartbeat

import (
	"errors"
	"time"
)

// Freeze makes s do nothing for d, as if the process had been stopped.
func (s *Scheduler) Freeze(d time.Duration) {
	s.mu.Lock()
	s.timer.Stop()
	s.mu.Unlock()
	time.Sleep(d)
	s.work()
}

// Len returns how many Pingers run on s.
func (s *Scheduler) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// A Queue is a queue of runs of its own.
type Queue struct {
	queue queue
	runs  []*run
}

// Len returns how many runs there are.
func (q *Queue) Len() int { return len(q.runs) }

// Push adds a run that is due at a time.
func (q *Queue) Push(due int64) {
	r := &run{due: due}
	q.runs = append(q.runs, r)
	q.queue.push(r)
}

// Move makes run i due at another time.
func (q *Queue) Move(i int, due int64) {
	q.runs[i].due = due
	q.queue.fix(q.runs[i])
}

// Remove takes run i out.
func (q *Queue) Remove(i int) {
	q.queue.remove(q.runs[i])
	q.runs[i] = q.runs[len(q.runs)-1]
	q.runs = q.runs[:len(q.runs)-1]
}

// Check returns what is wrong with the queue.
func (q *Queue) Check() error {
	if len(q.queue) != len(q.runs) {
		return errors.New("some are missing")
	}
	for i, r := range q.runs {
		switch {
		case r.index < 0 || r.index >= len(q.queue) || q.queue[r.index].run != r:
			return errors.New("a run is not where it thinks")
		case q.queue[r.index].due != r.due:
			return errors.New("the queue has another time than a run")
		case q.queue[0].due > r.due:
			return errors.New("the first is not due first")
		case i > 0 && q.queue[(i-1)/children].due > q.queue[i].due:
			return errors.New("a parent is due later than its child")
		}
	}
	return nil
}

// Touched returns when p was last touched, in nanoseconds.
func (p *Pinger) Touched() int64 { return p.touched.Load() }
