//go:build unix

package heartbeat_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// many is how many pingers the benchmarks have, each with an interval of a second.
const many = 10_000

// A fleet is many pingers of one design.
type fleet struct {
	start func(i int)
	touch func(i int)
	stop  func()
}

// ours is Pingers on one Scheduler.
func ours() fleet {
	var s heartbeat.Scheduler
	pingers := make([]*heartbeat.Pinger, many)
	ended := func(error) {}
	return fleet{
		start: func(i int) {
			pingers[i] = &heartbeat.Pinger{Writer: io.Discard, Interval: time.Second, MaxMissed: -1, Scheduler: &s}
			if err := pingers[i].Start(ended); err != nil {
				panic(err)
			}
		},
		touch: func(i int) { pingers[i].Touch() },
		stop: func() {
			for _, p := range pingers {
				p.Stop()
			}
		},
	}
}

// plain is a goroutine, a timer and a channel for each, in the shape of the book.
func plain() fleet {
	ctx, cancel := context.WithCancel(context.Background())
	resets := make([]chan time.Duration, many)
	var running sync.WaitGroup
	return fleet{
		start: func(i int) {
			resets[i] = make(chan time.Duration)
			running.Go(func() {
				timer := time.NewTimer(time.Second)
				defer timer.Stop()
				for {
					select {
					case <-ctx.Done():
						return
					case <-resets[i]:
					case <-timer.C:
						if _, err := io.Discard.Write([]byte("ping")); err != nil {
							return
						}
					}
					timer.Reset(time.Second)
				}
			})
		},
		touch: func(i int) { resets[i] <- 0 },
		stop: func() {
			cancel()
			running.Wait()
		},
	}
}

// cpu is what this process has used.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // which has no way to fail
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// memory is what the heap and the stacks have in use.
func memory() float64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// A cost is what a fleet has used in a second.
type cost struct{ cpu, memory, goroutines float64 }

// measure lets a fleet ping for d, with so many touches in a second. The pingers
// start spread over a second.
func measure(make func() fleet, touches int, d time.Duration) cost {
	before, goroutines := memory(), runtime.NumGoroutine()
	f := make()
	defer f.stop()
	for i := range many {
		f.start(i)
		if i%100 == 99 {
			time.Sleep(10 * time.Millisecond)
		}
	}
	var c cost
	c.memory = (memory() - before) / many
	c.goroutines = float64(runtime.NumGoroutine()-goroutines) / many
	used, begin := cpu(), time.Now()
	if touches == 0 {
		time.Sleep(d)
		c.cpu = float64(cpu()-used) / 1e6 / time.Since(begin).Seconds()
		return c
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := 0; time.Since(begin) < d; {
		<-tick.C
		for range touches / 100 {
			f.touch(i % many)
			i += 7 // so that each gets some
		}
	}
	c.cpu = float64(cpu()-used) / 1e6 / time.Since(begin).Seconds()
	return c
}

// BenchmarkPingers compares ten thousand pingers with as many goroutines with timers:
// CPU time in a second, idle and with 200,000 touches, and memory of each. With the
// variable NETPARTS_BENCH=full it takes the time that figures need.
func BenchmarkPingers(b *testing.B) {
	d := time.Second / 2
	if os.Getenv("NETPARTS_BENCH") == "full" {
		d = 5 * time.Second
	}
	for _, touches := range []int{0, 200_000} {
		b.Run(fmt.Sprintf("touches=%d", touches), func(b *testing.B) {
			var cpus, memories []float64
			var last, lastPlain cost
			for b.Loop() {
				last, lastPlain = measure(ours, touches, d), measure(plain, touches, d)
				cpus = append(cpus, last.cpu/lastPlain.cpu)
				memories = append(memories, last.memory)
			}
			b.ReportMetric(0, "ns/op") // which says nothing here
			b.ReportMetric(last.cpu, "ms-CPU/s")
			b.ReportMetric(lastPlain.cpu, "plain-ms-CPU/s")
			b.ReportMetric(middle(cpus), "x-plain-cpu")
			b.ReportMetric(middle(memories), "B/pinger")
			b.ReportMetric(lastPlain.memory, "plain-B/pinger")
			b.ReportMetric(last.goroutines, "goroutines/pinger")
		})
	}
}

func middle(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

func BenchmarkTouch(b *testing.B) {
	b.ReportAllocs()
	p := &heartbeat.Pinger{Writer: io.Discard}
	if err := p.Start(func(error) {}); err != nil {
		b.Fatal(err)
	}
	defer p.Stop()
	for b.Loop() {
		p.Touch()
	}
}
