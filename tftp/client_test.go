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

// A script is a server that does what a test says.
type script struct {
	t       *testing.T
	network *memnet.Network
	main    *memnet.PacketConn // where requests arrive
	conn    *memnet.PacketConn // of the transfer
	client  net.Addr
}

// newScript returns a client on a network of its own, and the server that it
// speaks to.
func newScript(t *testing.T) (*tftp.Client, *script) {
	t.Helper()
	p := newPath(nil, nil, nil)
	s := &script{t: t, network: &p.net}
	s.main = s.listen(serverAddr.String())
	s.conn = s.listen("192.0.2.1:2000")
	return p.client, s
}

func (s *script) listen(addr string) *memnet.PacketConn {
	s.t.Helper()
	conn, err := s.network.ListenPacket("udp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// receive returns the next packet on conn as text, or "nothing" if none comes in
// time.
func (s *script) receive(conn *memnet.PacketConn, within time.Duration) string {
	s.t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, 70_000)
	n, from, err := conn.ReadFrom(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "nothing"
	}
	if err != nil {
		s.t.Fatal(err)
	}
	if conn == s.main {
		s.client = from
	}
	packet, err := tftp.Parse(b[:n])
	if err != nil {
		s.t.Fatal(err)
	}
	return describe(packet)
}

// describe writes a packet as text.
func describe(packet tftp.Packet) string {
	switch p := packet.(type) {
	case *tftp.ReadReq:
		return fmt.Sprint("RRQ ", p.Name, " ", p.Mode, " ", p.Options)
	case *tftp.WriteReq:
		return fmt.Sprint("WRQ ", p.Name, " ", p.Mode, " ", p.Options)
	case *tftp.Data:
		return fmt.Sprintf("DATA %d of %d", p.Block, len(p.Payload))
	case *tftp.Ack:
		return fmt.Sprint("ACK ", p.Block)
	case *tftp.Error:
		return fmt.Sprintf("ERROR %d %s", p.Code, p.Message)
	}
	return fmt.Sprintf("%#v", packet)
}

// expect fails the test unless the next packet is want.
func (s *script) expect(conn *memnet.PacketConn, want string) {
	s.t.Helper()
	if got := s.receive(conn, time.Hour); got != want {
		s.t.Fatalf("received %q, want %q", got, want)
	}
}

// send sends packets from conn to the client.
func (s *script) send(conn *memnet.PacketConn, packets ...tftp.Packet) {
	s.t.Helper()
	for _, p := range packets {
		b, err := p.AppendBinary(nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := conn.WriteTo(b, s.client); err != nil {
			s.t.Fatal(err)
		}
	}
}

func data(block uint16, n int) *tftp.Data {
	return &tftp.Data{Block: block, Payload: bytes.Repeat([]byte{byte(block)}, n)}
}

func oack(options ...string) *tftp.OptionAck {
	o := new(tftp.OptionAck)
	for i := 0; i < len(options); i += 2 {
		o.Options = append(o.Options, tftp.Option{Name: options[i], Value: options[i+1]})
	}
	return o
}

// A get is a Get under way.
type get struct {
	out   bytes.Buffer
	stats *tftp.Stats
	err   error
	done  chan struct{}
}

func startGet(t *testing.T, c *tftp.Client) *get {
	g := &get{done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.stats, g.err = c.Get(t.Context(), "file", &g.out)
	}()
	return g
}

const defaultRead = "RRQ file octet [{blksize 1428} {windowsize 16} {tsize 0}]"

// The options that are asked for follow the fields.
func TestRequestOptions(t *testing.T) {
	tests := []struct {
		name   string
		change func(*tftp.Client)
		want   string
	}{
		{"default", func(*tftp.Client) {}, defaultRead},
		{"none", func(c *tftp.Client) { c.BlockSize, c.WindowSize = -1, -1 }, "RRQ file octet []"},
		{"timeout", func(c *tftp.Client) { c.Timeout = 3500 * time.Millisecond }, "RRQ file octet [{blksize 1428} {windowsize 16} {timeout 3} {tsize 0}]"},
		{"short timeout", func(c *tftp.Client) { c.Timeout = time.Millisecond }, defaultRead},
		{"no window", func(c *tftp.Client) { c.WindowSize = -1 }, "RRQ file octet [{blksize 1428} {tsize 0}]"},
		{"largest", func(c *tftp.Client) { c.BlockSize = 65464 }, "RRQ file octet [{blksize 65464} {windowsize 8} {tsize 0}]"},
		{"netascii", func(c *tftp.Client) { c.Netascii = true }, "RRQ file netascii [{blksize 1428} {windowsize 16}]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newScript(t)
				tt.change(c)
				g := startGet(t, c)
				s.expect(s.main, tt.want)
				s.send(s.conn, &tftp.Error{Code: tftp.CodeNotFound})
				if <-g.done; !errors.Is(g.err, fs.ErrNotExist) {
					t.Errorf("Get: %v", g.err)
				}
			})
		})
	}
}

