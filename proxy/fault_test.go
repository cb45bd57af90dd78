package proxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

// A deaf connection takes deadlines without obeying them, as many wrappers do.
type deaf struct{ net.Conn }

func (deaf) SetDeadline(time.Time) error      { return nil }
func (deaf) SetReadDeadline(time.Time) error  { return nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }

// A refusing connection has no deadlines, and its Close takes a while, as that of an SSH
// channel whose transport is stalled.
type refusing struct{ net.Conn }

func (refusing) SetDeadline(time.Time) error { return errors.ErrUnsupported }

func (c refusing) Close() error {
	time.Sleep(time.Minute)
	return c.Conn.Close()
}

// A context and a time-out end a pair whose connections do not obey deadlines.
func TestConnectionsWithoutDeadlines(t *testing.T) {
	cause := errors.New("the cause")
	for _, side := range bothSides {
		for _, tt := range []struct {
			name  string
			idle  time.Duration
			want  error
			blunt func(net.Conn) net.Conn
		}{
			{"context", 0, cause, func(c net.Conn) net.Conn { return deaf{c} }},
			{"idle", time.Second, proxy.ErrIdle, func(c net.Conn) net.Conn { return deaf{c} }},
			{"context, no deadlines", 0, cause, func(c net.Conn) net.Conn { return refusing{c} }},
			{"idle, no deadlines", time.Second, proxy.ErrIdle, func(c net.Conn) net.Conn { return refusing{c} }},
		} {
			t.Run(tt.name+", "+side.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, a := memnet.Pipe()
					b, upstream := memnet.Pipe()
					ends := [2]net.Conn{a, b}
					ends[side] = tt.blunt(ends[side])
					r := relayBetween(t, client, ends[0], ends[1], upstream, &proxy.Options{IdleTimeout: tt.idle})
					synctest.Wait()
					if tt.idle == 0 {
						r.cancel(cause)
					}
					select {
					case <-r.ended:
					case <-time.After(10 * time.Minute):
						client.Close() // which ends the flows
						upstream.Close()
						t.Error("the relay went on")
					}
					<-r.ended
					if r.err != tt.want {
						t.Errorf("Relay: %v, want %v", r.err, tt.want)
					}
				})
			})
		}
	}
}

// A lazy connection returns no bytes and no error, again and again.
type lazy struct{ net.Conn }

func (lazy) Read([]byte) (int, error) { return 0, nil }

// A connection that never makes progress does not keep a processor busy.
func TestReadWithoutProgress(t *testing.T) {
	for _, side := range bothSides {
		near, a := join(t, "tcp")
		far, b := join(t, "tcp")
		ends := [2]net.Conn{a, b}
		ends[side] = lazy{ends[side]}
		r := relayBetween(t, near, ends[0], ends[1], far, nil)
		_, err := r.wait()
		wantSide(t, err, side, io.ErrNoProgress)
	}
}

// What was put before a connection twice comes in order.
func TestPrependedTwice(t *testing.T) {
	near, a := join(t, "tcp")
	far, b := join(t, "tcp")
	r := relayBetween(t, near, proxy.Prepend(proxy.Prepend(a, []byte("two ")), []byte("one ")), b, far, nil)
	send(t, near, []byte("three"))
	closeWrite(t, near)
	receiveEnd(t, r.upstream, []byte("one two three"), nil)
}

// Messages would be cut or joined, so they are refused.
func TestMessagesAreRefused(t *testing.T) {
	for _, side := range bothSides {
		near, a := join(t, "tcp")
		udp, err := net.Dial("udp", "127.0.0.1:9")
		must(t, err)
		ends := [2]net.Conn{a, a}
		ends[side] = udp
		_, err = proxy.Relay(t.Context(), ends[0], ends[1], nil)
		wantSide(t, err, side, errors.ErrUnsupported)
		receiveEnd(t, near, nil, syscall.ECONNRESET)
		if _, err := udp.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: %v, want that it is closed", err)
		}
	}
}

