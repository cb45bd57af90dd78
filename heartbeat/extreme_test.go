package heartbeat_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// Durations that nobody lives to see do not overflow: no ping comes early, and
// nobody is accused early.
func TestHugeDurations(t *testing.T) {
	const huge = time.Duration(math.MaxInt64)
	for _, tt := range []struct {
		name string
		p    *heartbeat.Pinger
		set  time.Duration
		want []float64
	}{
		{"Interval", &heartbeat.Pinger{Interval: huge}, 0, nil},
		{"Interval and Jitter", &heartbeat.Pinger{Interval: huge, Jitter: 1e-9}, 0, nil},
		{"Timeout", &heartbeat.Pinger{Interval: 1000 * time.Second, Timeout: huge}, 0, []float64{1000}},
		{"SetInterval", &heartbeat.Pinger{Interval: 1000 * time.Second, Timeout: huge}, huge, nil},
		{"a century", &heartbeat.Pinger{Interval: 100 * 365 * 24 * time.Hour}, 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecorder()
				other, s := newRecorder(), new(heartbeat.Scheduler)
				started(t, &heartbeat.Pinger{Writer: other, Interval: 2000 * time.Second, MaxMissed: -1, Scheduler: s})
				tt.p.Writer, tt.p.Scheduler = limitedPings{r, 10}, s
				ended := started(t, tt.p)
				tt.p.SetInterval(tt.set)
				time.Sleep(10_000 * time.Second)
				synctest.Wait()
				r.want(t, tt.want...)
				other.want(t, 2000, 4000, 6000, 8000, 10_000)
				if len(ended) > 0 {
					t.Errorf("ended by %v", <-ended)
				}
			})
		})
	}
}

// A limitedPings fails after so many pings, so that a fault does not fill the memory.
type limitedPings struct {
	*recorder
	most int
}

func (l limitedPings) Write(p []byte) (int, error) {
	if len(l.times()) == l.most {
		return 0, context.DeadlineExceeded
	}
	return l.recorder.Write(p)
}

// A Jitter that is no share of an interval is none, or all.
func TestOddJitter(t *testing.T) {
	for _, jitter := range []float64{-1, math.Inf(-1), math.NaN()} {
		synctest.Test(t, func(t *testing.T) {
			r := newRecorder()
			started(t, &heartbeat.Pinger{Writer: r, Interval: time.Second, Jitter: jitter, MaxMissed: -1})
			time.Sleep(3500 * time.Millisecond)
			r.want(t, 1, 2, 3)
		})
	}
	for _, jitter := range []float64{1, 100, math.Inf(1)} {
		synctest.Test(t, func(t *testing.T) {
			r := newRecorder()
			started(t, &heartbeat.Pinger{Writer: r, Interval: time.Second, Jitter: jitter, MaxMissed: -1})
			time.Sleep(1000 * time.Second)
			if n := len(r.times()); n < 1800 || n > 2200 { // half an interval each
				t.Errorf("%d pings in 1000 intervals that Jitter %v shortens, want about 2000", n, jitter)
			}
		})
	}
}

// A Pinger that was started without a function can be started again.
func TestStartWithoutFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		p := &heartbeat.Pinger{Writer: r, Interval: time.Second, Timeout: time.Second}
		for range 2 {
			if err := p.Start(nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
		r.want(t, 1, 4)
	})
}
