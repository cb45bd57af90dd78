package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tftp"
)

func TestLocalWriteErrors(t *testing.T) {
	tests := []struct {
		name string
		w    io.Writer
		want error
		said string
	}{
		{"short", shortWriter{}, io.ErrShortWrite, "ERROR 0 transfer failed"},
		{"full", failingWriter{&fs.PathError{Op: "write", Path: "/secret", Err: syscall.ENOSPC}}, syscall.ENOSPC, "ERROR 3 disk full or allocation exceeded"},
		{"closed", failingWriter{io.ErrClosedPipe}, io.ErrClosedPipe, "ERROR 0 transfer failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newScript(t)
				done := make(chan error)
				go func() {
					_, err := c.Get(t.Context(), "file", tt.w)
					done <- err
				}()
				s.expect(s.main, defaultRead)
				s.send(s.conn, oack("blksize", "512"))
				s.expect(s.conn, "ACK 0")
				s.send(s.conn, data(1, 100))
				s.expect(s.conn, tt.said)
				if err := <-done; !errors.Is(err, tt.want) {
					t.Errorf("Get: %v, want %v", err, tt.want)
				}
			})
		})
	}
}

type shortWriter struct{}

func (shortWriter) Write(p []byte) (int, error) { return len(p) - 1, nil }

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestLocalReadErrors(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		name string
		r    io.Reader
		want error
	}{
		{"at once", iotest.ErrReader(broken), broken},
		{"in the middle", io.MultiReader(bytes.NewReader(make([]byte, 700)), iotest.ErrReader(broken)), broken},
		{"cut off", io.MultiReader(bytes.NewReader(make([]byte, 700)), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
		{"never", idleReader{}, io.ErrNoProgress},
		{"shrinking", io.NewSectionReader(bytes.NewReader(make([]byte, 700)), 0, 800), io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s store
				p := newPath(nil, nil, &s)
				p.client.BlockSize = -1
				p.serve(t, func() {
					if _, err := p.client.Put(t.Context(), "file", tt.r); !errors.Is(err, tt.want) {
						t.Errorf("Put: %v, want %v", err, tt.want)
					}
				})
				if s.aborted != 1 || s.committed != 0 {
					t.Errorf("Abort was called %d times, Commit %d times", s.aborted, s.committed)
				}
			})
		})
	}
}

type idleReader struct{}

func (idleReader) Read([]byte) (int, error) { return 0, nil }

func TestPutSources(t *testing.T) {
	file := random(3000)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, file, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(at int64) *os.File {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		return f
	}
	half := bytes.NewReader(file)
	if _, err := half.Seek(1500, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		r    io.Reader
		from int
		size int64
	}{
		{"bytes.Reader", bytes.NewReader(file), 0, 3000},
		{"bytes.Reader from the middle", half, 1500, 1500},
		{"strings.Reader", strings.NewReader(string(file)), 0, 3000},
		{"bytes.Buffer", bytes.NewBuffer(bytes.Clone(file)), 0, 3000},
		{"os.File", open(0), 0, 3000},
		{"os.File from the middle", open(1000), 1000, 2000},
		{"os.File at its end", open(3000), 3000, 0},
		{"stream", stream{bytes.NewReader(file)}, 0, -1},
		{"one byte a Read", iotest.OneByteReader(bytes.NewReader(file)), 0, -1},
		{"data with the error", iotest.DataErrReader(bytes.NewReader(file)), 0, -1},
		{"nothing", strings.NewReader(""), 3000, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s store
				p := newPath(nil, nil, &s)
				p.client.BlockSize, p.client.WindowSize = 100, 3
				p.serve(t, func() { p.put(t, tt.r, file[tt.from:], &s) })
				p.noFailures(t)
				if got := p.reports[0].Request.Size; got != tt.size {
					t.Errorf("the server was told of %d bytes, want %d", got, tt.size)
				}
			})
		})
	}
}

