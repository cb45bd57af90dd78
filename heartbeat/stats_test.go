package heartbeat_test

import (
	"math"
	"testing"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

func answers(rtts ...time.Duration) (results []heartbeat.Result) {
	for _, rtt := range rtts {
		results = append(results, heartbeat.Result{Class: heartbeat.Answered, RTT: rtt})
	}
	return results
}

func TestStats(t *testing.T) {
	type times struct{ min, avg, max, mdev, jitter time.Duration }
	lost := []heartbeat.Result{{Class: heartbeat.Refused}, {Class: heartbeat.TimedOut, RTT: time.Hour}}
	tests := []struct {
		name    string
		results []heartbeat.Result
		loss    float64
		times   times
	}{
		{"nothing", nil, 0, times{}},
		{"all lost", lost, 1, times{}},
		{"one", answers(5), 0, times{5, 5, 5, 0, 0}},
		{"one of no time", answers(0), 0, times{}},
		{"no time and some", answers(0, 10), 0, times{0, 5, 10, 5, 10}},
		{"falling", answers(30, 20, 10), 0, times{10, 20, 30, 8, 10}},
		{"lost between", append(append(answers(10), lost...), answers(30)...), 0.5, times{10, 20, 30, 10, 20}},
		{"known deviation", answers(2, 4, 4, 4, 5, 5, 7, 9), 0, times{2, 5, 9, 2, 1}},
		{
			"equal and long", answers(math.MaxInt64/4, math.MaxInt64/4, math.MaxInt64/4), 0,
			times{math.MaxInt64 / 4, math.MaxInt64/4 + 1, math.MaxInt64 / 4, 0, 0},
		}, // as a float64 is rounded
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s heartbeat.Stats
			for _, r := range tt.results {
				s.Add(r)
			}
			if s.Sent != len(tt.results) || s.Loss() != tt.loss {
				t.Errorf("Sent = %d, Loss() = %v, want %d, %v", s.Sent, s.Loss(), len(tt.results), tt.loss)
			}
			if got := (times{s.Min(), s.Avg(), s.Max(), s.Mdev(), s.Jitter()}); got != tt.times {
				t.Errorf("times = %v, want %v", got, tt.times)
			}
		})
	}
}

// The mean of squares minus the square of the mean would be lost in the rounding
// here.
func TestMdevOfLongAndCloseTimes(t *testing.T) {
	var s heartbeat.Stats
	for i := range 1_000_000 {
		s.Add(heartbeat.Result{Class: heartbeat.Answered, RTT: time.Hour + time.Duration(i%2)*2*time.Microsecond})
	}
	if got := s.Mdev(); got != time.Microsecond {
		t.Errorf("Mdev() = %v, want 1µs", got)
	}
	if got, want := s.Avg(), time.Hour+time.Microsecond; got != want {
		t.Errorf("Avg() = %v, want %v", got, want)
	}
}

func TestStatsCountEachClass(t *testing.T) {
	var s heartbeat.Stats
	for c := range heartbeat.Failed + 2 {
		s.Add(heartbeat.Result{Class: c})
	}
	if s.Sent != 8 || s.Answered != 1 || s.Refused != 1 || s.Loss() != 7./8 {
		t.Errorf("counts are %+v, loss %v", s, s.Loss())
	}
}

func BenchmarkStats(b *testing.B) {
	b.ReportAllocs()
	var s heartbeat.Stats
	r := heartbeat.Result{Class: heartbeat.Answered, RTT: time.Millisecond}
	for b.Loop() {
		s.Add(r)
	}
}