func TestFieldsOutOfRange(t *testing.T) {
	for _, c := range []*tftp.Client{
		{BlockSize: 7},
		{BlockSize: 65465},
		{WindowSize: 65536},
		{Addr: "192.0.2.1:99999"},
		{Addr: "192.0.2.1:nonsense"},
		{Addr: ""},
	} {
		c.ListenPacket = func(context.Context, string, string) (net.PacketConn, error) {
			return nil, errors.New("was called")
		}
		if c.Addr == "" && (c.BlockSize != 0 || c.WindowSize != 0) {
			c.Addr = "192.0.2.1"
		}
		stats, err := c.Get(t.Context(), "file", io.Discard)
		if err == nil || strings.Contains(err.Error(), "was called") || stats == nil {
			t.Errorf("Get with %q, %d, %d = %v, %v", c.Addr, c.BlockSize, c.WindowSize, stats, err)
		}
	}
}

// A server without options answers with the first block, and one that takes some
// of them with an OACK.
func TestAnswersToARead(t *testing.T) {
	t.Run("DATA", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, s := newScript(t)
			g := startGet(t, c)
			s.expect(s.main, defaultRead)
			s.send(s.conn, data(1, 512))
			s.expect(s.conn, "ACK 1")
			s.send(s.conn, data(2, 0))
			s.expect(s.conn, "ACK 2")
			if <-g.done; g.err != nil || g.out.Len() != 512 || g.stats.BlockSize != 512 || g.stats.WindowSize != 1 || g.stats.Size != -1 {
				t.Errorf("Get = %+v, %v", g.stats, g.err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("OACK", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, s := newScript(t)
			g := startGet(t, c)
			s.expect(s.main, defaultRead)
			s.send(s.conn, oack("WindowSize", "2", "blksize", "100", "tsize", "250"))
			s.expect(s.conn, "ACK 0")
			s.send(s.conn, data(1, 100), data(2, 100))
			s.expect(s.conn, "ACK 2")
			s.send(s.conn, data(3, 50))
			s.expect(s.conn, "ACK 3")
			want := tftp.Stats{Size: 250, Bytes: 250, Blocks: 3, BlockSize: 100, WindowSize: 2, Timeout: 6 * time.Second}
			if <-g.done; g.err != nil || *g.stats != want {
				t.Errorf("Get = %+v, %v, want %+v", g.stats, g.err, want)
			}
			// The server has lost the last ACK.
			s.send(s.conn, data(3, 50))
			s.expect(s.conn, "ACK 3")
			s.send(s.conn, data(3, 50))
			s.expect(s.conn, "ACK 3")
			if err := c.Wait(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
}

// What a server may not agree to ends the transfer with an ERROR.
func TestImpossibleOptionAcks(t *testing.T) {
	for _, o := range []*tftp.OptionAck{
		oack("blksize", "1429"), oack("blksize", "7"), oack("blksize", "-1"), oack("blksize", ""),
		oack("windowsize", "0"), oack("windowsize", "17"), oack("windowsize", "1x"),
		oack("timeout", "1"), oack("multicast", "239.0.0.1,1758,1"),
		oack("blksize", "512", "BLKSIZE", "512"), oack("tsize", "-5"), oack("tsize", "99999999999999999999"),
	} {
		t.Run(fmt.Sprint(o.Options), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newScript(t)
				g := startGet(t, c)
				s.expect(s.main, defaultRead)
				s.send(s.conn, o)
				s.expect(s.conn, "ERROR 8 option negotiation refused")
				if <-g.done; g.err == nil || !strings.Contains(g.err.Error(), "server agrees to") {
					t.Errorf("Get: %v", g.err)
				}
			})
		})
	}
}

// A server that refuses the options is asked again without them, and one that
// refuses the file is not.
func TestFallbackToPlainRequests(t *testing.T) {
	for _, code := range []tftp.Code{tftp.CodeOption, tftp.CodeIllegal, tftp.CodeUndefined} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newScript(t)
				g := startGet(t, c)
				s.expect(s.main, defaultRead)
				first := s.client
				s.send(s.conn, &tftp.Error{Code: code})
				s.expect(s.main, "RRQ file octet []")
				if s.client.String() == first.String() {
					t.Error("the second request came from the port of the first")
				}
				s.send(s.conn, data(1, 5))
				s.expect(s.conn, "ACK 1")
				if <-g.done; g.err != nil || g.out.Len() != 5 {
					t.Errorf("Get = %d bytes, %v", g.out.Len(), g.err)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
	for _, code := range []tftp.Code{tftp.CodeNotFound, tftp.CodeAccess, tftp.CodeNoUser} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newScript(t)
				g := startGet(t, c)
				s.expect(s.main, defaultRead)
				s.send(s.conn, &tftp.Error{Code: code, Message: "no\x1b"})
				<-g.done
				if said, ok := errors.AsType[*tftp.Error](g.err); !ok || said.Code != code || said.Message != "no\x1b" {
					t.Errorf("Get: %v", g.err)
				}
				if got := s.receive(s.main, time.Minute); got != "nothing" {
					t.Errorf("then came %s", got)
				}
			})
		})
	}
}