func TestNetasciiBothWays(t *testing.T) {
	for _, text := range []string{
		"", "\n", "\r", "\r\n", "a\nb\n", "\r\r\n\n", "no end", "\x00\r\x00\n",
		strings.Repeat("line\n", 200), strings.Repeat("\n", 600), strings.Repeat("\r", 600),
		strings.Repeat("x", 511) + "\n" + "y", strings.Repeat("x", 511) + "\r", strings.Repeat("x", 510) + "\n",
	} {
		t.Run(fmt.Sprintf("%.12q of %d", text, len(text)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s store
				p := newPath(nil, seekable{bytes.NewReader([]byte(text))}, &s)
				p.client.Netascii, p.client.BlockSize = true, -1
				p.serve(t, func() {
					p.get(t, []byte(text))
					p.put(t, strings.NewReader(text), []byte(text), &s)
				})
				for _, r := range p.reports {
					wire := len(text) + strings.Count(text, "\n") + strings.Count(text, "\r")
					if r.Err != nil || r.Request.Mode != tftp.ModeNetascii || r.Bytes != int64(wire) {
						t.Errorf("server: %+v, want %d bytes of netascii", r, wire)
					}
				}
			})
		})
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := random(10_000)
		p := newPath(memnet.Delay(nil, time.Millisecond), seekable{bytes.NewReader(file)}, nil)
		p.client.BlockSize, p.client.WindowSize = 1000, 4
		var seen []tftp.Stats
		p.client.Progress = func(s tftp.Stats) { seen = append(seen, s) }
		p.serve(t, func() { p.get(t, file) })
		for i, s := range seen {
			if i > 0 && (s.Bytes < seen[i-1].Bytes || s.Duration < seen[i-1].Duration) || s.Size != 10_000 {
				t.Errorf("after %+v came %+v", seen[max(i-1, 0)], s)
			}
		}
		if len(seen) == 0 || seen[len(seen)-1].Bytes != 10_000 {
			t.Errorf("Progress ended with %+v", seen)
		}
	})
}

func TestConcurrentTransfers(t *testing.T) {
	file := random(5000)
	addr, stop := start(&tftp.Server{Open: tftp.Payload(file)})
	defer stop()
	c := &tftp.Client{Addr: addr}
	errs := make(chan error)
	for range 20 {
		go func() {
			var out bytes.Buffer
			_, err := c.Get(t.Context(), "file", &out)
			if err == nil && !bytes.Equal(out.Bytes(), file) {
				err = errors.New("not equal")
			}
			errs <- err
		}()
	}
	for range 20 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v, want %v", err, context.Canceled)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Wait(t.Context()); err != nil {
		t.Errorf("Wait after Close: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ listen, host string }{
		{"127.0.0.1:0", "localhost"},
		{"127.0.0.1:0", "::ffff:127.0.0.1"},
		{"[::1]:0", "::1"},
	} {
		conn, err := net.ListenPacket("udp", tt.listen)
		if err != nil && strings.Contains(tt.listen, "::1") {
			t.Logf("no IPv6 here: %v", err)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		server := &tftp.Server{Open: tftp.Payload([]byte("x"))}
		served := make(chan error)
		go func() { served <- server.Serve(conn) }()
		port := netip.MustParseAddrPort(conn.LocalAddr().String()).Port()
		c := &tftp.Client{Addr: net.JoinHostPort(tt.host, fmt.Sprint(port))}
		var out bytes.Buffer
		if _, err := c.Get(t.Context(), "file", &out); err != nil || out.String() != "x" {
			t.Errorf("Get from %s = %q, %v", c.Addr, out.String(), err)
		}
		if err := errors.Join(c.Close(), server.Close()); err != nil {
			t.Error(err)
		}
		<-served
	}
}

// Two ACKs that are read together are both heard: nothing tells the last one
// again.
func TestAcksThatComeTogether(t *testing.T) {
	server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := &tftp.Client{Addr: server.LocalAddr().String(), Timeout: time.Second, Retries: 2}
	done := make(chan error, 1)
	go func() {
		_, err := c.Put(t.Context(), "file", bytes.NewReader(make([]byte, 4000)))
		done <- err
	}()
	b := make([]byte, 2000)
	_, client, err := server.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	say := func(packets ...string) {
		for _, p := range packets {
			if _, err := server.WriteToUDPAddrPort([]byte(p), client); err != nil {
				t.Fatal(err)
			}
		}
	}
	say("\x00\x06blksize\x001428\x00windowsize\x0016\x00")
	for range 3 {
		if _, _, err := server.ReadFromUDPAddrPort(b); err != nil {
			t.Fatal(err)
		}
	}
	say("\x00\x04\x00\x01", "\x00\x04\x00\x02", "\x00\x04\x00\x03")
	if err := <-done; err != nil {
		t.Errorf("Put: %v", err)
	}
}
