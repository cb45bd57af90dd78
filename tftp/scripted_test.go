package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tftp"
)

// sources answer reads by name, and count what becomes of them.
type sources struct {
	files map[string]string

	mu             sync.Mutex
	opened, closed int
}

func (s *sources) open(_ context.Context, r *tftp.Request) (io.ReadCloser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	return &source{strings.NewReader(s.files[r.Name]), s}, nil
}

// counts returns how many files were opened and how many closed.
func (s *sources) counts() (opened, closed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened, s.closed
}

// A source can be read once only.
type source struct {
	io.Reader
	from *sources
}

func (s *source) Close() error {
	s.from.mu.Lock()
	defer s.from.mu.Unlock()
	s.from.closed++
	return nil
}

// datagram returns the next datagram as it came, or nil if none comes in time.
func (g *guest) datagram(within time.Duration) []byte {
	g.t.Helper()
	if err := g.conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		g.t.Fatal(err)
	}
	b := make([]byte, 70_000)
	n, from, err := g.conn.ReadFrom(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		g.t.Fatal(err)
	}
	g.peer = from
	return b[:n]
}

// payload returns that of the next DATA, which must be the given block, and
// acknowledges it.
func (g *guest) payload(block uint16) string {
	g.t.Helper()
	b := g.datagram(time.Minute)
	if len(b) < 4 || b[1] != 3 || uint16(b[2])<<8|uint16(b[3]) != block {
		g.t.Fatalf("received %q, want DATA %d", b, block)
	}
	g.ack(block)
	return string(b[4:])
}

// silence fails the test if a packet comes within a time.
func (g *guest) silence(within time.Duration) {
	g.t.Helper()
	if got := g.next(within); got != "nothing" {
		g.t.Errorf("received %q, want nothing", got)
	}
}

// upload writes text in blocks of size bytes, one at a time.
func (g *guest) upload(text string, size int) {
	g.t.Helper()
	for block := uint16(1); ; block++ {
		n := min(size, len(text))
		g.send(&tftp.Data{Block: block, Payload: []byte(text[:n])})
		g.expect(fmt.Sprint("ACK ", block))
		if n < size {
			return
		}
		text = text[n:]
	}
}

// rrq and wrq are requests for a name, with words as options.
func rrq(name, options string) string {
	return "\x00\x01" + name + "\x00octet\x00" + zeroEnded(options)
}

func wrq(name, options string) string {
	return "\x00\x02" + name + "\x00octet\x00" + zeroEnded(options)
}

// What is on the wire is what the RFC draws.
func TestGoldenDatagrams(t *testing.T) {
	x := strings.Repeat("x", 1024)
	tests := []struct {
		size int
		want []string
	}{
		{0, []string{"\x00\x03\x00\x01"}},
		{1, []string{"\x00\x03\x00\x01x"}},
		{511, []string{"\x00\x03\x00\x01" + x[:511]}},
		{512, []string{"\x00\x03\x00\x01" + x[:512], "\x00\x03\x00\x02"}},
		{513, []string{"\x00\x03\x00\x01" + x[:512], "\x00\x03\x00\x02x"}},
		{1024, []string{"\x00\x03\x00\x01" + x[:512], "\x00\x03\x00\x02" + x[:512], "\x00\x03\x00\x03"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.size), func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				s := &sources{files: map[string]string{"file": x[:tt.size]}}
				p.server.Open = s.open
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(read)
					for i, want := range tt.want {
						if got := g.datagram(time.Second); string(got) != want {
							t.Errorf("datagram %d is %d bytes, %.16q, want %d bytes, %.16q", i, len(got), got, len(want), want)
						}
						g.raw("\x00\x04\x00" + string(rune(i+1)))
					}
					g.silence(time.Minute)
				})
				p.noFailures(t)
			})
		})
	}
}

