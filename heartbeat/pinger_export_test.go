package heartbeat

import "time"

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
