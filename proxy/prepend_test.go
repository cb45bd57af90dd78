package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/net/nettest"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

func TestPrependedIsANetConn(t *testing.T) {
	for _, join := range []struct {
		name string
		pipe func() (net.Conn, net.Conn)
	}{
		{"pipe", net.Pipe},
		{"stream", func() (net.Conn, net.Conn) { return memnet.Pipe() }},
	} {
		t.Run(join.name, func(t *testing.T) {
			nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
				a, b := join.pipe()
				c1, c2 := proxy.Prepend(a, nil), proxy.Prepend(proxy.Prepend(b, nil), nil)
				return c1, c2, func() { c1.Close(); c2.Close() }, nil
			})
		})
	}
}

// prepended returns a connection with "head" before what its peer has sent, which is
// "tail" and the end of the stream, and that peer.
func prepended(t *testing.T) (conn net.Conn, peer *memnet.Conn) {
	t.Helper()
	peer, inner := memnet.Pipe()
	send(t, peer, "tail")
	if err := peer.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.Close()
		inner.Close()
	})
	return proxy.Prepend(inner, []byte("head")), peer
}

// The head comes first and once, however it is read.
func TestPrependedIsReadFirst(t *testing.T) {
	for name, read := range map[string]func(net.Conn) ([]byte, error){
		"all":          func(c net.Conn) ([]byte, error) { return io.ReadAll(c) },
		"byte by byte": func(c net.Conn) ([]byte, error) { return io.ReadAll(iotest.OneByteReader(c)) },
		"as a whole": func(c net.Conn) ([]byte, error) {
			var b bytes.Buffer
			n, err := io.Copy(&b, c)
			if int(n) != b.Len() {
				t.Errorf("copied %d bytes, told %d", b.Len(), n)
			}
			return b.Bytes(), err
		},
		"a part as a whole": func(c net.Conn) ([]byte, error) {
			b := make([]byte, 3)
			if _, err := io.ReadFull(c, b); err != nil {
				return nil, err
			}
			rest := bytes.NewBuffer(b)
			_, err := io.Copy(rest, c)
			return rest.Bytes(), err
		},
		"nothing first": func(c net.Conn) ([]byte, error) {
			if n, err := c.Read(nil); n != 0 || err != nil {
				t.Errorf("Read of nothing = %d, %v", n, err)
			}
			return io.ReadAll(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, _ := prepended(t)
			if got, err := read(c); err != nil || string(got) != "headtail" {
				t.Errorf("read %q, %v, want headtail", got, err)
			}
		})
	}
}

// What cannot be written is told by WriteTo, with what was.
func TestPrependedWriteToFails(t *testing.T) {
	failure := errors.New("no more")
	for _, tt := range []struct {
		w    io.Writer
		n    int64
		want error
	}{
		{writer(func(b []byte) (int, error) { return 2, failure }), 2, failure},
		{writer(func(b []byte) (int, error) { return 2, nil }), 2, io.ErrShortWrite},
		{writer(func(b []byte) (int, error) {
			if string(b) == "tail" {
				return 1, failure
			}
			return len(b), nil
		}), 5, failure},
	} {
		c, _ := prepended(t)
		if n, err := io.Copy(tt.w, c); n != tt.n || err != tt.want {
			t.Errorf("Copy = %d, %v, want %d, %v", n, err, tt.n, tt.want)
		}
	}
}

type writer func(b []byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

// A sender is a connection with a way of its own to send, as that of the system to send
// files.
type sender struct {
	net.Conn
	sent strings.Builder
}

func (s *sender) ReadFrom(r io.Reader) (int64, error) { return io.Copy(&s.sent, r) }

// The ways of a connection to send and to end its stream are not hidden by a head.
func TestPrependedHidesNothing(t *testing.T) {
	c, peer := prepended(t)
	s := &sender{Conn: c}
	if n, err := io.Copy(proxy.Prepend(s, nil), iotest.DataErrReader(strings.NewReader("file"))); n != 4 || err != nil || s.sent.String() != "file" {
		t.Errorf("Copy = %d, %v, with %q sent by ReadFrom", n, err, s.sent.String())
	}
	if n, err := io.Copy(c, strings.NewReader("stream")); n != 6 || err != nil {
		t.Errorf("Copy = %d, %v", n, err)
	}
	closeWrite(t, c)
	if got, err := io.ReadAll(peer); err != nil || string(got) != "stream" {
		t.Errorf("the peer read %q, %v", got, err)
	}
	if inner := c.(interface{ NetConn() net.Conn }).NetConn(); inner.RemoteAddr() != c.RemoteAddr() && inner.RemoteAddr().String() != c.RemoteAddr().String() {
		t.Errorf("addresses differ: %v and %v", inner.RemoteAddr(), c.RemoteAddr())
	}
}

// What cannot half-close says so.
func TestPrependedWithoutCloseWrite(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if err := proxy.Prepend(a, nil).(interface{ CloseWrite() error }).CloseWrite(); err != errors.ErrUnsupported {
		t.Errorf("CloseWrite = %v, want %v", err, errors.ErrUnsupported)
	}
}

// A relay delivers heads in their order and whatever is within, and does not write
// into what lies behind one.
func TestRelayOfHeads(t *testing.T) {
	for _, kind := range []string{"tcp", "pipe", "wrapped"} {
		t.Run(kind, func(t *testing.T) {
			client, near := join(t, kind)
			upstream, far := join(t, "tcp")
			buffer := []byte("outer |rest")
			near = proxy.Prepend(proxy.Prepend(near, []byte("inner |")), buffer[:7])
			far = proxy.Prepend(far, []byte("answer"))
			done := make(chan error, 1)
			go func() {
				_, err := proxy.Relay(t.Context(), near, far, nil)
				done <- err
			}()
			got := make([]byte, len("answer"))
			if _, err := io.ReadFull(client, got); err != nil || string(got) != "answer" {
				t.Errorf("the client read %q, %v", got, err)
			}
			send(t, client, "tail")
			if kind == "pipe" {
				client.Close()
			} else {
				closeWrite(t, client)
			}
			all, err := io.ReadAll(upstream)
			if err != nil || string(all) != "outer |inner |tail" {
				t.Errorf("the upstream read %q, %v", all, err)
			}
			upstream.Close()
			if err := <-done; err != nil && kind != "pipe" {
				t.Errorf("Relay: %v", err)
			}
			if string(buffer) != "outer |rest" {
				t.Errorf("what lies behind the head became %q", buffer)
			}
		})
	}
}
