package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tftp"
)

// A script is a server that does what a test says.

// newScript returns a client on a network of its own, and the server that it

// speaks to.

// receive returns the next packet on conn as text, or "nothing" if none comes in

// time.

// describe writes a packet as text.

// expect fails the test unless the next packet is want.

// send sends packets from conn to the client.

// A get is a Get under way.

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

// Sources of any kind arrive whole, from where they are, and their size is told if

// they know it.

// Text arrives as text, whatever the blocks cut apart.

// Progress follows the blocks, and ends with all of them.

// One Client may be used by many goroutines.

// A server on IPv6 is asked by its literal, and any by a name.
