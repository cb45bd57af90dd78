package proxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/proxy"
)

// A copying is a Copy with replies between two peers.
type copying struct {
	client, upstream net.Conn // the peers
	src, dst         net.Conn
	n                int64
	err              error
	ended            chan struct{}
}

// startCopy starts a Copy between peers of two kinds. Unlike the proxy of the book it
// closes nothing at the end.
func startCopy(t *testing.T, client, upstream string) *copying {
	t.Helper()
	c := &copying{ended: make(chan struct{})}
	c.client, c.src = join(t, client)
	c.upstream, c.dst = join(t, upstream)
	for _, conn := range []net.Conn{c.client, c.upstream} {
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	c.start(c.dst, c.src)
	return c
}

func (c *copying) start(dst io.Writer, src io.Reader) {
	go func() {
		defer close(c.ended)
		c.n, c.err = proxy.Copy(dst, src)
	}()
}

// wait returns what Copy returned.
func (c *copying) wait(t *testing.T) (int64, error) {
	t.Helper()
	select {
	case <-c.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("Copy goes on")
	}
	return c.n, c.err
}

// sendAll writes b and closes conn.
func sendAll(t *testing.T, conn net.Conn, b string) {
	t.Helper()
	if _, err := io.WriteString(conn, b); err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}

// wantRead reads exactly want.
func wantRead(t *testing.T, r io.Reader, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if n, err := io.ReadFull(r, b); err != nil || string(b) != want {
		t.Errorf("read %q, %v, want %q", b[:n], err, want)
	}
}

// wantRest reads to the end, and wants that to be all there is.
func wantRest(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != want {
		t.Errorf("read %d bytes to the end, %v, want %d", len(got), err, len(want))
	}
}

// answerPing answers ping by pong, and all else by itself.
func answerPing(conn net.Conn) error {
	b := make([]byte, 1024)
	for {
		n, err := conn.Read(b)
		if errors.Is(err, io.EOF) {
			return conn.Close()
		}
		if err != nil {
			return err
		}
		answer := string(b[:n])
		if answer == "ping" {
			answer = "pong"
		}
		if _, err := io.WriteString(conn, answer); err != nil {
			return err
		}
	}
}

// acceptEach serves what l accepts until that is closed, and the test waits for it.
func acceptEach(t *testing.T, serve func(net.Conn) error) net.Addr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				if err := serve(conn); err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return l.Addr()
}

// The test of the book: a client, a proxy and an upstream that answers ping.
func TestPingThroughTheProxy(t *testing.T) {
	upstream := acceptEach(t, answerPing)
	byCopy := acceptEach(t, func(client net.Conn) error {
		server, err := net.Dial("tcp", upstream.String())
		if err != nil {
			return err
		}
		_, err = proxy.Copy(server, client)
		return errors.Join(err, server.Close(), client.Close())
	})
	server := &proxy.Server{Dial: proxy.To("tcp", upstream.String())}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })

	for name, addr := range map[string]net.Addr{"Copy": byCopy, "Server": l.Addr()} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", addr.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			for _, m := range [][2]string{{"ping", "pong"}, {"pong", "pong"}, {"echo", "echo"}, {"ping", "pong"}} {
				if _, err := io.WriteString(conn, m[0]); err != nil {
					t.Fatal(err)
				}
				wantRead(t, conn, m[1])
			}
			closeWrite(t, conn)
			wantRest(t, conn, "")
		})
	}
}

// A client that sends its request and the end of its stream gets all of the answer:
// the book's proxy delivered none of it.
func TestCopyAnswersAfterTheHalfClose(t *testing.T) {
	answer := string(random(1 << 20))
	for _, kind := range []string{"tcp", "unix", "tls", "peeked", "wrapped"} {
		t.Run(kind, func(t *testing.T) {
			c := startCopy(t, kind, kind)
			if _, err := io.WriteString(c.client, "request"); err != nil {
				t.Fatal(err)
			}
			closeWrite(t, c.client)
			var upstream sync.WaitGroup
			upstream.Go(func() {
				wantRest(t, c.upstream, "request")
				sendAll(t, c.upstream, answer)
			})
			wantRest(t, c.client, answer)
			upstream.Wait()
			if n, err := c.wait(t); n != int64(len("request")) || err != nil {
				t.Errorf("Copy = %d, %v", n, err)
			}
		})
	}
}

// A client sees the end of the upstream at once, and may still send: the book's proxy
// told it nothing until it went by itself.
func TestCopyPassesTheUpstreamsEndOn(t *testing.T) {
	for _, kind := range []string{"tcp", "unix", "tls"} {
		t.Run(kind, func(t *testing.T) {
			c := startCopy(t, kind, kind)
			if _, err := io.WriteString(c.client, "first"); err != nil {
				t.Fatal(err)
			}
			wantRead(t, c.upstream, "first")
			if _, err := io.WriteString(c.upstream, "bye"); err != nil {
				t.Fatal(err)
			}
			closeWrite(t, c.upstream)
			wantRest(t, c.client, "bye")
			sendAll(t, c.client, " and last")
			wantRest(t, c.upstream, " and last")
			if n, err := c.wait(t); n != int64(len("first and last")) || err != nil {
				t.Errorf("Copy = %d, %v", n, err)
			}
		})
	}
}

