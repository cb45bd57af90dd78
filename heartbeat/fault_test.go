package heartbeat_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/memnet"
)

// writerFunc is a Writer without deadlines.
type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A Write that fails ends Run, and nothing hangs or leaks: the bubble fails if a
// goroutine is left.
func TestFailedWriteEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		p := &heartbeat.Pinger{Writer: writerFunc(func([]byte) (int, error) { return 0, broken }), Interval: time.Second}
		if err := p.Run(t.Context()); !errors.Is(err, broken) {
			t.Errorf("Run = %v, want %v", err, broken)
		}
		for range 10 { // what the reader of the connection may still do
			p.Touch()
			p.SetInterval(0)
			p.SetInterval(time.Second)
			p.Stop()
		}
	})
}

func TestClosedConnEndsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := memnet.Pipe()
		conn.Close()
		p := &heartbeat.Pinger{Writer: conn, Interval: time.Second}
		if err := p.Run(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Run = %v, want %v", err, net.ErrClosed)
		}
	})
}

// fill writes to conn until it would block.
func fill(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetWriteDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("Write to a full connection: %v", err)
	}
	if err := conn.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// full returns the ends of a connection to the first of which nothing more can be
// written.
func full(t *testing.T) (conn, peer *memnet.Conn) {
	t.Helper()
	conn, peer = memnet.Pipe()
	t.Cleanup(func() {
		conn.Close()
		peer.Close()
	})
	fill(t, conn)
	return conn, peer
}

// drain reads what fill wrote, and the n bytes after it.
func drain(t *testing.T, conn net.Conn, n int) string {
	t.Helper()
	b := make([]byte, 64<<10+n)
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Errorf("Read: %v", err)
	}
	return string(b[64<<10:])
}

// A peer that reads nothing is reported as one that answers nothing, and what the
// application writes afterwards is not cut off by the ping's deadline.
func TestBlockedWriteIsAMiss(t *testing.T) {
	for _, missed := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			conn, peer := full(t)
			begin := time.Now()
			p := &heartbeat.Pinger{Writer: conn, Interval: 10 * time.Second, Timeout: 2 * time.Second, MaxMissed: missed}
			if err := p.Run(t.Context()); err != heartbeat.ErrPeerSilent {
				t.Errorf("Run = %v, want %v", err, heartbeat.ErrPeerSilent)
			}
			if took, want := time.Since(begin), 10*time.Second+time.Duration(missed)*2*time.Second; took != want {
				t.Errorf("reported after %v, want %v", took, want)
			}
			written := make(chan error)
			go func() {
				_, err := conn.Write([]byte("later"))
				written <- err
			}()
			time.Sleep(time.Hour)
			if got := drain(t, peer, 5); got != "later" {
				t.Errorf("the peer read %q", got)
			}
			if err := <-written; err != nil {
				t.Errorf("a later Write: %v", err)
			}
		})
	}
}

// A ping that waits for room is written when there is some, and what was missed is
// counted once.
func TestBlockedWriteRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := full(t)
		p := &heartbeat.Pinger{Writer: conn, Interval: 10 * time.Second, Timeout: 4 * time.Second, MaxMissed: 3}
		ended := started(t, p)
		time.Sleep(16 * time.Second) // at 14 one was missed
		if got := drain(t, peer, 4); got != "ping" {
			t.Errorf("the peer read %q", got)
		}
		time.Sleep(time.Second)
		p.Touch() // at 17
		b := make([]byte, 100)
		begin := time.Now()
		n, err := peer.Read(b)
		if took := time.Since(begin); err != nil || string(b[:n]) != "ping" || took != 10*time.Second {
			t.Errorf("read %q, %v after %v, want a ping after an interval", b[:n], err, took)
		}
		if len(ended) > 0 {
			t.Errorf("the Pinger ended: %v", <-ended)
		}
	})
}

// Where silence is not held against the peer, a Write that times out is a failure.
func TestBlockedWriteWithoutVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, _ := full(t)
		begin := time.Now()
		p := &heartbeat.Pinger{Writer: conn, Interval: 10 * time.Second, Timeout: 2 * time.Second, MaxMissed: -1}
		err := p.Run(t.Context())
		if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || err == heartbeat.ErrPeerSilent || took != 12*time.Second {
			t.Errorf("Run = %v after %v, want a Write that timed out after 12s", err, took)
		}
	})
}

// cancel is heard while a Write blocks: with deadlines the Write ends too, and
// leaves none behind; without, it is left alone.
func TestCancelWhileAWriteBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn, peer := full(t)
		read, pipe := io.Pipe()
		defer read.Close()
		for _, w := range []io.Writer{conn, pipe} {
			ctx, cancel := context.WithCancelCause(t.Context())
			why := errors.New("why")
			time.AfterFunc(1500*time.Millisecond, func() { cancel(why) })
			begin := time.Now()
			p := &heartbeat.Pinger{Writer: w, Interval: time.Second, Timeout: time.Hour}
			if err := p.Run(ctx); err != why {
				t.Errorf("Run = %v, want the cause of the context", err)
			}
			if took := time.Since(begin); took != 1500*time.Millisecond {
				t.Errorf("Run returned after %v, want 1.5s", took)
			}
		}
		var reading sync.WaitGroup
		defer reading.Wait()
		reading.Go(func() { drain(t, peer, 5) })
		if _, err := conn.Write([]byte("later")); err != nil {
			t.Errorf("a later Write: %v", err)
		}
	})
}

