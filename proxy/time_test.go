package proxy_test

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/interop"
	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

// inBubble starts a relay in a bubble, between connections in memory.
func inBubble(t *testing.T, o *proxy.Options, test func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		client, a := memnet.Pipe()
		b, upstream := memnet.Pipe()
		test(t, relayBetween(t, client, a, b, upstream, o))
	})
}

// wantAfter checks when and how the relay ends.
func (r *rig) wantAfter(begin time.Time, d time.Duration, want error) {
	r.t.Helper()
	<-r.ended
	if took := time.Since(begin); took != d || r.err != want {
		r.t.Errorf("the relay ended after %v with %v, want %v, %v", took, r.err, d, want)
	}
}

func TestIdleTimeout(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  time.Duration
		want time.Duration
	}{
		{"default", 0, time.Hour},
		{"short", time.Second, time.Second},
		{"longest", math.MaxInt64, 0},
		{"none", -1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, &proxy.Options{IdleTimeout: tt.set}, func(t *testing.T, r *rig) {
				begin := time.Now()
				if tt.want == 0 {
					time.Sleep(250 * 365 * 24 * time.Hour)
					send(t, r.client, "after years")
					receive(t, r.upstream, []byte("after years"))
					return
				}
				receiveEnd(t, r.client, nil, nil)
				receiveEnd(t, r.upstream, nil, nil)
				r.wantAfter(begin, tt.want, proxy.ErrIdle)
			})
		})
	}
}

// Bytes in one direction keep both alive, each time for the whole of the timeout.
func TestOneWayTrafficKeepsAlive(t *testing.T) {
	for _, side := range bothSides {
		inBubble(t, &proxy.Options{IdleTimeout: time.Minute}, func(t *testing.T, r *rig) {
			peer, other := r.peers(side)
			for range 100 {
				time.Sleep(time.Minute - 1)
				send(t, peer, "x")
				receive(t, other, []byte("x"))
			}
			r.wantAfter(time.Now(), time.Minute, proxy.ErrIdle)
		})
	}
}

// A reader that takes nothing is idle, however much waits for it; one that takes a
// little now and then is not.
func TestStalledReader(t *testing.T) {
	b := random(10 << 20)
	for _, half := range []bool{false, true} {
		inBubble(t, &proxy.Options{IdleTimeout: time.Hour, HalfCloseTimeout: time.Minute}, func(t *testing.T, r *rig) {
			if half {
				closeWrite(t, r.client)
			}
			sent := make(chan error, 1)
			go func() {
				_, err := r.upstream.Write(b)
				sent <- err
			}()
			for i := range 50 {
				time.Sleep(time.Hour - time.Second)
				receive(t, r.client, b[i<<17:(i+1)<<17])
			}
			r.wantAfter(time.Now(), time.Hour, proxy.ErrIdle)
			if err := <-sent; !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Write: %v, want a reset for bytes that were lost", err)
			}
			if _, err := io.Copy(io.Discard, r.client); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Read: %v, want a reset for bytes that were lost", err)
			}
		})
	}
}

func TestHalfCloseTimeout(t *testing.T) {
	for _, tt := range []struct {
		name       string
		idle, half time.Duration
		want       time.Duration
		cause      error
	}{
		{"default", 0, 0, time.Minute, proxy.ErrHalfClosed},
		{"set", time.Hour, time.Second, time.Second, proxy.ErrHalfClosed},
		{"longer than idle", time.Second, time.Minute, time.Second, proxy.ErrIdle},
		{"none", time.Hour, -1, time.Hour, proxy.ErrIdle},
		{"none but idle", -1, time.Minute, time.Minute, proxy.ErrHalfClosed},
	} {
		for _, side := range bothSides {
			t.Run(tt.name+", "+side.String(), func(t *testing.T) {
				o := &proxy.Options{IdleTimeout: tt.idle, HalfCloseTimeout: tt.half}
				inBubble(t, o, func(t *testing.T, r *rig) {
					peer, other := r.peers(side)
					closeWrite(t, peer)
					receiveEnd(t, other, nil, nil)
					// Whoever still sends is not silent.
					for range 3 {
						time.Sleep(tt.want - 1)
						send(t, other, "x")
						receive(t, peer, []byte("x"))
					}
					begin := time.Now()
					receiveEnd(t, peer, nil, nil)
					r.wantAfter(begin, tt.want, tt.cause)
				})
			})
		}
	}
}