// The client cannot be told that the upstream has ended, so that Copy returns and
// its caller closes the connection.
func TestCopyEndsForAClientThatCannotBeTold(t *testing.T) {
	for _, kind := range []string{"pipe", "one-way"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel() // each takes a second
			c := startCopy(t, kind, "tcp")
			var upstream sync.WaitGroup
			upstream.Go(func() { sendAll(t, c.upstream, "bye") })
			wantRead(t, c.client, "bye")
			if n, err := c.wait(t); n != 0 || err != nil {
				t.Errorf("Copy = %d, %v", n, err)
			}
			upstream.Wait()
		})
	}
}

// The upstream breaks while the client waits for it in silence.
func TestCopyReturnsErrorsOfReplies(t *testing.T) {
	c := startCopy(t, "tcp", "tcp")
	c.upstream.(*net.TCPConn).SetLinger(0)
	c.upstream.Close()
	if _, err := c.wait(t); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Copy: %v, want %v", err, syscall.ECONNRESET)
	}
	wantRest(t, c.client, "")
}

// A halfCloser is a connection made of parts.
type halfCloser struct {
	io.Reader
	io.Writer
}

func (halfCloser) CloseWrite() error { return nil }

func TestCopyJoinsTheErrorsOfBothWays(t *testing.T) {
	there, back := errors.New("there"), errors.New("back")
	n, err := proxy.Copy(
		halfCloser{iotest.ErrReader(back), io.Discard},
		halfCloser{io.MultiReader(strings.NewReader("some"), iotest.ErrReader(there)), io.Discard})
	if n != 4 || !errors.Is(err, there) || !errors.Is(err, back) {
		t.Errorf("Copy = %d, %v, want 4, and both errors", n, err)
	}
	n, err = proxy.Copy(halfCloser{iotest.ErrReader(io.EOF), iotest.TruncateWriter(io.Discard, 2)},
		halfCloser{strings.NewReader("some"), io.Discard})
	if n != 4 || err != nil {
		t.Errorf("Copy to a writer that claims to have taken all = %d, %v", n, err)
	}
}

// When the stream to the upstream cannot be ended, replies have a second, and what
// comes in it arrives. Then both connections are as they were.
func TestCopyLeavesASecondForLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, src := memnet.Pipe()
		upstream, dst := net.Pipe()
		c := copying{ended: make(chan struct{})}
		begin := time.Now()
		c.start(dst, src)
		if _, err := io.WriteString(client, "question"); err != nil {
			t.Error(err)
		}
		closeWrite(t, client)
		wantRead(t, upstream, "question")
		time.Sleep(900 * time.Millisecond)
		if _, err := io.WriteString(upstream, "answer"); err != nil {
			t.Error(err)
		}
		wantRest(t, client, "answer")
		<-c.ended
		if took := time.Since(begin); c.n != int64(len("question")) || c.err != nil || took != time.Second {
			t.Errorf("Copy = %d, %v, after %v", c.n, c.err, took)
		}
		time.AfterFunc(time.Minute, func() { upstream.Write([]byte("late")) })
		wantRead(t, dst, "late")
		for _, conn := range []net.Conn{client, src, upstream, dst} {
			conn.Close()
		}
	})
}

// An errno of CloseWrite says that the connection is gone, which reading tells too; any
// other error that replies may never end.
func TestCopyWhenCloseWriteFails(t *testing.T) {
	for err, limit := range map[error]time.Duration{
		syscall.ENOTCONN:      time.Minute,
		net.ErrClosed:         time.Minute,
		errors.ErrUnsupported: time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			upstream, dst := net.Pipe()
			time.AfterFunc(time.Minute, func() { upstream.Close() })
			begin := time.Now()
			n, got := proxy.Copy(unclosable{dst, err}, halfCloser{strings.NewReader(""), io.Discard})
			if took := time.Since(begin); n != 0 || got != nil || took != limit {
				t.Errorf("%v: Copy = %d, %v after %v, want %v", err, n, got, took, limit)
			}
			time.Sleep(time.Minute)
			dst.Close()
		})
	}
}

// An unclosable connection cannot end its stream.
type unclosable struct {
	net.Conn
	err error
}

func (c unclosable) CloseWrite() error { return c.err }

