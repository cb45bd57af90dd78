package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

var (
	bothSides = []proxy.Side{proxy.Client, proxy.Upstream}
	networks  = []string{"tcp", "unix"}
)

// mixed runs a test for all pairs of the networks of the system.
func mixed(t *testing.T, test func(t *testing.T, client, upstream string)) {
	for _, client := range networks {
		for _, upstream := range networks {
			t.Run(client+" to "+upstream, func(t *testing.T) {
				t.Parallel()
				test(t, client, upstream)
			})
		}
	}
}

// eachSide runs a test for all pairs, with each side as the one that does something.
func eachSide(t *testing.T, test func(t *testing.T, side proxy.Side, client, upstream string)) {
	mixed(t, func(t *testing.T, client, upstream string) {
		for _, side := range bothSides {
			t.Run(side.String(), func(t *testing.T) {
				t.Parallel()
				test(t, side, client, upstream)
			})
		}
	})
}

// direction returns what side sends.
func direction(side proxy.Side) proxy.Direction { return proxy.Direction(side) }

// delivered returns how much of what side sends was delivered.
func delivered(c *proxy.Counters, side proxy.Side) int64 {
	if direction(side) == proxy.ToUpstream {
		return c.ToUpstream.Load()
	}
	return c.ToClient.Load()
}

// The book's proxy closed both connections when one side had ended its stream: the
// reply to a request was lost.
func TestReplyAfterHalfClose(t *testing.T) {
	eachSide(t, func(t *testing.T, side proxy.Side, client, upstream string) {
		r := relay(t, client, upstream, nil)
		peer, other := r.peers(side)
		request, reply := random(100), random(1<<20)
		send(t, peer, request)
		closeWrite(t, peer)
		receiveEnd(t, other, request, nil)
		go func() {
			send(t, other, reply)
			other.Close()
		}()
		receiveEnd(t, peer, reply, nil)
		if _, err := r.wait(); err != nil {
			t.Errorf("Relay: %v", err)
		}
	})
}

// The book's proxy told a client nothing of the end of its upstream.
func TestEndOfUpstream(t *testing.T) {
	eachSide(t, func(t *testing.T, side proxy.Side, client, upstream string) {
		r := relay(t, client, upstream, nil)
		peer, other := r.peers(side)
		send(t, peer, "bye")
		must(t, peer.Close())
		receiveEnd(t, other, []byte("bye"), nil)
		must(t, other.Close())
		if _, err := r.wait(); err != nil {
			t.Errorf("Relay: %v", err)
		}
	})
}

// What arrived before a reset arrives, and then the reset, also at a peer that has
// not read yet, and at one that has sent a part of its own stream or all.
func TestReset(t *testing.T) {
	for _, tt := range []struct {
		name      string
		n         int
		slow      bool // the other peer reads late
		answers   bool
		halfClose bool // the other peer has ended its stream
	}{
		{name: "at once"},
		{name: "after little", n: 5},
		{name: "after much", n: 3 << 20},
		{name: "with a peer that is slow", n: 200_000, slow: true},
		{name: "while the other sends", n: 5, answers: true},
		{name: "after the other has ended", n: 70_000, halfClose: true},
	} {
		for _, side := range bothSides {
			t.Run(tt.name+", "+side.String(), func(t *testing.T) {
				t.Parallel()
				var counters proxy.Counters
				r := relay(t, "tcp", "tcp", &proxy.Options{Counters: &counters})
				peer, other := r.peers(side)
				sent := random(tt.n)
				if tt.halfClose {
					closeWrite(t, other)
					receiveEnd(t, peer, nil, nil)
				}
				if tt.answers {
					send(t, other, random(10))
				}
				received := make(chan struct{})
				read := func() {
					defer close(received)
					receiveEnd(t, other, sent, syscall.ECONNRESET)
				}
				if !tt.slow {
					go read()
				}
				send(t, peer, sent)
				until(t, func() bool { return delivered(&counters, side) == int64(tt.n) }, "delivered")
				reset(t, peer)
				if tt.slow {
					go read()
				}
				<-received
				stats, err := r.wait()
				wantSide(t, err, side, syscall.ECONNRESET)
				if n := []int64{stats.ToUpstream, stats.ToClient}[direction(side)]; n != int64(tt.n) {
					t.Errorf("%d bytes counted, want %d", n, tt.n)
				}
			})
		}
	}
}

func wantSide(t *testing.T, err error, side proxy.Side, cause ...error) {
	t.Helper()
	e, ok := errors.AsType[*proxy.SideError](err)
	if !ok || e.Side != side {
		t.Fatalf("Relay: %v, want an error of the %v", err, side)
	}
	for _, c := range cause {
		if errors.Is(err, c) {
			return
		}
	}
	t.Errorf("Relay: %v, want %v", err, cause)
}

