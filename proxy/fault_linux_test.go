//go:build !portable

package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/proxy"
)

// sendUrgent sends a byte out of band.
func sendUrgent(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	must(t, err)
	var sendErr error
	err = raw.Write(func(fd uintptr) bool {
		sendErr = unix.Sendto(int(fd), []byte("!"), unix.MSG_OOB, nil)
		return sendErr != unix.EAGAIN
	})
	must(t, err)
	must(t, sendErr)
}

// Splicing stops before urgent data as if there was nothing more, or the end of the
// stream. What comes after it is not lost.
func TestUrgentData(t *testing.T) {
	for _, end := range []bool{false, true} {
		for _, network := range networks {
			t.Run(network, func(t *testing.T) {
				t.Parallel()
				near, a := join(t, network)
				far, b := join(t, "tcp")
				before, after := random(8<<20), random(100_000)
				var got []byte
				var reading sync.WaitGroup
				reading.Go(func() {
					got = make([]byte, len(before)+len(after))
					n, err := io.ReadFull(far, got)
					if err != nil || !bytes.Equal(got, append(before, after...)) {
						t.Errorf("received %d bytes, %v, want %d", n, err, len(got))
					}
				})
				relayBetween(t, near, a, b, far, nil)
				send(t, near, before)
				sendUrgent(t, near)
				send(t, near, after)
				if end { // with which splicing tells the end at once
					closeWrite(t, near)
				}
				reading.Wait()
			})
		}
	}
}

// takeError waits for an error of the socket of c, and takes it as a write would.
func takeError(t *testing.T, c net.Conn) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	must(t, err)
	var number int
	err = raw.Read(func(fd uintptr) bool {
		number, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		return number != 0 || err != nil
	})
	if err != nil || syscall.Errno(number) != syscall.ECONNRESET {
		t.Fatalf("the error of the socket is %v, %v", syscall.Errno(number), err)
	}
}

// A reset whose error has been taken is none the less one, though reading tells the end
// of the stream.
func TestResetTakenBefore(t *testing.T) {
	for _, kind := range []string{"tcp", "wrapped"} {
		for _, side := range bothSides {
			var ends [2]net.Conn
			peer, broken := join(t, kind)
			other, b := join(t, "tcp")
			if kind == "wrapped" {
				peer = peer.(flipped).TCPConn
			}
			reset(t, peer)
			takeError(t, broken)
			ends[side], ends[1-side] = broken, b
			_, err := proxy.Relay(t.Context(), ends[0], ends[1], nil)
			wantSide(t, err, side, syscall.ECONNRESET)
			receiveEnd(t, other, nil, syscall.ECONNRESET)
		}
	}
}

// joinMultipath returns the ends of a connection of Multipath TCP.
func joinMultipath(t *testing.T) (peer, relayed net.Conn) {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(true)
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	var d net.Dialer
	d.SetMultipathTCP(true)
	peer, err = d.DialContext(t.Context(), "tcp", l.Addr().String())
	must(t, err)
	relayed, err = l.Accept()
	must(t, err)
	t.Cleanup(func() {
		peer.Close()
		relayed.Close()
	})
	must(t, peer.SetDeadline(time.Now().Add(patience)))
	return peer, relayed
}

func multipathRelay(t *testing.T, o *proxy.Options) *rig {
	t.Helper()
	near, a := joinMultipath(t)
	far, b := joinMultipath(t)
	return relayBetween(t, near, a, b, far, o)
}