// One way fails while the other one waits for a reader that has stopped.
func TestCopyEndsBesideAStuckReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, src := net.Pipe()
		upstream, dst := net.Pipe()
		broken := errors.New("broken")
		c := copying{ended: make(chan struct{})}
		c.start(dst, failingConn{src, broken})
		if _, err := io.WriteString(upstream, "reply"); err != nil {
			t.Error(err)
		}
		<-c.ended
		if !errors.Is(c.err, broken) || errors.Is(c.err, os.ErrDeadlineExceeded) {
			t.Errorf("Copy: %v, want %v alone", c.err, broken)
		}
		for _, conn := range []net.Conn{client, src, upstream, dst} {
			conn.Close()
		}
	})
}

// A failingConn cannot be read.
type failingConn struct {
	net.Conn
	err error
}

func (c failingConn) Read([]byte) (int, error) { return 0, c.err }

// A deadline of the caller is an error like any other.
func TestCopyReturnsATimeoutOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, src := net.Pipe()
		upstream, dst := net.Pipe()
		src.SetReadDeadline(time.Now().Add(time.Minute))
		begin := time.Now()
		_, err := proxy.Copy(dst, src)
		if took := time.Since(begin); !errors.Is(err, os.ErrDeadlineExceeded) || took != time.Minute+time.Second {
			t.Errorf("Copy: %v after %v, want a time-out after 1m1s", err, took)
		}
		for _, conn := range []net.Conn{client, src, upstream, dst} {
			conn.Close()
		}
	})
}

// What can be read and written and is no connection gets no replies: they would be
// what was written to it.
func TestCopyReadsNothingBackFromStorage(t *testing.T) {
	client, src := join(t, "tcp")
	sendAll(t, client, "text")
	var b bytes.Buffer
	if n, err := proxy.Copy(&b, src); n != 4 || err != nil || b.String() != "text" {
		t.Errorf("Copy to a Buffer = %d, %v, with %q in it", n, err, b.String())
	}

	client, src = join(t, "tcp")
	sendAll(t, client, "text")
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "file"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.WriteString(file, "some "); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if n, err := proxy.Copy(file, src); n != 4 || err != nil {
		t.Errorf("Copy to a File = %d, %v", n, err)
	}
	if got, err := os.ReadFile(file.Name()); string(got) != "text " || err != nil {
		t.Errorf("the file holds %q, %v", got, err)
	}
}

// A Buffer or a File that is sent to a connection does not get the replies, which
// would be sent again.
func TestCopyWritesNothingBackToStorage(t *testing.T) {
	upstream, dst := join(t, "tcp")
	b := bytes.NewBufferString("text")
	if _, err := io.WriteString(upstream, "reply"); err != nil {
		t.Fatal(err)
	}
	if n, err := proxy.Copy(dst, b); n != 4 || err != nil || b.Len() > 0 {
		t.Errorf("Copy of a Buffer = %d, %v, with %q in it", n, err, b.String())
	}
	wantRead(t, upstream, "text")

	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if n, err := proxy.Copy(dst, file); n != 4 || err != nil {
		t.Errorf("Copy of a File = %d, %v", n, err)
	}
	wantRead(t, upstream, "text")
	dst.SetDeadline(time.Now().Add(20 * time.Second))
	wantRead(t, dst, "reply")
}

// Where one of the four methods is missing there is one way, and nothing is closed.
func TestCopyOneWay(t *testing.T) {
	text := string(random(100_000))
	broken := errors.New("broken")
	tests := []struct {
		name string
		wrap func(io.Reader) io.Reader
		want string
		err  error
	}{
		{"byte by byte", iotest.OneByteReader, text, nil},
		{"halves", iotest.HalfReader, text, nil},
		{"data with the end", iotest.DataErrReader, text, nil},
		{"time-out", iotest.TimeoutReader, text[:32<<10], iotest.ErrTimeout},
		{"error", func(io.Reader) io.Reader { return iotest.ErrReader(broken) }, "", broken},
		{"error after data", func(r io.Reader) io.Reader {
			return io.MultiReader(r, iotest.ErrReader(broken))
		}, text, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var dst bytes.Buffer
			src := tt.wrap(strings.NewReader(text))
			n, err := proxy.Copy(struct{ io.Writer }{&dst}, src)
			if n != int64(len(tt.want)) || err != tt.err || dst.String() != tt.want {
				t.Errorf("Copy = %d, %v, with %d bytes written, want %d, %v", n, err, dst.Len(), len(tt.want), tt.err)
			}
		})
	}
	t.Run("source without Write", func(t *testing.T) {
		upstream, dst := join(t, "tcp")
		if n, err := proxy.Copy(dst, strings.NewReader("one")); n != 3 || err != nil {
			t.Errorf("Copy = %d, %v", n, err)
		}
		sendAll(t, dst, " two")
		wantRest(t, upstream, "one two")
	})
	t.Run("destination without Read", func(t *testing.T) {
		client, src := join(t, "tcp")
		sendAll(t, client, "one")
		var dst bytes.Buffer
		if n, err := proxy.Copy(struct{ io.Writer }{&dst}, src); n != 3 || err != nil || dst.String() != "one" {
			t.Errorf("Copy = %d, %v, with %q written", n, err, dst.String())
		}
	})
}