// A side that is reset while it is being sent to has its last words delivered, and
// then the other one is reset.
func TestResetWhileReceiving(t *testing.T) {
	for _, side := range bothSides {
		t.Run(side.String(), func(t *testing.T) {
			t.Parallel()
			r := relay(t, "tcp", "tcp", nil)
			peer, other := r.peers(side)
			words := random(100_000)
			sending := make(chan error, 1)
			go func() {
				for {
					if _, err := other.Write(random(64 << 10)); err != nil {
						sending <- err
						return
					}
				}
			}()
			receive(t, peer, random(64<<10))
			send(t, peer, words)
			reset(t, peer)
			if err := <-sending; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("Write: %v", err)
			}
			_, err := r.wait()
			wantSide(t, err, side, syscall.ECONNRESET, syscall.EPIPE)
		})
	}
}

// What an upstream says before it resets because it was sent too much arrives.
func TestLastWordsOfWhoIsSentTo(t *testing.T) {
	for _, side := range bothSides {
		t.Run(side.String(), func(t *testing.T) {
			t.Parallel()
			var counters proxy.Counters
			r := relay(t, "tcp", "tcp", &proxy.Options{Counters: &counters})
			peer, other := r.peers(side)
			words := random(50_000)
			send(t, other, random(1000))
			until(t, func() bool { return delivered(&counters, 1-side) == 1000 }, "delivered")
			send(t, peer, words)
			must(t, peer.Close()) // with bytes that were not read, which makes it a reset
			receiveEnd(t, other, words, syscall.ECONNRESET)
			_, err := r.wait()
			wantSide(t, err, side, syscall.ECONNRESET)
		})
	}
}

// A Unix stream knows no reset but for one with bytes that were not read.
func TestUnixReset(t *testing.T) {
	for _, side := range bothSides {
		t.Run(side.String(), func(t *testing.T) {
			t.Parallel()
			var counters proxy.Counters
			r := relay(t, "unix", "unix", &proxy.Options{Counters: &counters})
			peer, other := r.peers(side)
			send(t, other, random(1000))
			until(t, func() bool { return delivered(&counters, 1-side) == 1000 }, "delivered")
			must(t, peer.Close())
			_, err := r.wait()
			wantSide(t, err, side, syscall.ECONNRESET)
			receiveEnd(t, other, nil, nil)
		})
	}
}

// The end of a context resets both sides, at once.
func TestContext(t *testing.T) {
	cause := errors.New("the cause")
	mixed(t, func(t *testing.T, client, upstream string) {
		r := relay(t, client, upstream, nil)
		send(t, r.client, "ping")
		receive(t, r.upstream, []byte("ping"))
		r.cancel(cause)
		if stats, err := r.wait(); err != cause || stats.ToUpstream != 4 {
			t.Errorf("Relay = %+v, %v, want the cause of the context", stats, err)
		}
		for network, conn := range map[string]net.Conn{client: r.client, upstream: r.upstream} {
			var end error
			if network == "tcp" {
				end = syscall.ECONNRESET
			}
			receiveEnd(t, conn, nil, end)
		}
	})
	t.Run("before", func(t *testing.T) {
		near, a := join(t, "tcp")
		far, b := join(t, "tcp")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		if _, err := proxy.Relay(ctx, a, b, nil); err != cause {
			t.Errorf("Relay: %v, want the cause of the context", err)
		}
		receiveEnd(t, near, nil, syscall.ECONNRESET)
		receiveEnd(t, far, nil, syscall.ECONNRESET)
	})
	t.Run("while a reset is passed on", func(t *testing.T) {
		var counters proxy.Counters
		r := relay(t, "tcp", "tcp", &proxy.Options{Counters: &counters})
		// More than the peer's buffer holds, so that it cannot be acknowledged.
		must(t, r.upstream.(*net.TCPConn).SetReadBuffer(4096))
		send(t, r.client, random(300_000))
		until(t, func() bool { return counters.ToUpstream.Load() == 300_000 }, "delivered")
		reset(t, r.client)
		r.cancel(cause)
		if _, err := r.wait(); err != cause && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Relay: %v", err)
		}
	})
}

