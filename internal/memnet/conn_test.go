package memnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/nettest"

	"github.com/netparts/netparts/internal/memnet"
)

func TestConnIsANetConn(t *testing.T) {
	t.Run("pipe", func(t *testing.T) {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			a, b := memnet.Pipe()
			return a, b, func() { a.Close(); b.Close() }, nil
		})
	})
	t.Run("dialed", func(t *testing.T) {
		nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
			var n memnet.Network
			l, err := n.Listen("tcp", "192.0.2.1:0")
			if err != nil {
				return nil, nil, nil, err
			}
			client, err := n.Dial("tcp", l.Addr().String())
			if err != nil {
				return nil, nil, nil, err
			}
			server, err := l.Accept()
			return client, server, func() { client.Close(); server.Close(); l.Close() }, err
		})
	})
}

func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		defer a.Close()
		defer b.Close()
		write(t, a, "request")
		if err := a.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(b); err != nil || string(got) != "request" {
			t.Errorf("ReadAll = %q, %v", got, err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("Write after CloseWrite: %v, want %v", err, syscall.EPIPE)
		}
		write(t, b, "reply") // the other direction is open
		got := make([]byte, 5)
		if _, err := io.ReadFull(a, got); err != nil || string(got) != "reply" {
			t.Errorf("reply is %q, %v", got, err)
		}
		if err := a.CloseRead(); err != nil {
			t.Fatal(err)
		}
		write(t, b, "dropped")
		if n, err := a.Read(got); n != 0 || err != io.EOF {
			t.Errorf("Read after CloseRead = %d, %v, want 0, EOF", n, err)
		}
	})
}

func write(t *testing.T, w io.Writer, s string) {
	t.Helper()
	if n, err := io.WriteString(w, s); n != len(s) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", s, n, err)
	}
}

func TestHowAConnectionEnds(t *testing.T) {
	tests := []struct {
		name  string
		end   func(a, b *memnet.Conn)
		read  []error // of b after "data", one Read after the other
		write []error // of b
	}{
		{
			"close", func(a, _ *memnet.Conn) { a.Close() },
			[]error{io.EOF, io.EOF},
			[]error{nil, syscall.EPIPE, syscall.EPIPE},
		},
		{
			"close over unread bytes", func(a, b *memnet.Conn) { write(t, b, "unread"); a.Close() },
			[]error{syscall.ECONNRESET, io.EOF},
			[]error{syscall.ECONNRESET, syscall.EPIPE},
		},
		{
			"reset", func(a, _ *memnet.Conn) { must(t, a.SetLinger(0)); a.Close() },
			[]error{syscall.ECONNRESET, io.EOF},
			[]error{syscall.ECONNRESET, syscall.EPIPE},
		},
		{
			"reset after the end", func(a, _ *memnet.Conn) { must(t, a.CloseWrite()); must(t, a.SetLinger(0)); a.Close() },
			[]error{io.EOF, io.EOF},
			[]error{syscall.ECONNRESET, syscall.EPIPE},
		},
		{
			"linger 1", func(a, _ *memnet.Conn) { must(t, a.SetLinger(1)); a.Close() },
			[]error{io.EOF, io.EOF},
			[]error{nil, syscall.EPIPE},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := memnet.Pipe()
			write(t, a, "data")
			tt.end(a, b)
			got := make([]byte, 4)
			if _, err := io.ReadFull(b, got); err != nil || string(got) != "data" {
				t.Errorf("delivered bytes read as %q, %v", got, err)
			}
			for i, want := range tt.read {
				if n, err := b.Read(got); n != 0 || !errors.Is(err, want) {
					t.Errorf("Read %d = %d, %v, want 0, %v", i, n, err, want)
				}
			}
			for i, want := range tt.write {
				if _, err := b.Write([]byte("x")); !errors.Is(err, want) {
					t.Errorf("Write %d: %v, want %v", i, err, want)
				}
			}
			for name, err := range map[string]error{
				"Close":           a.Close(),
				"CloseRead":       a.CloseRead(),
				"CloseWrite":      a.CloseWrite(),
				"SetDeadline":     a.SetDeadline(time.Now()),
				"SetReadDeadline": a.SetReadDeadline(time.Time{}),
			} {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("%s after Close: %v, want %v", name, err, net.ErrClosed)
				}
			}
			if _, err := a.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Read after Close: %v, want %v", err, net.ErrClosed)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// Large writes from several goroutines come out one after the other.
func TestConcurrentWritesAreNotTorn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		defer b.Close()
		const size = 200 << 10
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if n, err := a.Write(bytes.Repeat([]byte{byte('a' + i)}, size)); n != size || err != nil {
					t.Errorf("Write = %d, %v", n, err)
				}
			})
		}
		go func() {
			wg.Wait()
			a.Close()
		}()
		got, err := io.ReadAll(b)
		if err != nil || len(got) != 4*size {
			t.Fatalf("read %d bytes, %v, want %d", len(got), err, 4*size)
		}
		for i := 0; i < len(got); i += size {
			if part := got[i : i+size]; !bytes.Equal(part, bytes.Repeat(part[:1], size)) {
				t.Errorf("the write at %d is torn", i)
			}
		}
	})
}