// Connections of Multipath TCP, which a listener accepts by default, end as others do.
func TestMultipath(t *testing.T) {
	t.Run("both ways", func(t *testing.T) { bothWays(t, multipathRelay(t, nil), 8<<20) })
	t.Run("end, then reply", func(t *testing.T) {
		r := multipathRelay(t, nil)
		replyLater(t, r, 50*time.Millisecond)
	})
	for _, side := range bothSides {
		t.Run("reset by "+side.String(), func(t *testing.T) {
			var counters proxy.Counters
			r := multipathRelay(t, &proxy.Options{Counters: &counters})
			peer, other := r.peers(side)
			sent := random(200_000)
			send(t, peer, sent)
			until(t, func() bool { return delivered(&counters, side) == int64(len(sent)) }, "delivered")
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

// A descriptor that is passed over a Unix stream goes no further, and is not kept; the
// bytes around it arrive.
func TestPassedDescriptors(t *testing.T) {
	for _, upstream := range networks {
		r := relay(t, "unix", upstream, nil)
		before, after := random(4<<20), random(100_000)
		passed, held, err := os.Pipe()
		must(t, err)
		defer passed.Close()
		go func() {
			send(t, r.client, before)
			n, _, err := r.client.(*net.UnixConn).WriteMsgUnix(after, unix.UnixRights(int(held.Fd())), nil)
			if err != nil {
				t.Error(err)
			}
			send(t, r.client, after[n:]) // for which there was no room
			held.Close()
			closeWrite(t, r.client)
		}()
		receiveEnd(t, r.upstream, append(before, after...), nil)
		must(t, passed.SetReadDeadline(time.Now().Add(patience)))
		receiveEnd(t, passed, nil, nil) // nobody has the other end any more
	}
}

// A reader that stalls is idle, not silent, also where the system moves the bytes; what
// it did not take is told by a reset. When it goes on and takes all, the silence of
// a half-closed pair begins.
func TestStalledSockets(t *testing.T) {
	for _, goesOn := range []bool{false, true} {
		// More than the buffers hold, which are as large as tcp_rmem and tcp_wmem let them be.
		b := make([]byte, 128<<20)
		o := &proxy.Options{IdleTimeout: time.Second, HalfCloseTimeout: 250 * time.Millisecond}
		if goesOn {
			// A segment that is sent again takes 200 ms and more, in which all is silent.
			o.IdleTimeout, o.HalfCloseTimeout = time.Hour, time.Second
		}
		r := relay(t, "tcp", "tcp", o)
		closeWrite(t, r.client)
		receiveEnd(t, r.upstream, nil, nil)
		sent := make(chan error, 1)
		go func() {
			_, err := r.upstream.Write(b)
			sent <- err
		}()
		select { // longer than silence may last
		case <-r.ended:
			t.Fatalf("the relay ended with %v", r.err)
		case <-time.After(2*o.HalfCloseTimeout + 100*time.Millisecond):
		}
		if goesOn {
			if got, err := io.CopyN(io.Discard, r.client, int64(len(b))); err != nil {
				t.Errorf("received %d bytes, %v", got, err)
			}
			if _, err := r.wait(); err != proxy.ErrHalfClosed {
				t.Errorf("Relay: %v, want %v", err, proxy.ErrHalfClosed)
			}
			continue
		}
		if _, err := r.wait(); err != proxy.ErrIdle {
			t.Errorf("Relay: %v, want %v", err, proxy.ErrIdle)
		}
		if err := <-sent; !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("Write: %v, want a reset", err)
		}
		if _, err := io.Copy(io.Discard, r.client); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("Read: %v, want a reset", err)
		}
	}
}

// What was delivered is waited for before a reset is passed on, but not for longer than
// HalfCloseTimeout, nor for a peer that is gone itself.
func TestResetOfWhoDoesNotRead(t *testing.T) {
	for _, goes := range []bool{false, true} {
		for _, side := range bothSides {
			var counters proxy.Counters
			o := &proxy.Options{Counters: &counters}
			if !goes {
				o.HalfCloseTimeout = 50 * time.Millisecond
			}
			r := relay(t, "tcp", "tcp", o)
			peer, other := r.peers(side)
			must(t, other.(*net.TCPConn).SetReadBuffer(4096))
			const n = 300_000
			send(t, peer, random(n))
			until(t, func() bool { return delivered(&counters, side) == n }, "delivered")
			reset(t, peer)
			select { // it is waited for
			case <-r.ended:
				if goes {
					t.Fatal("the relay did not wait")
				}
			case <-time.After(100 * time.Millisecond):
			}
			if goes {
				reset(t, other)
			}
			_, err := r.wait()
			wantSide(t, err, side, syscall.ECONNRESET)
		}
	}
}
