package heartbeat_test

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/memnet"
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

// A hooked is a connection that calls before at the first SetWriteDeadline, between
// the decision to ping and the Write.
type hooked struct {
	*memnet.Conn
	called *atomic.Bool
	before func()
}

func (h hooked) SetWriteDeadline(t time.Time) error {
	if !h.called.Swap(true) {
		h.before()
	}
	return h.Conn.SetWriteDeadline(t)
}

// Stop is heard also at the instant before a ping is written.
func TestStopBeforeAWriteThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := full(t)
		p := &heartbeat.Pinger{Interval: time.Second, Timeout: time.Hour}
		p.Writer = hooked{conn, new(atomic.Bool), p.Stop}
		begin := time.Now()
		err := p.Run(t.Context())
		if took := time.Since(begin); err != heartbeat.ErrStopped || took != time.Second {
			t.Errorf("Run = %v after %v, want %v after 1s", err, took, heartbeat.ErrStopped)
		}
		var reading sync.WaitGroup
		defer reading.Wait()
		reading.Go(func() { drain(t, peer, 5) })
		if _, err := conn.Write([]byte("later")); err != nil {
			t.Errorf("a later Write: %v", err)
		}
	})
}

// A Writer whose deadlines do not work is written to all the same.
func TestWriterWithoutWorkingDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		started(t, &heartbeat.Pinger{Writer: noDeadlines{r}, Interval: time.Second, MaxMissed: -1})
		time.Sleep(3500 * time.Millisecond)
		r.want(t, 1, 2, 3)
	})
}

type noDeadlines struct{ *recorder }

func (noDeadlines) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// A process that was stopped while a ping could not be written does not accuse at
// once either.
func TestStoppedProcessWithABlockedWrite(t *testing.T) {
	for _, recovers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			conn, peer := full(t)
			s := new(heartbeat.Scheduler)
			p := &heartbeat.Pinger{Writer: conn, Interval: 5 * time.Second, Timeout: 2 * time.Second, Scheduler: s}
			ended := started(t, p)
			time.Sleep(6 * time.Second) // a ping at 5
			s.Freeze(10 * time.Second)  // to 16
			synctest.Wait()
			if len(ended) > 0 {
				t.Fatalf("ended by %v", <-ended)
			}
			if recovers {
				drain(t, peer, 4)
				p.Touch()
			}
			time.Sleep(2 * time.Second)
			if !recovers {
				wantEnd(t, ended, heartbeat.ErrPeerSilent)
			} else if synctest.Wait(); len(ended) > 0 {
				t.Errorf("ended by %v", <-ended)
			}
		})
	}
}

// An application that leaves write deadlines behind does not end the Pinger by that.
func TestStaleWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := memnet.Pipe()
		defer peer.Close()
		defer conn.Close()
		p := &heartbeat.Pinger{Writer: conn, Interval: 10 * time.Second, MaxMissed: -1}
		started(t, p)
		if err := conn.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 4)
		for range 3 {
			if _, err := io.ReadFull(peer, b); err != nil || string(b) != "ping" {
				t.Errorf("the peer read %q, %v", b, err)
			}
		}
		if _, err := conn.Write([]byte("data")); err != nil {
			t.Errorf("Write: %v", err)
		}
	})
}

// With a short Timeout a Pinger that is late by more than half of it does not accuse.
func TestLateByHalfOfTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRecorder(), new(heartbeat.Scheduler)
		p := &heartbeat.Pinger{Writer: r, Interval: time.Second, Timeout: 100 * time.Millisecond, Scheduler: s}
		ended := started(t, p)
		time.Sleep(1050 * time.Millisecond)
		s.Freeze(120 * time.Millisecond) // the verdict was due 70 ms before
		synctest.Wait()
		r.want(t, 1, 1.17)
		time.Sleep(100 * time.Millisecond)
		wantEnd(t, ended, heartbeat.ErrPeerSilent)
	})
}

// An answer gives a process that is often late its chances again.
func TestAnswerRenewsChances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := newRecorder(), new(heartbeat.Scheduler)
		p := &heartbeat.Pinger{Writer: r, Interval: time.Second, Timeout: time.Second, Scheduler: s}
		ended := started(t, p)
		for range 3 {
			for range 4 {
				s.Freeze(2 * time.Second)
				synctest.Wait()
			}
			p.Touch()
		}
		if len(ended) > 0 {
			t.Errorf("ended by %v", <-ended)
		}
	})
}