// Deadlines that were set before do not end a relay.
func TestDeadlinesOfBefore(t *testing.T) {
	for _, kind := range []string{"tcp", "unix", "pipe", "tls", "wrapped"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			near, a := join(t, kind)
			far, b := join(t, kind)
			must(t, a.SetDeadline(time.Now()))
			must(t, b.SetReadDeadline(time.Unix(1, 0)))
			r := relayBetween(t, near, a, b, far, nil)
			send(t, r.client, "ping")
			receive(t, r.upstream, []byte("ping"))
			send(t, r.upstream, "pong")
			receive(t, r.client, []byte("pong"))
		})
	}
}

// A stalled receiver stops the sender, and gets all in the end.
func TestBackPressure(t *testing.T) {
	eachSide(t, func(t *testing.T, side proxy.Side, client, upstream string) {
		near, a := join(t, client)
		far, b := join(t, upstream)
		for _, c := range []net.Conn{near, a, b, far} {
			c := c.(interface {
				SetReadBuffer(int) error
				SetWriteBuffer(int) error
			})
			must(t, c.SetReadBuffer(64<<10))
			must(t, c.SetWriteBuffer(64<<10))
		}
		r := relayBetween(t, near, a, b, far, nil)
		peer, other := r.peers(side)
		all := random(8 << 20)
		n := stall(t, peer, all)
		// Four buffers of sockets, which Linux makes twice as large, and a pipe.
		if n > 2<<20 {
			t.Errorf("%d bytes were taken though nobody reads", n)
		}
		go func() {
			send(t, peer, all[n:])
			closeWrite(t, peer)
		}()
		receiveEnd(t, other, all, nil)
	})
}

// stall sends to a relay whose other peer does not read, until nothing more is taken,
// and returns how much was.
func stall(t *testing.T, peer net.Conn, b []byte) int {
	t.Helper()
	for sent := 0; ; {
		must(t, peer.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
		n, err := peer.Write(b[sent:])
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Write = %d, %v, though nobody reads", n, err)
		}
		if sent += n; n == 0 {
			must(t, peer.SetWriteDeadline(time.Time{}))
			return sent
		}
	}
}

// A connection that cannot end its stream ends the pair, and what was delivered
// arrives.
func TestNoHalfClose(t *testing.T) {
	for _, kind := range []string{"pipe", "one-way"} {
		for _, side := range bothSides {
			t.Run(kind+", "+side.String(), func(t *testing.T) {
				t.Parallel()
				kinds := []string{kind, kind}
				kinds[side] = "tcp"
				r := relay(t, kinds[0], kinds[1], nil)
				peer, other := r.peers(side)
				send(t, other, "hello")
				receive(t, peer, []byte("hello"))
				send(t, peer, "bye")
				closeWrite(t, peer)
				receiveEnd(t, other, []byte("bye"), nil)
				receiveEnd(t, peer, nil, nil)
				if _, err := r.wait(); err != nil {
					t.Errorf("Relay: %v", err)
				}
			})
		}
	}
}

// What was read of a connection before comes first, and the rest may come at once.
func TestPrepended(t *testing.T) {
	head, rest := random(100), random(1<<20)
	mixed(t, func(t *testing.T, client, upstream string) {
		near, a := join(t, client)
		far, b := join(t, upstream)
		r := relayBetween(t, near, proxy.Prepend(a, head), proxy.Prepend(b, nil), far, nil)
		go func() {
			send(t, r.client, rest)
			closeWrite(t, r.client)
		}()
		receiveEnd(t, r.upstream, append(append([]byte(nil), head...), rest...), nil)
		closeWrite(t, r.upstream)
		receiveEnd(t, r.client, nil, nil)
		stats, err := r.wait()
		if want := (proxy.Stats{ToUpstream: int64(len(head) + len(rest))}); err != nil || stats != want {
			t.Errorf("Relay = %+v, %v, want %+v", stats, err, want)
		}
	})
}

// A panicking connection panics.
type panicking struct{ net.Conn }

func (panicking) Read([]byte) (int, error) { panic("of a connection") }

// A panic of a connection reaches whoever called Relay, and both are closed.
func TestPanicOfConnection(t *testing.T) {
	for _, side := range bothSides {
		t.Run(side.String(), func(t *testing.T) {
			near, a := join(t, "tcp")
			far, b := join(t, "tcp")
			if side == proxy.Client {
				a = panicking{a}
			} else {
				b = panicking{b}
			}
			defer func() {
				if cause := recover(); cause != "of a connection" {
					t.Errorf("recovered %v", cause)
				}
				for _, c := range []net.Conn{near, far} {
					if n, err := io.Copy(io.Discard, c); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
						t.Errorf("read %d, %v: still open", n, err)
					}
				}
			}()
			_, _ = proxy.Relay(t.Context(), a, b, nil)
		})
	}
}
