package proxy_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/netparts/netparts/proxy"
)

var (
	trials    = flag.Int("trials", 100, "random pairs of TestRandomPairs")
	firstSeed = flag.Uint64("seed", 1, "of the first of them")
)

// An ending is how a random pair ends.
type ending int

const (
	orderly ending = iota // both sides end their streams
	late                  // one side resets when all has been delivered
	early                 // one side resets at any moment
	endings
)

// A trial is a pair whose peers do random things.
type trial struct {
	*rig
	rand     *rand.Rand
	counters proxy.Counters
	ending   ending
	breaks   proxy.Side // the side that resets
	kinds    [2]string
	sent     [2][]byte
	pieces   [2][]int // how much is written, and read, at once
	got      [2][]byte
	ends     [2]error // of reading
	refused  [2]error // of writing, if that failed: who learns of a reset by it reads the end
}

// Whatever the peers do, what arrives is what was sent or the beginning of it, and the
// end is what the table of ends says.
func TestRandomPairs(t *testing.T) {
	for i := range *trials {
		seed := *firstSeed + uint64(i)
		tr := newTrial(t, seed)
		tr.run()
		tr.check()
		if t.Failed() {
			t.Fatalf("with -seed %d: %v to %v, ending %d, broken by the %v, %d and %d bytes", seed,
				tr.kinds[0], tr.kinds[1], tr.ending, tr.breaks, len(tr.sent[0]), len(tr.sent[1]))
		}
	}
}

func newTrial(t *testing.T, seed uint64) *trial {
	tr := &trial{rand: rand.New(rand.NewPCG(seed, 0))}
	tr.ending = ending(tr.rand.IntN(int(endings)))
	tr.breaks = proxy.Side(tr.rand.IntN(2))
	var near, far [2]net.Conn
	for side := range tr.kinds {
		tr.kinds[side] = tr.pick("tcp", "tcp", "unix", "peeked", "wrapped", "tls")
		if tr.ending != orderly && side == int(tr.breaks) {
			tr.kinds[side] = tr.pick("tcp", "peeked", "wrapped", "tls") // what has resets
		}
		near[side], far[side] = join(t, tr.kinds[side])
		tr.shrink(t, near[side])
		tr.shrink(t, far[side])
		tr.sent[side] = random(tr.rand.IntN(1 << tr.rand.IntN(21)))
		for range 1 + tr.rand.IntN(5) {
			tr.pieces[side] = append(tr.pieces[side], 1+tr.rand.IntN(1<<(8+tr.rand.IntN(12))))
		}
	}
	tr.rig = relayBetween(t, near[0], far[0], far[1], near[1], &proxy.Options{Counters: &tr.counters})
	return tr
}

func (tr *trial) pick(from ...string) string { return from[tr.rand.IntN(len(from))] }

// shrink makes the buffers of a socket small, sometimes.
func (tr *trial) shrink(t *testing.T, c net.Conn) {
	sizes, ok := c.(interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	})
	if ok && tr.rand.IntN(3) == 0 {
		must(t, sizes.SetReadBuffer(1<<(15+tr.rand.IntN(3))))
		must(t, sizes.SetWriteBuffer(1<<(15+tr.rand.IntN(3))))
	}
}

// run lets both peers send and receive, and waits for them.
func (tr *trial) run() {
	written := 0 // before an early reset
	if n := len(tr.sent[tr.breaks]); n > 0 {
		written = tr.rand.IntN(n)
	}
	var peers sync.WaitGroup
	for _, side := range bothSides {
		peer, _ := tr.peers(side)
		peers.Go(func() { tr.receive(side, peer) })
		peers.Go(func() {
			b := tr.sent[side]
			if tr.ending == early && side == tr.breaks {
				b = b[:written]
			}
			tr.send(side, peer, b)
		})
	}
	peers.Wait()
}

// send sends in pieces and ends the stream as the ending is.
func (tr *trial) send(side proxy.Side, c net.Conn, b []byte) {
	broken := tr.ending != orderly
	if c, ok := c.(*tls.Conn); ok {
		if err := c.HandshakeContext(tr.t.Context()); err != nil {
			if !broken || side == tr.breaks {
				tr.t.Errorf("%v: Handshake: %v", side, err)
			}
			return
		}
	}
	for i := 0; len(b) > 0; i++ {
		piece := tr.pieces[side][i%len(tr.pieces[side])]
		n, err := c.Write(b[:min(piece, len(b))])
		b = b[n:]
		if err != nil {
			tr.refused[side] = err
			if !broken || side == tr.breaks {
				tr.t.Errorf("%v: Write: %v", side, err)
			}
			return
		}
	}
	switch {
	case !broken || side != tr.breaks:
		err := c.(interface{ CloseWrite() error }).CloseWrite()
		tr.refused[side] = err
		if err != nil && !broken {
			tr.t.Errorf("%v: CloseWrite: %v", side, err)
		}
	case tr.ending == late:
		until(tr.t, func() bool { return delivered(&tr.counters, side) == int64(len(tr.sent[side])) }, "delivered")
		fallthrough
	default:
		reset(tr.t, wire(c))
	}
}

// wire returns the socket of a peer.
func wire(c net.Conn) net.Conn {
	switch c := c.(type) {
	case *tls.Conn:
		return wire(c.NetConn())
	case flipped:
		return c.TCPConn
	}
	return c
}

// receive reads in pieces until the end.
func (tr *trial) receive(side proxy.Side, c net.Conn) {
	for i := 0; tr.ends[side] == nil; i++ {
		b := make([]byte, tr.pieces[1-side][i%len(tr.pieces[1-side])])
		n, err := c.Read(b)
		tr.got[side] = append(tr.got[side], b[:n]...)
		tr.ends[side] = err
		for range i % 64 {
			runtime.Gosched()
		}
	}
}

// check compares what happened with what should.
func (tr *trial) check() {
	stats, err := tr.wait()
	for _, side := range bothSides {
		sent, got, end := tr.sent[1-side], tr.got[side], tr.ends[side]
		whole := bytes.Equal(got, sent)
		switch {
		case tr.ending == orderly:
			if !whole || end != io.EOF {
				tr.t.Errorf("the %v received %d bytes, %v, want %d and the end", side, len(got), end, len(sent))
			}
		case side == tr.breaks: // its own reset ends it
		case !bytes.HasPrefix(sent, got) || tr.ending == late && !whole:
			tr.t.Errorf("the %v received %d bytes, want %d or fewer", side, len(got), len(sent))
		case tr.kinds[side] != "unix" && !errors.Is(end, syscall.ECONNRESET) && tr.refused[side] == nil:
			tr.t.Errorf("the %v was ended by %v after %d bytes, want a reset", side, end, len(got))
		}
	}
	if tr.ending != orderly {
		e, ok := errors.AsType[*proxy.SideError](err)
		if !ok || e.Side != tr.breaks || !errors.Is(e, syscall.ECONNRESET) && !errors.Is(e, syscall.EPIPE) {
			tr.t.Errorf("Relay: %v, want a reset of the %v", err, tr.breaks)
		}
		return
	}
	want := proxy.Stats{ToUpstream: int64(len(tr.sent[0])), ToClient: int64(len(tr.sent[1]))}
	if err != nil || stats != want {
		tr.t.Errorf("Relay = %+v, %v, want %+v", stats, err, want)
	}
}