// Block 65536 has the number 0.
func TestBlockAfter65535(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPath(nil, nil, nil)
		p.serves(random(8*65536 + 1))
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(rrq("file", "windowsize 64 blksize 8"))
			g.expect("OACK [{windowsize 64} {blksize 8}]")
			g.ack(0)
			if err := g.conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 100)
			for n := 1; n <= 65537; n++ {
				size, _, err := g.conn.ReadFrom(b)
				if want := []byte{0, 3, byte(n >> 8), byte(n)}; err != nil || size < 4 || !bytes.Equal(b[:4], want) {
					t.Fatalf("packet %d begins with %x, %v, want %x", n, b[:min(4, size)], err, want)
				}
				if n%64 == 0 || n == 65537 {
					g.ack(uint16(n))
				}
			}
		})
		p.noFailures(t)
	})
}

// What a server refuses of the request port that is not a request, besides what
// TestMalformedRequests has.
func TestPacketsToTheRequestPort(t *testing.T) {
	tests := []struct{ name, packet, want string }{
		{"ACK of 2 bytes", "\x00\x04", "nothing"},
		{"ACK of 3 bytes", "\x00\x04\x00", "nothing"},
		{"ACK of 5 bytes", "\x00\x04\x00\x01\x00", "nothing"},
		{"ERROR of 2 bytes", "\x00\x05", "nothing"},
		{"ERROR without end", "\x00\x05\x00\x01none", "nothing"},
		{"DATA of 2 bytes", "\x00\x03", "ERROR 5 unknown transfer ID"},
		{"WRQ without its end", "\x00\x02file\x00netascii", "ERROR 4 illegal TFTP operation"},
		{"WRQ of the name alone", "\x00\x02file\x00", "ERROR 4 illegal TFTP operation"},
		{"WRQ of a name without end", "\x00\x02f", "ERROR 4 illegal TFTP operation"},
		{"WRQ that is too long", wrq(strings.Repeat("a", 504), ""), "ERROR 4 illegal TFTP operation"},
		{"option without value", read + "blksize\x00", "ERROR 4 illegal TFTP operation"},
		{"option without end", read + "blksize\x008", "ERROR 4 illegal TFTP operation"},
		{"option without name", read + "\x008\x00", "ERROR 4 illegal TFTP operation"},
		{"RRQ of 512 bytes", rrq(strings.Repeat("a", 503), ""), "DATA 1 of 1"},
		{"mode in any case", "\x00\x01file\x00OcTeT\x00", "DATA 1 of 1"},
		{"text in any case", "\x00\x01file\x00NETASCII\x00", "DATA 1 of 1"},
		{"option in any case", rrq("file", "BlkSize 9"), "OACK [{BlkSize 9}]"},
		{"option of no value", read + "blksize\x00\x00", "DATA 1 of 1"},
		{"option with a space", read + "blksize\x00 8\x00", "DATA 1 of 1"},
		{"write of mail", "\x00\x02user\x00mail\x00", "ERROR 0 mode is not supported"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.serves([]byte("x"))
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request("\x00\x01" + strings.Repeat("octet\x00", 80) + "x") // leaves strings behind
					g.expect("ERROR 4 illegal TFTP operation")
					g.request(tt.packet)
					if got := g.next(500 * time.Millisecond); got != tt.want {
						t.Errorf("the answer is %q, want %q", got, tt.want)
					}
					if g.silence(0); tt.want != "nothing" {
						g.send(&tftp.Error{Message: "seen"})
					}
				})
			})
		})
	}
}

// A line may end, and a CR come, on either side of the border of two blocks.
func TestNetasciiAcrossBlocks(t *testing.T) {
	wire := strings.NewReplacer("\r", "\r\x00", "\n", "\r\n")
	for _, special := range []string{"\r", "\n", "\x00", "\r\n", "\n\n", "\r\r", "\r\x00", "\n\r", "\xff\n"} {
		for before := range 10 {
			for _, after := range []string{"", "end"} {
				text := strings.Repeat("a", before) + special + after
				t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
					withServer(t, func(t *testing.T, p *path) { netasciiBothWays(t, p, text, wire.Replace(text)) })
				})
			}
		}
	}
}