// Without deadlines a blocked Write counts as well, and a Pinger that ended
// meanwhile can run again.
func TestBlockedWriteWithoutDeadlines(t *testing.T) {
	for _, missed := range []int{1, 3, -1} {
		synctest.Test(t, func(t *testing.T) {
			read, pipe := io.Pipe()
			begin := time.Now()
			p := &heartbeat.Pinger{Writer: pipe, Interval: 10 * time.Second, Timeout: 2 * time.Second, MaxMissed: missed}
			err := p.Run(t.Context())
			want := 10*time.Second + time.Duration(max(missed, 1))*2*time.Second
			if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || took != want {
				t.Errorf("Run = %v after %v, want a time-out after %v", err, took, want)
			}
			ended := started(t, p)
			read.Close() // now the first Write returns, and is nobody's
			synctest.Wait()
			if len(ended) > 0 {
				t.Errorf("the second run ended by the Write of the first: %v", <-ended)
			}
			p.Stop()
			wantEnd(t, ended, heartbeat.ErrStopped)
		})
	}
}

// Half a ping ends a Pinger whatever it forgives, since nothing can follow it.
func TestTornPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &heartbeat.Pinger{
			Writer:   writerFunc(func([]byte) (int, error) { return 2, os.ErrDeadlineExceeded }),
			Interval: time.Second, MaxMissed: 10,
		}
		begin := time.Now()
		err := p.Run(t.Context())
		if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || err == heartbeat.ErrPeerSilent || took != time.Second {
			t.Errorf("Run = %v after %v", err, took)
		}
	})
}

// A process that was stopped for 10 s does not accuse at once: it pings first, and
// accuses if that is not answered.
func TestStoppedProcessDoesNotAccuse(t *testing.T) {
	for _, answers := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			r := newRecorder()
			s := new(heartbeat.Scheduler)
			p := &heartbeat.Pinger{Writer: r, Interval: 5 * time.Second, Timeout: 2 * time.Second, Scheduler: s}
			ended := started(t, p)
			time.Sleep(6 * time.Second) // a ping at 5
			s.Freeze(10 * time.Second)
			synctest.Wait()
			r.want(t, 5, 16)
			time.Sleep(time.Second)
			if answers {
				p.Touch() // at 17
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if answers {
				time.Sleep(5 * time.Second)
				r.want(t, 5, 16, 22)
				return
			}
			wantEnd(t, ended, heartbeat.ErrPeerSilent)
		})
	}
}

// A process that is late each time accuses all the same.
func TestLateProcessAccuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := new(heartbeat.Scheduler)
		p := &heartbeat.Pinger{Writer: r, Interval: time.Second, Timeout: time.Second, Scheduler: s}
		ended := started(t, p)
		for range 5 {
			if len(ended) > 0 {
				t.Error("the Pinger ended too early")
			}
			s.Freeze(2 * time.Second)
			synctest.Wait()
		}
		wantEnd(t, ended, heartbeat.ErrPeerSilent)
		r.want(t, 2, 4, 6, 8)
	})
}

// Stopped before any ping, it pings late and not twice.
func TestStoppedProcessPingsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		s := new(heartbeat.Scheduler)
		p := &heartbeat.Pinger{Writer: r, Interval: time.Second, MaxMissed: -1, Scheduler: s}
		started(t, p)
		time.Sleep(time.Second / 2)
		s.Freeze(10 * time.Second)
		time.Sleep(time.Second)
		synctest.Wait()
		r.want(t, 10.5, 11.5)
	})
}

func TestStartTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &heartbeat.Pinger{Writer: io.Discard}
		started(t, p)
		if err := p.Start(nil); err == nil {
			t.Error("a Pinger that runs was started")
		}
		if err := p.Run(t.Context()); err == nil {
			t.Error("a Pinger that runs was run")
		}
	})
}

// The function ended may start the Pinger again.
func TestStartAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		p := &heartbeat.Pinger{Writer: r, Interval: time.Second, Timeout: time.Second}
		done := make(chan error)
		var again func(error)
		runs := 0
		again = func(err error) {
			if runs++; runs == 3 {
				done <- err
				return
			}
			if err := p.Start(again); err != nil {
				t.Error(err)
			}
		}
		if err := p.Start(again); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != heartbeat.ErrPeerSilent {
			t.Errorf("ended by %v", err)
		}
		r.want(t, 1, 3, 5)
	})
}

// Everybody may call everything at any time; run this with -race.
func TestHundredGoroutines(t *testing.T) {
	var s heartbeat.Scheduler
	pingers := make([]*heartbeat.Pinger, 10)
	for i := range pingers {
		pingers[i] = &heartbeat.Pinger{Writer: io.Discard, Interval: time.Millisecond, Jitter: 0.5, Scheduler: &s}
	}
	var all sync.WaitGroup
	for i := range 100 {
		p := pingers[i%len(pingers)]
		all.Go(func() {
			for n := range 200 {
				switch (i/len(pingers) + n) % 5 {
				case 0:
					p.Touch()
				case 1:
					p.SetInterval(time.Duration(n%3) * time.Millisecond)
				case 2:
					p.Stop()
				case 3:
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10*n)*time.Microsecond)
					_ = p.Run(ctx) // any of its errors is right here
					cancel()
				case 4:
					ended := make(chan error, 1)
					if p.Start(func(err error) { ended <- err }) == nil && n%2 == 0 {
						p.Stop()
						<-ended
					}
				}
			}
		})
	}
	all.Wait()
	for _, p := range pingers {
		p.Stop()
	}
	if n := s.Len(); n != 0 {
		t.Errorf("%d Pingers are left", n)
	}
}
