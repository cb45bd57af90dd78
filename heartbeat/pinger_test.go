package heartbeat_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/memnet"
)

// A recorder is a Writer that notes when pings come.
type recorder struct {
	begin time.Time

	mu    sync.Mutex
	pings []time.Duration
	data  []byte
}

func newRecorder() *recorder { return &recorder{begin: time.Now()} }

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pings = append(r.pings, time.Since(r.begin))
	r.data = append(r.data, p...)
	return len(p), nil
}

// times returns when pings came.
func (r *recorder) times() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.pings)
}

// want checks when all pings came, in seconds since the beginning.
func (r *recorder) want(t *testing.T, seconds ...float64) {
	t.Helper()
	got := r.times()
	var want []time.Duration
	for _, s := range seconds {
		want = append(want, time.Duration(math.Round(s*1e9)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("pings at %v, want %v", got, want)
	}
}

// started runs p until the test ends, and returns how it ended.
func started(t *testing.T, p *heartbeat.Pinger) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	if err := p.Start(func(err error) { ended <- err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return ended
}

// wantEnd checks that a Pinger has ended now.
func wantEnd(t *testing.T, ended <-chan error, want error) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-ended:
		if !errors.Is(err, want) {
			t.Errorf("the Pinger ended by %v, want %v", err, want)
		}
	default:
		t.Errorf("the Pinger has not ended, want %v", want)
	}
}

// The book's example: what is sent to the reset channel there is SetInterval here,
// which keeps the interval if it is zero. A ping is read after each step.
func TestExamplePinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		p := &heartbeat.Pinger{Writer: w, MaxMissed: -1}
		p.SetInterval(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- p.Run(ctx) }()

		ping := make([]byte, 1024)
		for _, tt := range []struct{ reset, want time.Duration }{
			{0, time.Second},
			{200 * time.Millisecond, 200 * time.Millisecond},
			{300 * time.Millisecond, 300 * time.Millisecond},
			{0, 300 * time.Millisecond},
			{-1, 300 * time.Millisecond}, // which does not reset
			{-1, 300 * time.Millisecond},
			{-1, 300 * time.Millisecond},
		} {
			begin := time.Now()
			if tt.reset >= 0 {
				p.SetInterval(tt.reset)
			}
			n, err := r.Read(ping)
			if took := time.Since(begin); err != nil || string(ping[:n]) != "ping" || took != tt.want {
				t.Errorf("after a reset to %v: %q, %v, in %v, want a ping in %v", tt.reset, ping[:n], err, took, tt.want)
			}
		}
		cancel()
		if err := <-ended; err != context.Canceled {
			t.Errorf("Run = %v, want %v", err, context.Canceled)
		}
	})
}

// The book's test: a server pings once a second and moves its deadline of 5 s with
// whatever it reads. The client reads pings, answers once after 4 s, and is cut off
// after 9 s; one that never answers, after 5 s.
func TestPingerAdvanceDeadline(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers bool
		want    time.Duration
	}{
		{"one answer", true, 9 * time.Second},
		{"silent", false, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := memnet.Pipe()
				begin := time.Now()
				var serving sync.WaitGroup
				serving.Go(func() { advanceDeadline(t, server) })
				b := make([]byte, 1024)
				for range 4 {
					if n, err := client.Read(b); err != nil || string(b[:n]) != "ping" {
						t.Errorf("read %q, %v", b[:n], err)
					}
				}
				if tt.answers {
					if _, err := client.Write([]byte("PONG!!!")); err != nil {
						t.Error(err)
					}
				}
				for {
					if _, err := client.Read(b); err != nil {
						if err != io.EOF {
							t.Errorf("Read: %v, want %v", err, io.EOF)
						}
						break
					}
				}
				if took := time.Since(begin); took != tt.want {
					t.Errorf("the client was cut off after %v, want %v", took, tt.want)
				}
				client.Close()
				serving.Wait()
			})
		})
	}
}

// advanceDeadline is the book's server.
func advanceDeadline(t *testing.T, conn net.Conn) {
	defer conn.Close()
	p := &heartbeat.Pinger{Writer: conn, Interval: time.Second, MaxMissed: -1}
	ended := started(t, p)
	deadline := func() {
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Error(err)
		}
	}
	deadline()
	b := make([]byte, 1024)
	for {
		if _, err := conn.Read(b); err != nil {
			break
		}
		p.Touch()
		deadline()
	}
	p.Stop()
	wantEnd(t, ended, heartbeat.ErrStopped)
}

func TestPingsOnlyWhenSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		p := &heartbeat.Pinger{Writer: r, Interval: 10 * time.Second, MaxMissed: -1}
		started(t, p)
		for range 100 {
			time.Sleep(time.Second)
			p.Touch()
		}
		time.Sleep(25 * time.Second)
		r.want(t, 110, 120)
	})
}

func TestZeroValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		ended := started(t, &heartbeat.Pinger{Writer: r})
		time.Sleep(60*time.Second - 1)
		r.want(t, 30)
		if string(r.data) != "ping" {
			t.Errorf("pings are %q", r.data)
		}
		time.Sleep(time.Nanosecond)
		wantEnd(t, ended, heartbeat.ErrPeerSilent)
	})
}

