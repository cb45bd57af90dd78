package heartbeat

import (
	"math"
	"time"
)

// Stats summarises the results of a [Probe] in constant memory. The zero value
// has no results and is ready to use. It must not be used by several goroutines
// at once, and may be copied.
type Stats struct {
	Sent     int // results added
	Answered int // those of the Class Answered
	Refused  int // those of the Class Refused

	min, max, last time.Duration
	mean           float64 // of the round trip times, in nanoseconds
	squares        float64 // sum of the squared differences from mean
	steps          float64 // sum of the differences between successive times
}

// Add adds a result.
func (s *Stats) Add(r Result) {
	s.Sent++
	switch r.Class {
	case Refused:
		s.Refused++
	case Answered:
		s.Answered++
		s.addRTT(r.RTT)
	}
}

// addRTT is Welford's method, which loses no digits where the times are long
// and close together.
func (s *Stats) addRTT(rtt time.Duration) {
	x := float64(rtt)
	if s.Answered == 1 {
		s.min, s.max, s.mean = rtt, rtt, x
	} else {
		s.min, s.max = min(s.min, rtt), max(s.max, rtt)
		s.steps += math.Abs(x - float64(s.last))
		delta := x - s.mean
		s.mean += delta / float64(s.Answered)
		s.squares += max(0, delta*(x-s.mean))
	}
	s.last = rtt
}

// Loss returns the share of the results that are not Answered, from 0 to 1. A
// refused attempt is lost too: its host is there, but not the service. Without
// results it is 0.
func (s *Stats) Loss() float64 {
	if s.Sent == 0 {
		return 0
	}
	return float64(s.Sent-s.Answered) / float64(s.Sent)
}

// Min returns the shortest round trip time, or 0 if nothing answered.
func (s *Stats) Min() time.Duration { return s.min }

// Max returns the longest round trip time, or 0 if nothing answered.
func (s *Stats) Max() time.Duration { return s.max }

// Avg returns the mean of the round trip times, or 0 if nothing answered.
func (s *Stats) Avg() time.Duration { return nanoseconds(s.mean) }

// Mdev returns the standard deviation of the round trip times, as ping prints
// it: the square root of their mean squared difference from Avg. With fewer than
// two of them it is 0.
func (s *Stats) Mdev() time.Duration {
	if s.Answered == 0 {
		return 0
	}
	return nanoseconds(math.Sqrt(s.squares / float64(s.Answered)))
}

// Jitter returns the mean difference, without its sign, between the round trip
// times of an answer and the answer before it, whatever was lost between them.
// Unlike the estimator of RFC 3550, section 6.4.1, it weighs all differences
// alike, so that it is right for a few results too. With fewer than two answers
// it is 0.
func (s *Stats) Jitter() time.Duration {
	if s.Answered < 2 {
		return 0
	}
	return nanoseconds(s.steps / float64(s.Answered-1))
}

func nanoseconds(f float64) time.Duration { return time.Duration(math.Round(f)) }