// What was delivered over TLS, or another wrapper of TCP, arrives before a reset too.
func TestResetBehindWrapper(t *testing.T) {
	for _, kind := range []string{"tls", "wrapped", "peeked"} {
		for _, side := range bothSides {
			t.Run(kind+", "+side.String(), func(t *testing.T) {
				t.Parallel()
				kinds := [2]string{kind, kind}
				kinds[side] = "tcp"
				var counters proxy.Counters
				r := relay(t, kinds[0], kinds[1], &proxy.Options{Counters: &counters})
				peer, other := r.peers(side)
				const n = 200_000
				sent := random(n)
				if c, ok := other.(*tls.Conn); ok {
					must(t, c.HandshakeContext(t.Context()))
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					send(t, peer, sent)
				}()
				until(t, func() bool { return delivered(&counters, side) == n }, "delivered")
				<-done
				reset(t, peer)
				select { // it is not to end before all is received
				case <-r.ended:
				case <-time.After(50 * time.Millisecond):
				}
				receiveEnd(t, other, sent, syscall.ECONNRESET)
				_, err := r.wait()
				wantSide(t, err, side, syscall.ECONNRESET)
			})
		}
	}
}

// An upstream that has nothing to say may end its stream before the handshake of a
// client is over.
func TestEndBeforeHandshake(t *testing.T) {
	for _, side := range bothSides {
		kinds := [2]string{"tls", "tls"}
		kinds[side] = "tcp"
		r := relay(t, kinds[0], kinds[1], nil)
		peer, other := r.peers(side)
		closeWrite(t, peer)
		select { // it is not to end
		case <-r.ended:
		case <-time.After(50 * time.Millisecond):
		}
		send(t, other, []byte("all the same"))
		closeWrite(t, other)
		receiveEnd(t, peer, []byte("all the same"), nil)
		receiveEnd(t, other, nil, nil)
	}
}

// A torn connection tells of its reset only who ends the stream to it, as one of
// crypto/tls does that writes its farewell at that moment.
type torn struct{ net.Conn }

func (torn) CloseWrite() error { return os.NewSyscallError("write", syscall.ECONNRESET) }

// A reset that ending the stream tells is not taken for an end.
func TestResetToldByCloseWrite(t *testing.T) {
	for _, side := range bothSides {
		var ends [2]net.Conn
		peer, b := join(t, "tcp")
		_, a := join(t, "tcp")
		ends[side], ends[1-side] = torn{a}, b
		closeWrite(t, peer)
		_, err := proxy.Relay(t.Context(), ends[0], ends[1], &proxy.Options{HalfCloseTimeout: 20 * time.Millisecond})
		wantSide(t, err, side, syscall.ECONNRESET)
		receiveEnd(t, peer, nil, syscall.ECONNRESET)
	}
}

// A side that has ended its stream can still be reset, which the other one learns though
// it says nothing.
func TestResetAfterHalfClose(t *testing.T) {
	for _, kind := range []string{"tcp", "peeked"} {
		for _, side := range bothSides {
			t.Run(kind+", "+side.String(), func(t *testing.T) {
				t.Parallel()
				r := relay(t, kind, kind, nil)
				peer, other := r.peers(side)
				send(t, peer, []byte("bye"))
				closeWrite(t, peer)
				receiveEnd(t, other, []byte("bye"), nil)
				reset(t, peer)
				_, err := r.wait()
				wantSide(t, err, side, syscall.ECONNRESET)
				if _, err := other.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
					t.Errorf("Write: %v, want a reset", err)
				}
			})
		}
	}
}

