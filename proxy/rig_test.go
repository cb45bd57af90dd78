package proxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/proxy"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// join returns the two ends of a new connection of a kind: "tcp", "unix", "pipe" or one
// that wraps such. The first end is for a peer, the second for a relay.
func join(t testing.TB, kind string) (peer, relayed net.Conn) {
	t.Helper()
	switch kind {
	case "pipe":
		peer, relayed = net.Pipe()
	case "wrapped": // it reads otherwise than what it embeds
		peer, relayed = join(t, "tcp")
		peer, relayed = flipped{peer.(*net.TCPConn)}, flipped{relayed.(*net.TCPConn)}
	case "one-way": // no CloseWrite
		peer, relayed = join(t, "tcp")
		relayed = struct{ net.Conn }{relayed}
	case "peeked":
		peer, relayed = join(t, "tcp")
		relayed = proxy.Prepend(relayed, nil)
	case "tls":
		near, far := join(t, "tcp")
		peer = tls.Client(near, clientTLS)
		relayed = tls.Server(far, serverTLS)
	default:
		peer, relayed = joinSockets(t, kind)
	}
	t.Cleanup(func() {
		peer.Close()
		relayed.Close()
	})
	must(t, peer.SetDeadline(time.Now().Add(patience)))
	return peer, relayed
}

func joinSockets(t testing.TB, network string) (peer, relayed net.Conn) {
	t.Helper()
	l := listen(t, network)
	defer l.Close()
	peer, err := net.Dial(network, l.Addr().String())
	must(t, err)
	relayed, err = l.Accept()
	must(t, err)
	return peer, relayed
}

// listen listens on a new address.
func listen(t testing.TB, network string) net.Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// A flipped connection has all bytes inverted on the way.
type flipped struct{ *net.TCPConn }

func (c flipped) Read(b []byte) (int, error) {
	n, err := c.TCPConn.Read(b)
	flip(b[:n])
	return n, err
}

func (c flipped) Write(b []byte) (int, error) {
	b = append([]byte(nil), b...)
	flip(b)
	return c.TCPConn.Write(b)
}

func (c flipped) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

func (c flipped) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{c})
}

func flip(b []byte) {
	for i := range b {
		b[i] ^= 0xff
	}
}

// A rig is a relay between two peers.
type rig struct {
	t                *testing.T
	client, upstream net.Conn // the peers
	cancel           context.CancelCauseFunc
	ended            chan struct{}
	stats            proxy.Stats
	err              error
}

// relay starts a relay between peers of two kinds.
func relay(t *testing.T, client, upstream string, o *proxy.Options) *rig {
	t.Helper()
	near, a := join(t, client)
	far, b := join(t, upstream)
	return relayBetween(t, near, a, b, far, o)
}

// relayBetween starts a relay between a and b, at whose other ends are the peers.
func relayBetween(t *testing.T, client, a, b, upstream net.Conn, o *proxy.Options) *rig {
	t.Helper()
	r := &rig{t: t, client: client, upstream: upstream, ended: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(t.Context())
	r.cancel = cancel
	go func() {
		defer close(r.ended)
		r.stats, r.err = proxy.Relay(ctx, a, b, o)
	}()
	t.Cleanup(func() {
		cancel(nil)
		<-r.ended
	})
	return r
}

// peer returns the peer of a side, and the other one.
func (r *rig) peers(side proxy.Side) (peer, other net.Conn) {
	if side == proxy.Client {
		return r.client, r.upstream
	}
	return r.upstream, r.client
}

// wait returns the outcome of the relay.
func (r *rig) wait() (proxy.Stats, error) {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.t.Fatal("the relay goes on")
	}
	return r.stats, r.err
}

// random returns n bytes that depend on n only, and must not be changed.
func random(n int) []byte {
	offset := n % 4096
	return randomBytes()[offset:][:n:n]
}

var randomBytes = sync.OnceValue(func() []byte {
	b := make([]byte, 32<<20+4096)
	c := rand.NewChaCha8([32]byte{1})
	c.Read(b) // which never fails
	return b
})

// send writes b.
func send[B []byte | string](t testing.TB, c io.Writer, b B) {
	t.Helper()
	if _, err := c.Write([]byte(b)); err != nil {
		t.Errorf("Write: %v", err)
	}
}

// receive reads what must be want.
func receive(t testing.TB, c io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("received %d bytes, %v, want %d others", n, err, len(want))
	}
}

// receiveEnd reads what must be want and then the end, which is nil for that of the
// stream.
func receiveEnd(t testing.TB, c io.Reader, want []byte, end error) {
	t.Helper()
	got, err := io.ReadAll(c)
	if !bytes.Equal(got, want) || !errors.Is(err, end) {
		t.Errorf("received %d bytes, %v, want %d, %v", len(got), err, len(want), end)
	}
}

// closeWrite ends the stream of c.
func closeWrite(t testing.TB, c net.Conn) {
	t.Helper()
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Errorf("CloseWrite: %v", err)
	}
}

// reset closes c by a reset.
func reset(t testing.TB, c net.Conn) {
	t.Helper()
	must(t, c.(*net.TCPConn).SetLinger(0))
	must(t, c.Close())
}

// until waits until what is so.
func until(t testing.TB, is func() bool, what string) {
	t.Helper()
	for begin := time.Now(); !is(); runtime.Gosched() {
		if time.Since(begin) > patience {
			t.Fatalf("never: %s", what)
		}
	}
}
