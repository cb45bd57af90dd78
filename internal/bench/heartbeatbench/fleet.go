//go:build linux

package heartbeatbench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/bench/lab"
)

// A fleet is many pingers of one design, which write to it.
type fleet struct {
	count    int
	interval time.Duration
	pings    atomic.Int64

	// Of the last touches, when they have been made.
	touches int
	pause   time.Duration // the longest without one

	start, touch func(i int)
	stop         func()
}

// Write counts a ping.
func (f *fleet) Write(p []byte) (int, error) {
	f.pings.Add(1)
	return len(p), nil
}

// newFleet returns a fleet of the design of a side.
func newFleet(side string, count int, interval time.Duration) (*fleet, error) {
	f := &fleet{count: count, interval: interval}
	switch side {
	case lab.Ours:
		f.schedule()
	case goroutine:
		f.spawn()
	case timers:
		f.arm()
	default:
		return nil, fmt.Errorf("no design is called %q", side)
	}
	return f, nil
}

// schedule is Pingers on one Scheduler.
func (f *fleet) schedule() {
	var s heartbeat.Scheduler
	pingers := make([]*heartbeat.Pinger, f.count)
	ended := func(error) {}
	f.start = func(i int) {
		pingers[i] = &heartbeat.Pinger{Writer: f, Interval: f.interval, MaxMissed: -1, Scheduler: &s}
		if err := pingers[i].Start(ended); err != nil {
			panic(err) // it is new
		}
	}
	f.touch = func(i int) { pingers[i].Touch() }
	f.stop = func() {
		for _, p := range pingers {
			p.Stop()
		}
	}
}

// spawn is a goroutine, a timer and a channel for each, in the shape of the book.
func (f *fleet) spawn() {
	ctx, cancel := context.WithCancel(context.Background())
	resets := make([]chan time.Duration, f.count)
	var running sync.WaitGroup
	f.start = func(i int) {
		resets[i] = make(chan time.Duration)
		running.Go(func() {
			timer := time.NewTimer(f.interval)
			defer timer.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-resets[i]:
				case <-timer.C:
					if _, err := f.Write([]byte("ping")); err != nil {
						return
					}
				}
				timer.Reset(f.interval)
			}
		})
	}
	f.touch = func(i int) { resets[i] <- 0 }
	f.stop = func() {
		cancel()
		running.Wait()
	}
}

// arm is a timer for each, whose function the runtime calls.
func (f *fleet) arm() {
	list := make([]*time.Timer, f.count)
	f.start = func(i int) {
		list[i] = time.AfterFunc(time.Hour, func() {
			if _, err := f.Write([]byte("ping")); err == nil {
				list[i].Reset(f.interval)
			}
		})
		list[i].Reset(f.interval) // which comes after the assignment for the function too
	}
	f.touch = func(i int) { list[i].Reset(f.interval) }
	f.stop = func() {
		for _, t := range list {
			t.Stop() // one that fires now goes on until the process ends
		}
	}
}

// tick is how long a fleet rests between steps of work.
const tick = 10 * time.Millisecond

// startAll starts the pingers spread over d.
func (f *fleet) startAll(d time.Duration) {
	begin := time.Now()
	for i := 0; ; time.Sleep(min(tick, d/10)) {
		due := f.count
		if elapsed := time.Since(begin); elapsed < d {
			due = max(1, int(float64(f.count)*elapsed.Seconds()/d.Seconds()))
		}
		for ; i < due; i++ {
			f.start(i)
		}
		if i == f.count {
			return
		}
	}
}

// touchAll touches the pingers so often in a second, for so long. It makes up for steps that
// come late.
func (f *fleet) touchAll(rate int, d time.Duration) {
	f.touches, f.pause = 0, 0
	begin := time.Now()
	for i, last := 0, time.Duration(0); ; time.Sleep(tick) {
		elapsed := time.Since(begin)
		f.pause = max(f.pause, elapsed-last)
		for due := int(elapsed.Seconds() * float64(rate)); f.touches < due; f.touches++ {
			f.touch(i % f.count)
			i += 7 // so that each gets some
		}
		if elapsed > d {
			return
		}
		last = elapsed
	}
}