// While a client's dial is under way it may leave all it has to say and go: over a Unix
// socket that is no reset.
func TestUnixClientThatEndsDuringDial(t *testing.T) {
	upstream := echoServer(t, "tcp")
	gone := make(chan struct{})
	reports := make(chan proxy.Report, 1)
	server := &proxy.Server{
		Dial: func(ctx context.Context, client net.Conn) (net.Conn, error) {
			<-gone
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond): // longer than it takes until the client is watched
			}
			return proxy.To("tcp", upstream.Addr)(ctx, client)
		},
		Report: func(r proxy.Report) { reports <- r },
	}
	c := dial(t, serve(t, server, "unix"))
	send(t, c, []byte("all of it"))
	must(t, c.Close())
	close(gone)
	if r := <-reports; r.ToUpstream != 9 {
		t.Errorf("Report = %+v, want 9 bytes to the upstream", r)
	}
}

// The silence of a half-closed pair begins with the half-close, however long it was idle
// before.
func TestHalfCloseAfterSilence(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		time.Sleep(50 * time.Minute)
		closeWrite(t, r.client)
		r.wantAfter(time.Now(), time.Minute, proxy.ErrHalfClosed)
	})
}

var errFirst = errors.New("the first error")

// A faulty connection takes nothing, and then cannot be read for another reason.
type faulty struct {
	net.Conn
	failed chan struct{}
}

func (c faulty) Write([]byte) (int, error) {
	close(c.failed)
	return 0, errFirst
}

func (c faulty) Read(b []byte) (int, error) {
	<-c.failed
	// The flow that writes has told its error when this one sees the end of its time.
	return c.Conn.Read(b)
}

// What broke a side first is reported.
func TestFirstErrorIsTold(t *testing.T) {
	for _, side := range bothSides {
		var ends [2]net.Conn
		peer, b := join(t, "tcp")
		broken, a := join(t, "tcp")
		ends[side], ends[1-side] = faulty{a, make(chan struct{})}, b
		r := relayBetween(t, peer, ends[0], ends[1], peer, nil)
		send(t, peer, []byte("x"))
		time.AfterFunc(50*time.Millisecond, func() { reset(t, broken) })
		_, err := r.wait()
		wantSide(t, err, side, errFirst)
	}
}

// When the reader of a half-closed pair goes on after a stall, and takes all there is, the
// silence counts from then.
func TestSilenceAfterStall(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		sent := random(1 << 20)
		closeWrite(t, r.client)
		go send(t, r.upstream, sent)
		time.Sleep(10*time.Minute + 10*time.Second)
		receive(t, r.client, sent)
		r.wantAfter(time.Now(), time.Minute, proxy.ErrHalfClosed)
	})
}

// A short connection writes less than it is given, and has no error for it.
type short struct{ net.Conn }

func (c short) Write(b []byte) (int, error) { return c.Conn.Write(b[1:]) }

// Bytes that a connection leaves out are not passed over in silence.
func TestShortWrite(t *testing.T) {
	near, a := join(t, "tcp")
	far, b := join(t, "tcp")
	r := relayBetween(t, near, a, short{b}, far, nil)
	send(t, near, []byte("hello"))
	receive(t, far, []byte("ello"))
	closeWrite(t, far)
	stats, err := r.wait()
	wantSide(t, err, proxy.Upstream, io.ErrShortWrite)
	if stats.ToUpstream != 4 {
		t.Errorf("%d bytes counted, want 4", stats.ToUpstream)
	}
}

// A tap that has panicked in one direction is called in neither any more.
func TestPanicOfTap(t *testing.T) {
	for _, network := range networks {
		var calls atomic.Int64
		r := relay(t, network, network, &proxy.Options{Tap: func(proxy.Direction, []byte) {
			calls.Add(1)
			panic("of the tap")
		}})
		for range 3 {
			send(t, r.client, []byte("ping"))
			receive(t, r.upstream, []byte("ping"))
			send(t, r.upstream, []byte("pong"))
			receive(t, r.client, []byte("pong"))
		}
		if n := calls.Load(); n != 1 {
			t.Errorf("the tap was called %d times, want once", n)
		}
	}
}
