//go:build linux

package heartbeatbench

import (
	"errors"
	"io"
	"time"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/bench/lab"
)

// touchCase measures what each arrival costs its reader.
func touchCase() lab.Case {
	return lab.Case{
		Name: "touch",
		About: "Says again and again that something has arrived. It is looked at that the pinger still runs, and that neither a ping was written nor a timer has fired. " +
			`"time.Since" is what a touch cannot do without.`,
		Sides:   lab.Sides(lab.Ours, clock, reset, channel),
		Metrics: lab.CallMetrics("ns"),
		Targets: []lab.Target{
			{Metric: "ns CPU", AtMost: 30, Reason: touchReason},
			{Metric: lab.Allocs, Zero: true},
		},
		Run: runTouch,
	}
}

func runTouch(t *lab.T) {
	early := errors.New("a ping was due while there were touches")
	var written counter
	ended := make(chan error, 1)
	p := &heartbeat.Pinger{Writer: &written, Interval: time.Hour}
	t.Fatal(p.Start(func(err error) { ended <- err }))
	t.Cleanup(func() {
		p.Stop()
		if err := <-ended; !errors.Is(err, heartbeat.ErrStopped) {
			t.Errorf("the pinger ended with: %w", err)
		}
	})
	timer := time.NewTimer(time.Hour)
	t.Cleanup(func() { timer.Stop() })
	resets := elsewhere(t)
	epoch := time.Now()
	calls := lab.Calls{
		T: t, Unit: "ns", Count: lab.Of(t, 256<<10, 512), Slice: lab.Of(t, 32<<10, 256),
		Work: map[string]func(int) error{
			lab.Ours: func(n int) error {
				for range n {
					p.Touch()
				}
				if written.n > 0 || len(ended) > 0 {
					return early
				}
				return nil
			},
			clock: func(n int) error {
				var last time.Duration
				for range n {
					last = time.Since(epoch)
				}
				if last <= 0 {
					return errors.New("the clock stands still")
				}
				return nil
			},
			reset: func(n int) error {
				for range n {
					timer.Reset(time.Hour)
				}
				if len(timer.C) > 0 {
					return early
				}
				return nil
			},
			channel: func(n int) error {
				for range n {
					resets <- time.Hour
				}
				return nil
			},
		},
	}
	calls.Run()
}

// elsewhere returns what has a goroutine reset a timer.
func elsewhere(t *lab.T) chan<- time.Duration {
	resets := make(chan time.Duration)
	t.Cleanup(func() { close(resets) })
	go func() {
		timer := time.NewTimer(time.Hour)
		defer timer.Stop()
		for d := range resets {
			timer.Reset(d)
		}
	}()
	return resets
}

// A counter counts the writes.
type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) {
	c.n++
	return len(p), nil
}

var _ io.Writer = (*counter)(nil)