// A peer that vanishes is reported after Interval and MaxMissed times Timeout.
func TestSilentPeer(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    *heartbeat.Pinger
		want []float64 // the pings, and the end
	}{
		{"one ping", &heartbeat.Pinger{Interval: 10 * time.Second, Timeout: 3 * time.Second}, []float64{110, 113}},
		{"Timeout above Interval", &heartbeat.Pinger{Interval: 3 * time.Second, Timeout: 10 * time.Second}, []float64{103, 113}},
		{"three pings", &heartbeat.Pinger{Interval: 10 * time.Second, Timeout: 3 * time.Second, MaxMissed: 3}, []float64{110, 113, 116, 119}},
		{"no Timeout", &heartbeat.Pinger{Interval: 10 * time.Second, MaxMissed: 2}, []float64{110, 120, 130}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, p := newRecorder(), tt.p
				p.Writer = r
				ended := started(t, p)
				for range 100 {
					time.Sleep(time.Second)
					p.Touch()
				}
				end := tt.want[len(tt.want)-1]
				time.Sleep(time.Duration(end*1e9) - 100*time.Second - 1)
				synctest.Wait()
				r.want(t, tt.want[:len(tt.want)-1]...)
				if len(ended) > 0 {
					t.Error("the Pinger ended too early")
				}
				time.Sleep(time.Nanosecond)
				wantEnd(t, ended, heartbeat.ErrPeerSilent)
				r.want(t, tt.want[:len(tt.want)-1]...)
			})
		})
	}
}

func TestErrPeerSilent(t *testing.T) {
	err := heartbeat.ErrPeerSilent
	timeout, ok := errors.AsType[net.Error](err)
	if !ok || !timeout.Timeout() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v is not a net.Error that timed out", err)
	}
	if errors.Is(heartbeat.ErrStopped, os.ErrDeadlineExceeded) {
		t.Error("ErrStopped is a time-out")
	}
}

// A peer that answers each ping is pinged once an interval; one that answers late is
// forgiven what it missed before.
func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		p := &heartbeat.Pinger{Writer: r, Interval: 10 * time.Second, Timeout: 4 * time.Second, MaxMissed: 2}
		ended := started(t, p)
		time.Sleep(11 * time.Second) // a ping at 10
		p.Touch()
		time.Sleep(16 * time.Second) // pings at 21 and 25, answered at 27
		p.Touch()
		time.Sleep(15 * time.Second) // pings at 37 and 41, of which none is answered
		r.want(t, 10, 21, 25, 37, 41)
		time.Sleep(3 * time.Second)
		wantEnd(t, ended, heartbeat.ErrPeerSilent)
	})
}

// A touch at the instant when a ping is due comes before it or after it, but does
// neither double nor stop the pings.
func TestTouchWhenDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			r := newRecorder()
			p := &heartbeat.Pinger{Writer: r, Interval: time.Second, Timeout: time.Second, MaxMissed: 1}
			ended := started(t, p)
			time.Sleep(time.Second)
			p.Touch()
			time.Sleep(time.Second / 2)
			n := len(r.times())
			if n > 1 {
				t.Fatalf("%d pings, want one or none", n)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got := r.times(); len(got) != n+1 || got[n] != 2*time.Second {
				t.Fatalf("pings at %v, want the last at 2s", got)
			}
			p.Stop()
			wantEnd(t, ended, heartbeat.ErrStopped)
		}
	})
}

// SetInterval begins the wait anew, but is no answer.
func TestSetInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		p := &heartbeat.Pinger{Writer: r, Interval: time.Hour, Timeout: 5 * time.Second}
		ended := started(t, p)
		time.Sleep(time.Second)
		p.SetInterval(10 * time.Second) // shorter, so that the Pinger is woken
		time.Sleep(9 * time.Second)
		p.SetInterval(20 * time.Second) // longer
		time.Sleep(19 * time.Second)
		p.SetInterval(0) // the same, from now
		time.Sleep(20 * time.Second)
		synctest.Wait()
		r.want(t, 49)
		for range 4 {
			time.Sleep(time.Second)
			p.SetInterval(20 * time.Second)
		}
		time.Sleep(time.Second - 1)
		if len(ended) > 0 {
			t.Error("the Pinger ended too early")
		}
		time.Sleep(time.Nanosecond)
		wantEnd(t, ended, heartbeat.ErrPeerSilent)
		r.want(t, 49)
	})
}

// Jitter shortens intervals, each by an amount of its own, and never lengthens one.
func TestJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		p := &heartbeat.Pinger{Writer: r, Interval: 10 * time.Second, Jitter: 0.2, MaxMissed: -1}
		started(t, p)
		time.Sleep(1000 * time.Second)
		last, least, most := time.Duration(0), time.Hour, time.Duration(0)
		for _, at := range r.times() {
			least, most = min(least, at-last), max(most, at-last)
			last = at
		}
		if least < 8*time.Second || least > 8500*time.Millisecond || most > 10*time.Second || most < 9500*time.Millisecond {
			t.Errorf("intervals of %v to %v, want about 8s to 10s", least, most)
		}
	})
}