// The port that answers first is the server's, and who else sends is sent away.
func TestStrangersToTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newScript(t)
		elsewhere, second := s.listen("192.0.2.9:69"), s.listen("192.0.2.1:2001")
		g := startGet(t, c)
		s.expect(s.main, defaultRead)
		s.send(elsewhere, data(1, 3)) // not the host that was asked
		s.expect(elsewhere, "ERROR 5 unknown transfer ID")
		s.send(elsewhere, &tftp.Error{Code: tftp.CodeNotFound})
		s.send(s.conn, data(1, 512))
		s.expect(s.conn, "ACK 1")
		s.send(second, data(1, 512)) // the answer to a repeated request
		s.expect(second, "ERROR 5 unknown transfer ID")
		s.send(second, data(2, 1), &tftp.Error{Code: tftp.CodeUndefined})
		s.expect(second, "ERROR 5 unknown transfer ID")
		s.send(s.conn, data(2, 7))
		s.expect(s.conn, "ACK 2")
		if <-g.done; g.err != nil || g.out.Len() != 519 || g.out.Bytes()[518] != 2 {
			t.Errorf("Get = %d bytes, %v", g.out.Len(), g.err)
		}
		if got := s.receive(elsewhere, time.Minute); got != "nothing" {
			t.Errorf("an ERROR was answered with %s", got)
		}
	})
}

// A request is repeated after 1, 2, 4 seconds and so on, up to the Timeout.
func TestSilentServer(t *testing.T) {
	tests := []struct {
		timeout time.Duration
		retries int
		want    string
	}{
		{0, 0, "[1s 2s 4s 6s 6s 6s 6s 6s 6s 6s] 6s"},
		{0, 3, "[1s 2s 4s] 6s"},
		{0, -1, "[] 6s"},
		{300 * time.Millisecond, 2, "[300ms 300ms] 300ms"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.timeout, tt.retries), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newScript(t)
				c.Timeout, c.Retries = tt.timeout, tt.retries
				g := startGet(t, c)
				s.expect(s.main, defaultRead)
				last := time.Now()
				waits := []time.Duration{}
				for s.receive(s.main, time.Minute) != "nothing" {
					waits = append(waits, time.Since(last))
					last = time.Now()
				}
				<-g.done
				total := time.Duration(0)
				for _, w := range waits {
					total += w
				}
				if got := fmt.Sprint(waits, g.stats.Duration-total); got != tt.want {
					t.Errorf("repeated after %s, want %s", got, tt.want)
				}
				if !errors.Is(g.err, tftp.ErrNoAnswer) || !errors.Is(g.err, os.ErrDeadlineExceeded) {
					t.Errorf("Get: %v, want %v", g.err, tftp.ErrNoAnswer)
				}
			})
		})
	}
}

// A writer that fails ends the transfer, and the server knows why.
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

// A context that ends tells the server, at any time.
func TestContextEnds(t *testing.T) {
	cause := errors.New("the user pressed a key")
	t.Run("before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, s := newScript(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			if _, err := c.Get(ctx, "file", io.Discard); err != cause {
				t.Errorf("Get: %v, want %v", err, cause)
			}
			if got := s.receive(s.main, time.Minute); got != "nothing" {
				t.Errorf("the server got %s", got)
			}
		})
	})
	t.Run("before an answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, s := newScript(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			defer cancel()
			if _, err := c.Put(ctx, "file", strings.NewReader("x")); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Put: %v", err)
			}
			s.expect(s.main, "WRQ file octet [{blksize 1428} {windowsize 16} {tsize 1}]")
			s.expect(s.main, "WRQ file octet [{blksize 1428} {windowsize 16} {tsize 1}]")
			s.expect(s.main, "ERROR 0 transfer was aborted")
		})
	})
	t.Run("within", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, s := newScript(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error)
			var out bytes.Buffer
			go func() {
				_, err := c.Get(ctx, "file", &out)
				done <- err
			}()
			s.expect(s.main, defaultRead)
			s.send(s.conn, data(1, 512))
			s.expect(s.conn, "ACK 1")
			cancel(cause)
			s.expect(s.conn, "ERROR 0 transfer was aborted")
			if err := <-done; err != cause || out.Len() != 512 {
				t.Errorf("Get: %v and %d bytes, want %v and 512", err, out.Len(), cause)
			}
		})
	})
}

// A source that fails ends the transfer. That it was cut off is not its end.
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

// Sources of any kind arrive whole, from where they are, and their size is told if
// they know it.
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

// Text arrives as text, whatever the blocks cut apart.
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

// Progress follows the blocks, and ends with all of them.
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

// One Client may be used by many goroutines.
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

// A server on IPv6 is asked by its literal, and any by a name.
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
