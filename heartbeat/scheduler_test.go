package heartbeat_test

import (
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// One stuck Write delays nobody by more than a millisecond.
func TestStuckWriteDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s heartbeat.Scheduler
		read, stuck := io.Pipe()
		blocked := &heartbeat.Pinger{Writer: stuck, Interval: time.Second, Timeout: time.Second, MaxMissed: 100, Scheduler: &s}
		started(t, blocked)
		var others []*recorder
		for range 10 {
			r := newRecorder()
			others = append(others, r)
			started(t, &heartbeat.Pinger{Writer: r, Interval: time.Second, MaxMissed: -1, Scheduler: &s})
		}
		time.Sleep(10*time.Second + 10*time.Millisecond)
		for _, r := range others {
			last := time.Duration(0)
			for i, at := range r.times() {
				if late := at - last - time.Second; late < 0 || late > time.Millisecond {
					t.Errorf("ping %d came at %v, after one at %v", i+1, at, last)
				}
				last = at
			}
			if n := len(r.times()); n != 10 {
				t.Errorf("%d pings, want one a second", n)
			}
		}
		read.Close()
	})
}

// Many stuck Writes at one instant get a millisecond each the first time, and none
// the next.
func TestManyStuckWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s heartbeat.Scheduler
		release := make(chan struct{})
		hang := writerFunc(func(p []byte) (int, error) {
			select {
			case <-release:
			case <-time.After(500 * time.Millisecond):
			}
			return len(p), nil
		})
		for range 50 {
			started(t, &heartbeat.Pinger{Writer: hang, Interval: time.Second, MaxMissed: -1, Scheduler: &s})
		}
		r := newRecorder()
		started(t, &heartbeat.Pinger{Writer: r, Interval: time.Second, MaxMissed: -1, Scheduler: &s})
		time.Sleep(3 * time.Second)
		got := r.times()
		if len(got) < 2 || got[0] > 1051*time.Millisecond || got[1]-got[0] != time.Second {
			t.Errorf("pings at %v", got)
		}
		close(release)
		synctest.Wait()
	})
}

// Ten thousand Pingers on one Scheduler, which is empty when they have ended.
func TestTenThousand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 10_000
		var s heartbeat.Scheduler
		var pings, ends atomic.Int64
		w := writerFunc(func(p []byte) (int, error) {
			pings.Add(1)
			return len(p), nil
		})
		pingers := make([]heartbeat.Pinger, many)
		before := runtime.NumGoroutine()
		for i := range pingers {
			p := &pingers[i]
			p.Writer, p.Interval, p.Timeout, p.Scheduler = w, 10*time.Second, time.Second, &s
			if err := p.Start(func(error) { ends.Add(1) }); err != nil {
				t.Fatal(err)
			}
		}
		if n := runtime.NumGoroutine() - before; n > 10 {
			t.Errorf("%d goroutines for %d Pingers", n, many)
		}
		for range 3 { // every tenth answers
			time.Sleep(10*time.Second + 500*time.Millisecond)
			for i := 0; i < many; i += 10 {
				pingers[i].Touch()
			}
		}
		synctest.Wait()
		if n := ends.Load(); n != many-many/10 {
			t.Errorf("%d ended, want %d", n, many-many/10)
		}
		if n := pings.Load(); n != many+2*many/10 {
			t.Errorf("%d pings, want %d", n, many+2*many/10)
		}
		for i := range pingers {
			pingers[i].Stop()
		}
		if n := s.Len(); n != 0 || ends.Load() != many {
			t.Errorf("%d are left, %d ended", n, ends.Load())
		}
	})
}

// A Scheduler with many Pingers lets pings come together that are due soon after the
// last, and is exact where it has been idle.
func TestPingsComeTogether(t *testing.T) {
	for _, tt := range []struct {
		interval time.Duration
		want     []float64 // seconds, of pings that are due 5 ms apart
	}{
		{10 * time.Second, []float64{10, 10.030, 10.030, 10.030, 10.030, 10.030, 10.030, 10.060}}, // after a rest
		{320 * time.Millisecond, []float64{0.320, 0.335, 0.335, 0.335, 0.350, 0.350, 0.350, 0.365}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var s heartbeat.Scheduler
			for range 100 {
				started(t, &heartbeat.Pinger{Writer: io.Discard, Interval: time.Hour, Scheduler: &s})
			}
			time.Sleep(time.Second)
			var all []*recorder
			begin := time.Now()
			for range tt.want {
				r := newRecorder()
				r.begin = begin
				all = append(all, r)
				started(t, &heartbeat.Pinger{Writer: r, Interval: tt.interval, MaxMissed: -1, Scheduler: &s})
				time.Sleep(5 * time.Millisecond)
			}
			time.Sleep(tt.interval + 25*time.Millisecond)
			synctest.Wait()
			for i, want := range tt.want {
				all[i].want(t, want)
			}
		})
	}
}

func TestTouchDoesNotAllocate(t *testing.T) {
	p := &heartbeat.Pinger{Writer: io.Discard}
	started(t, p)
	if n := testing.AllocsPerRun(1000, p.Touch); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