// netasciiBothWays reads and writes text, which is wire between the two.
func netasciiBothWays(t *testing.T, p *path, text, wire string) {
	t.Helper()
	var s store
	p.server.Open = (&sources{files: map[string]string{"file": text}}).open
	p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
	p.serve(t, func() {
		g := p.guest(t, 2000)
		g.request("\x00\x01file\x00netascii\x00blksize\x008\x00")
		g.expect("OACK [{blksize 8}]")
		g.ack(0)
		var got strings.Builder
		for block := uint16(1); ; block++ {
			b := g.payload(block)
			got.WriteString(b)
			if len(b) < 8 {
				break
			}
		}
		if got.String() != wire {
			t.Errorf("read %q, want %q", got.String(), wire)
		}
		g = p.guest(t, 2001)
		g.request("\x00\x02file\x00netascii\x00blksize\x008\x00")
		g.expect("OACK [{blksize 8}]")
		g.upload(wire, 8)
	})
	if s.String() != text || s.committed != 1 {
		t.Errorf("wrote %q, want %q", s.String(), text)
	}
}

// What no proper sender sends as netascii is kept as it is.
func TestNetasciiWithoutItsPairs(t *testing.T) {
	for wire, want := range map[string]string{
		"line\r": "line\r", "1234567\r": "1234567\r", "a\rb": "a\rb", "\r\r\n": "\r\n", "a\nb": "a\nb", "\r\r": "\r\r",
	} {
		withServer(t, func(t *testing.T, p *path) {
			var s store
			p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
			p.serve(t, func() {
				g := p.guest(t, 2000)
				g.request("\x00\x02file\x00netascii\x00blksize\x008\x00")
				g.expect("OACK [{blksize 8}]")
				g.upload(wire, 8)
			})
			if s.String() != want {
				t.Errorf("%q was stored as %q, want %q", wire, s.String(), want)
			}
		})
	}
}

// A request that the network doubles, or that the client sends again because the
// server is slow, starts nothing.
func TestRepeatedRequestsOpenOnce(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		s := &sources{files: map[string]string{"file": strings.Repeat("x", 600)}}
		p.server.Open = func(ctx context.Context, r *tftp.Request) (io.ReadCloser, error) {
			time.Sleep(10 * time.Second)
			return s.open(ctx, r)
		}
		p.serve(t, func() {
			g := p.guest(t, 2000)
			for range 9 {
				g.request(read)
				g.silence(time.Second)
			}
			if got := g.next(2 * time.Second); got != "DATA 1 of 512" {
				t.Fatalf("received %q, want DATA 1 of 512", got)
			}
			g.request(read)
			g.silence(500 * time.Millisecond)
			g.ack(1)
			g.expect("DATA 2 of 88")
			g.request(read)
			time.Sleep(time.Millisecond)
			g.ack(2)
			g.silence(time.Minute)
		})
		p.noFailures(t)
		if opened, closed := s.counts(); opened != 1 || closed != 1 {
			t.Errorf("opened %d times and closed %d times, want once", opened, closed)
		}
	})
}

// A port that asks for another file gets that, and no more of the one before.
func TestAnotherRequestFromTheSamePort(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		s := &sources{files: map[string]string{"a": strings.Repeat("a", 5000), "b": strings.Repeat("b", 1000)}}
		p.server.Open = s.open
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(rrq("a", ""))
			g.expect("DATA 1 of 512")
			time.Sleep(time.Millisecond)
			g.ack(1)
			g.expect("DATA 2 of 512")
			first := g.peer
			g.request(rrq("b", ""))
			if got := g.payload(1); strings.Trim(got, "b") != "" {
				t.Errorf("the first block is %.8q", got)
			}
			if same := g.peer.String() == first.String(); same != p.server.SinglePort {
				t.Errorf("the new transfer is on port %v, the old one was on %v", g.peer, first)
			}
			if got := g.payload(2); strings.Trim(got, "b") != "" || len(got) != 488 {
				t.Errorf("the second block is %.8q, %d bytes", got, len(got))
			}
			g.silence(time.Minute)
		})
		if opened, closed := s.counts(); opened != 2 || closed != 2 {
			t.Errorf("opened %d files and closed %d, want 2", opened, closed)
		}
		if len(p.reports) != 2 || p.reports[0].Err == nil || p.reports[1].Err != nil {
			t.Errorf("reports %+v", p.reports)
		}
	})
}