// A write that waits for another one obeys its deadline too.
func TestDeadlineOfAWaitingWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		defer a.Close()
		defer b.Close()
		must(t, a.SetWriteDeadline(time.Now().Add(time.Second)))
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := a.Write(make([]byte, 100<<10)); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("Write: %v, want %v", err, os.ErrDeadlineExceeded)
				}
			})
		}
		wg.Wait()
		must(t, a.SetWriteDeadline(time.Time{}))
		go io.Copy(io.Discard, b)
		write(t, a, "usable")
	})
}

// A deadline passes at its instant, may be moved while a call waits, and leaves
// the connection usable.
func TestDeadlinesAreExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		defer a.Close()
		defer b.Close()
		start := time.Now()
		must(t, a.SetReadDeadline(start.Add(time.Minute)))
		go func() {
			time.Sleep(30 * time.Second)
			if err := a.SetReadDeadline(start.Add(time.Hour)); err != nil {
				t.Error(err)
			}
		}()
		_, err := a.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Hour {
			t.Errorf("Read: %v after %v, want %v after an hour", err, time.Since(start), os.ErrDeadlineExceeded)
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read again: %v, want %v", err, os.ErrDeadlineExceeded)
		}
		must(t, a.SetReadDeadline(time.Time{}))
		write(t, b, "x")
		if n, err := a.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("Read = %d, %v", n, err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestWriterBlocksWhileTheReaderStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memnet.Pipe()
		defer a.Close()
		defer b.Close()
		in := bytes.Repeat([]byte("0123456789abcdef"), 16<<10) // 256 KiB
		must(t, a.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err := a.Write(in)
		if n != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Write = %d, %v, want %d, %v", n, err, 64<<10, os.ErrDeadlineExceeded)
		}
		must(t, a.SetWriteDeadline(time.Time{}))
		go func() {
			if _, err := a.Write(in[n:]); err != nil {
				t.Error(err)
			}
			a.Close()
		}()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, in) {
			t.Errorf("%d bytes arrived, %v, want %d", len(got), err, len(in))
		}
	})
}

func TestCloseFreesABlockedWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(a, b *memnet.Conn){
			"own end":  func(a, _ *memnet.Conn) { a.Close() },
			"peer end": func(_, b *memnet.Conn) { b.Close() },
		} {
			a, b := memnet.Pipe()
			done := make(chan error)
			go func() {
				_, err := a.Write(make([]byte, 1<<20))
				done <- err
			}()
			synctest.Wait()
			end(a, b)
			if err := <-done; err == nil {
				t.Errorf("%s: Write went through", name)
			}
			a.Close()
			b.Close()
		}
	})
}