// A reply may take its time after the half-close.
func TestReplySixSecondsLater(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		replyLater(t, r, 6*time.Second)
	})
}

func TestInteropReplySixSecondsLater(t *testing.T) {
	interop.Slow(t)
	mixed(t, func(t *testing.T, client, upstream string) {
		replyLater(t, relay(t, client, upstream, nil), 6*time.Second)
	})
}

func replyLater(t *testing.T, r *rig, d time.Duration) {
	t.Helper()
	send(t, r.client, "request")
	closeWrite(t, r.client)
	receiveEnd(t, r.upstream, []byte("request"), nil)
	<-time.After(d)
	send(t, r.upstream, "reply")
	closeWrite(t, r.upstream)
	receiveEnd(t, r.client, []byte("reply"), nil)
	if _, err := r.wait(); err != nil {
		t.Errorf("Relay: %v", err)
	}
}

// The limits hold for connections of the system too.
func TestTimeoutsOfSockets(t *testing.T) {
	mixed(t, func(t *testing.T, client, upstream string) {
		t.Run("idle", func(t *testing.T) {
			t.Parallel()
			r := relay(t, client, upstream, &proxy.Options{IdleTimeout: 50 * time.Millisecond})
			receiveEnd(t, r.client, nil, nil)
			receiveEnd(t, r.upstream, nil, nil)
			if _, err := r.wait(); err != proxy.ErrIdle || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Relay: %v, want %v", err, proxy.ErrIdle)
			}
		})
		t.Run("half-closed", func(t *testing.T) {
			t.Parallel()
			r := relay(t, client, upstream, &proxy.Options{HalfCloseTimeout: 50 * time.Millisecond})
			closeWrite(t, r.client)
			receiveEnd(t, r.upstream, nil, nil)
			receiveEnd(t, r.client, nil, nil)
			if _, err := r.wait(); err != proxy.ErrHalfClosed {
				t.Errorf("Relay: %v, want %v", err, proxy.ErrHalfClosed)
			}
		})
		t.Run("stalled", func(t *testing.T) {
			t.Parallel()
			r := relay(t, client, upstream, &proxy.Options{IdleTimeout: 50 * time.Millisecond})
			_, err := r.client.Write(random(32 << 20))
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write: %v, want the end of the connection", err)
			}
			if _, err := r.wait(); err != proxy.ErrIdle {
				t.Errorf("Relay: %v, want %v", err, proxy.ErrIdle)
			}
		})
	})
}

// Keep-alive probes are no traffic. The system sends one a second at the most.
func TestInteropKeepAlivesAreIdle(t *testing.T) {
	interop.Slow(t)
	near, a := join(t, "tcp")
	far, b := join(t, "tcp")
	probes := net.KeepAliveConfig{Enable: true, Idle: time.Second, Interval: time.Second, Count: 5}
	for _, c := range []net.Conn{near, a, b, far} {
		must(t, c.(*net.TCPConn).SetKeepAliveConfig(probes))
	}
	begin := time.Now()
	r := relayBetween(t, near, a, b, far, &proxy.Options{IdleTimeout: 3 * time.Second})
	if _, err := r.wait(); err != proxy.ErrIdle || time.Since(begin) > 4*time.Second {
		t.Errorf("Relay: %v after %v, want %v after 3 s", err, time.Since(begin), proxy.ErrIdle)
	}
}