// A client that began anew in the middle, and asks as it did before, is served.
func TestSameRequestAfterSilence(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		s := &sources{files: map[string]string{"file": strings.Repeat("x", 600)}}
		p.server.Open = s.open
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read)
			g.expect("DATA 1 of 512")
			g.ack(1)
			g.expect("DATA 2 of 88")
			if n := g.count(3 * time.Second); n == 0 {
				t.Error("the lost block was not sent again")
			}
			g.request(read)
			if got := len(g.payload(1)); got != 512 {
				t.Errorf("block 1 has %d bytes", got)
			}
			if got := len(g.payload(2)); got != 88 {
				t.Errorf("block 2 has %d bytes", got)
			}
			g.silence(time.Minute)
		})
		if opened, closed := s.counts(); opened != 2 || closed != 2 {
			t.Errorf("opened %d files and closed %d, want 2", opened, closed)
		}
	})
}

// Every ACK comes twice, and each block is sent once.
func TestDoubledAcks(t *testing.T) {
	for _, window := range []int{1, 4} {
		t.Run(fmt.Sprint(window), func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.serves(random(100*512 + 1))
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(rrq("file", fmt.Sprint("windowsize ", window)))
					g.expect(fmt.Sprintf("OACK [{windowsize %d}]", window))
					time.Sleep(2 * time.Millisecond)
					g.ack(0)
					g.ack(0)
					for n := 1; n <= 101; n++ {
						if got, want := g.next(time.Millisecond), fmt.Sprintf("DATA %d ", n); !strings.HasPrefix(got, want) {
							t.Fatalf("received %q, want %q", got, want)
						}
						if n%window == 0 || n == 101 {
							time.Sleep(2 * time.Millisecond)
							g.ack(uint16(n))
							g.ack(uint16(n))
						}
					}
					g.silence(time.Minute)
				})
				p.noFailures(t)
				if got := p.reports[0].Resent; got != 0 {
					t.Errorf("%d blocks were sent again", got)
				}
			})
		})
	}
}

// What an upload's peer sends besides blocks changes nothing, nor do strangers.
func TestStrayPacketsInAnUpload(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var s store
		p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
		p.serve(t, func() {
			g, stranger := p.guest(t, 2000), p.guest(t, 2001)
			g.request(write)
			g.expect("ACK 0")
			g.send(data(1, 512))
			g.expect("ACK 1")
			stray := []string{"", "\x00", "\x00\x03", "\x00\x03\x00", "\x00\x04\x00\x02", "\x00\x06x\x00\x00", "\x00\x05"}
			if !p.server.SinglePort { // where these are no strays
				stray = append(stray, read, "\x00\x09")
			}
			for _, b := range stray {
				g.raw(b)
			}
			stranger.peer = g.peer
			stranger.send(data(2, 9))
			stranger.expect("ERROR 5 unknown transfer ID")
			stranger.send(&tftp.Error{Message: "stop"})
			stranger.silence(10 * time.Millisecond)
			for range 3 {
				g.send(data(1, 512)) // its ACK was lost
				g.expect("ACK 1")
			}
			g.send(data(0, 512), data(3, 512), data(2, 1))
			g.expect("ACK 2")
			g.silence(time.Minute)
		})
		p.noFailures(t)
		if want := append(data(1, 512).Payload, 2); !bytes.Equal(s.Bytes(), want) || s.committed != 1 {
			t.Errorf("stored %d bytes, committed %d times, want %d bytes and once", s.Len(), s.committed, len(want))
		}
	})
}
