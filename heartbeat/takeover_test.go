package heartbeat_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// A Write that is stuck shortly after the work of another turn does not stop the
// Scheduler.
func TestStuckWriteAfterOtherWork(t *testing.T) {
	for _, after := range []time.Duration{1, 100 * time.Microsecond, 500 * time.Microsecond, time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			var s heartbeat.Scheduler
			read, stuck := io.Pipe()
			first, last := newRecorder(), newRecorder()
			started(t, &heartbeat.Pinger{Writer: first, Interval: time.Second, MaxMissed: -1, Scheduler: &s})
			started(t, &heartbeat.Pinger{Writer: stuck, Interval: time.Second + after, Timeout: time.Hour, Scheduler: &s})
			started(t, &heartbeat.Pinger{Writer: last, Interval: 1500 * time.Millisecond, MaxMissed: -1, Scheduler: &s})
			time.Sleep(3200 * time.Millisecond)
			first.want(t, 1, 2, 3)
			last.want(t, 1.5, 3)
			read.Close()
		})
	}
}

// A callback that blocks delays nobody by more than a millisecond.
func TestStuckCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s heartbeat.Scheduler
		release := make(chan struct{})
		p := &heartbeat.Pinger{Writer: io.Discard, Interval: time.Second, Timeout: time.Second, Scheduler: &s}
		if err := p.Start(func(error) { <-release }); err != nil {
			t.Fatal(err)
		}
		r := newRecorder()
		started(t, &heartbeat.Pinger{Writer: r, Interval: 2500 * time.Millisecond, MaxMissed: -1, Scheduler: &s})
		time.Sleep(6 * time.Second)
		r.want(t, 2.5, 5)
		close(release)
	})
}
