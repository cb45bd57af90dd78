package tftp_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tftp"
)

// The blocks of files of all edge sizes, byte for byte the book's.
func TestBlocksOfAFile(t *testing.T) {
	tests := []struct {
		size int
		want []string
	}{
		{0, []string{"DATA 1 of 0"}},
		{1, []string{"DATA 1 of 1"}},
		{511, []string{"DATA 1 of 511"}},
		{512, []string{"DATA 1 of 512", "DATA 2 of 0"}},
		{513, []string{"DATA 1 of 512", "DATA 2 of 1"}},
		{1024, []string{"DATA 1 of 512", "DATA 2 of 512", "DATA 3 of 0"}},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.size), func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.serves(random(tt.size))
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(read)
					for i, want := range tt.want {
						g.expect(want)
						g.ack(uint16(i + 1))
					}
					if got := g.next(time.Minute); got != "nothing" {
						t.Errorf("then came %s", got)
					}
				})
				p.noFailures(t)
			})
		})
	}
}

// The number after 65535 is 0, both ways.
func TestBlockNumbersRollOver(t *testing.T) {
	file := random(8*65536 + 3)
	for _, window := range []int{1, 16} {
		synctest.Test(t, func(t *testing.T) {
			var s store
			p := newPath(nil, seekable{bytes.NewReader(file)}, &s)
			p.client.BlockSize, p.client.WindowSize = 8, window
			p.serve(t, func() {
				if stats := p.get(t, file); stats.Blocks != 65537 {
					t.Errorf("%d blocks, want 65537", stats.Blocks)
				}
				p.put(t, stream{bytes.NewReader(file)}, file, &s)
			})
		})
	}
}

// What is no request is refused or ignored, and nothing of an earlier packet is
// taken for a part of it.
func TestMalformedRequests(t *testing.T) {
	tests := []struct{ name, packet, want string }{
		{"empty", "", "nothing"},
		{"one byte", "\x00", "nothing"},
		{"RRQ without its end", "\x00\x01file\x00octet", "ERROR 4 illegal TFTP operation"},
		{"RRQ of an opcode", "\x00\x01", "ERROR 4 illegal TFTP operation"},
		{"RRQ without a name", "\x00\x01\x00octet\x00", "ERROR 4 illegal TFTP operation"},
		{"RRQ without a mode", "\x00\x01file\x00\x00", "ERROR 4 illegal TFTP operation"},
		{"RRQ that is too long", "\x00\x01" + strings.Repeat("a", 504) + "\x00octet\x00", "ERROR 4 illegal TFTP operation"},
		{"mail", "\x00\x01file\x00MAIL\x00", "ERROR 0 mode is not supported"},
		{"unknown mode", "\x00\x02file\x00binary\x00", "ERROR 0 mode is not supported"},
		{"DATA", "\x00\x03\x00\x01x", "ERROR 5 unknown transfer ID"},
		{"ACK", "\x00\x04\x00\x01", "nothing"},
		{"ERROR", "\x00\x05\x00\x00no\x00", "nothing"},
		{"OACK", "\x00\x06blksize\x008\x00", "nothing"},
		{"opcode 0", "\x00\x00file\x00octet\x00", "ERROR 4 illegal TFTP operation"},
		{"opcode 9", "\x00\x09", "ERROR 4 illegal TFTP operation"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.serves([]byte("x"))
				p.serve(t, func() {
					// A whole request fills the buffers first.
					g := p.guest(t, 2000)
					g.request("\x00\x01" + strings.Repeat("b", 200) + "\x00octet\x00")
					g.expect("DATA 1 of 1")
					g.ack(1)
					synctest.Wait() // it has ended, and takes no packet any more
					g.request(tt.packet)
					if got := g.next(time.Minute); got != tt.want {
						t.Errorf("the answer is %s, want %s", got, tt.want)
					}
				})
				if len(p.reports) != 1 {
					t.Errorf("%d transfers, want the one before", len(p.reports))
				}
			})
		})
	}
}

// Which options the server agrees to, and to what.
func TestNegotiation(t *testing.T) {
	tests := []struct{ asked, want string }{
		{"", ""},
		{"blksize 7", ""},
		{"blksize 8", "[{blksize 8}]"},
		{"BLKSIZE 512", "[{BLKSIZE 512}]"},
		{"blksize 65464", "[{blksize 65464}]"},
		{"blksize 65465", ""},
		{"blksize -1", ""},
		{"blksize +8", ""},
		{"blksize 0x10", ""},
		{"blksize 08", "[{blksize 8}]"},
		{"blksize 100000000000000000000", ""},
		{"windowsize 0", ""},
		{"windowsize 1", "[{windowsize 1}]"},
		{"WindowSize 64", "[{WindowSize 64}]"},
		{"windowsize 65535", "[{windowsize 64}]"},
		{"windowsize 65536", ""},
		{"windowsize 64 blksize 65464", "[{windowsize 8} {blksize 65464}]"},
		{"timeout 0", ""},
		{"timeout 1", "[{timeout 1}]"},
		{"timeout 255", "[{timeout 255}]"},
		{"timeout 256", ""},
		{"tsize 0", "[{tsize 1000}]"},
		{"tsize 77", "[{tsize 1000}]"},
		{"tsize x", ""},
		{"multicast 1 rollover 0 utimeout 5", ""},
		{"tsize 0 blksize 100 nonsense 1 timeout 2", "[{tsize 1000} {blksize 100} {timeout 2}]"},
		{"blksize 16 blksize 32", "[{blksize 16}]"},
		{"blksize 7 BlkSize 32", ""},
	}
	for _, tt := range tests {
		t.Run(tt.asked, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.serves(random(1000))
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(read + zeroEnded(tt.asked))
					want := "DATA 1 of 512"
					if tt.want != "" {
						want = "OACK " + tt.want
					}
					g.expect(want)
					g.send(&tftp.Error{Message: "seen"})
				})
			})
		})
	}
}

// zeroEnded writes words as options.
func zeroEnded(words string) string {
	if words == "" {
		return ""
	}
	return strings.ReplaceAll(words, " ", "\x00") + "\x00"
}

// The size is told where it is known, and a write's is accepted.
func TestSizes(t *testing.T) {
	tests := []struct {
		name, request, want string
		stream              bool
	}{
		{"read", read + "tsize\x000\x00", "OACK [{tsize 1000}]", false},
		{"read of a stream", read + "tsize\x000\x00", "DATA 1 of 512", true},
		{"read of text", "\x00\x01file\x00NetASCII\x00tsize\x000\x00", "DATA 1 of 512", false},
		{"write", write + "tsize\x00123\x00", "OACK [{tsize 123}]", false},
		{"write without options", write, "ACK 0", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.serves(random(1000))
				if tt.stream {
					p.servesStream(func() io.Reader { return bytes.NewReader(random(1000)) })
				}
				p.serve(t, func() {
					g := p.guest(t, 2000)
					g.request(tt.request)
					g.expect(tt.want)
					g.send(&tftp.Error{Message: "seen"})
				})
			})
		})
	}
}

// An ACK that comes twice makes nothing be sent, and one from the future neither.
func TestStrayAcks(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(2000))
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read)
			g.expect("DATA 1 of 512")
			g.ack(2)
			g.ack(65535)
			g.raw("\x00\x04\x00")
			g.raw("\x00\x04\x00\x01\x00")
			g.raw("\x00\x03\x00\x01x")
			g.raw("\x00")
			if got := g.next(10 * time.Millisecond); got != "nothing" {
				t.Errorf("then came %s", got)
			}
			g.ack(1)
			g.expect("DATA 2 of 512")
			g.ack(1)
			g.ack(1)
			g.ack(0)
			if got := g.next(10 * time.Millisecond); got != "nothing" {
				t.Errorf("an ACK of before was answered with %s", got)
			}
			g.ack(2)
			g.expect("DATA 3 of 512")
			g.ack(3)
			g.expect("DATA 4 of 464")
			g.ack(4)
		})
		p.noFailures(t)
	})
}

// A gap is resent from at once, and a window is not sent twice for one ACK.
func TestGapsInAWindow(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(5000))
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read + "windowsize\x004\x00")
			g.expect("OACK [{windowsize 4}]")
			time.Sleep(time.Millisecond) // the round trip
			g.ack(0)
			g.expect("DATA 1 of 512", "DATA 2 of 512", "DATA 3 of 512", "DATA 4 of 512")
			time.Sleep(time.Millisecond)
			g.ack(1)
			g.ack(1) // from a receiver that answers each block it cannot use
			g.ack(1)
			g.expect("DATA 2 of 512", "DATA 3 of 512", "DATA 4 of 512", "DATA 5 of 512")
			if got := g.next(time.Millisecond); got != "nothing" {
				t.Errorf("then came %s", got)
			}
			g.ack(1) // the same gap again, a round trip later
			g.expect("DATA 2 of 512", "DATA 3 of 512", "DATA 4 of 512", "DATA 5 of 512")
			g.ack(5)
			g.expect("DATA 6 of 512", "DATA 7 of 512", "DATA 8 of 512", "DATA 9 of 512")
			g.ack(9)
			g.expect("DATA 10 of 392")
			g.ack(10)
		})
		p.noFailures(t)
		if got := p.reports[0].Resent; got != 7 {
			t.Errorf("%d blocks resent, want 7", got)
		}
	})
}

// Who is not the peer of a transfer is sent away, and changes nothing.
func TestStrangersToTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPath(nil, nil, nil)
		p.serves(random(600))
		p.serve(t, func() {
			g, stranger := p.guest(t, 2000), p.guest(t, 2001)
			g.request(read)
			g.expect("DATA 1 of 512")
			stranger.peer = g.peer
			stranger.ack(1)
			stranger.expect("ERROR 5 unknown transfer ID")
			stranger.send(&tftp.Error{Message: "stop"})
			if got := stranger.next(time.Millisecond); got != "nothing" {
				t.Errorf("an ERROR was answered with %s", got)
			}
			g.ack(1)
			g.expect("DATA 2 of 88")
			g.ack(2)
		})
		p.noFailures(t)
	})
}

// A lost packet is sent again after a few round trips, and further ones after ever
// longer times, up to the Timeout.
func TestRetransmission(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(2000))
		p.server.Timeout, p.server.Retries = 200*time.Millisecond, 6
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read)
			g.expect("DATA 1 of 512")
			time.Sleep(2 * time.Millisecond)
			g.ack(1)
			g.expect("DATA 2 of 512")
			var waits []time.Duration
			for last := time.Now(); g.next(time.Minute) == "DATA 2 of 512"; last = time.Now() {
				waits = append(waits, time.Since(last))
			}
			if got := fmt.Sprint(waits); got != "[20ms 40ms 80ms 160ms 200ms 200ms]" {
				t.Errorf("resent after %s", got)
			}
		})
		if r := p.reports[0]; r.Err != tftp.ErrNoAnswer || r.Resent != 6 {
			t.Errorf("report %+v", r)
		}
	})
}

// Before a client has answered it gets three packets at most, and with negative
// Retries one.
func TestUnansweredRequests(t *testing.T) {
	for _, tt := range []struct {
		retries int
		request string
		want    int
	}{
		{0, read, 3}, {0, read + "blksize\x0065464\x00", 3}, {0, write, 3}, {1, read, 2}, {-1, read, 1},
	} {
		withServer(t, func(t *testing.T, p *path) {
			p.serves(random(2000))
			p.server.Retries = tt.retries
			p.serve(t, func() {
				g := p.guest(t, 2000)
				g.request(tt.request)
				if got := g.count(time.Minute); got != tt.want {
					t.Errorf("%d packets to a silent client, want %d", got, tt.want)
				}
			})
			if r := p.reports[0]; r.Err != tftp.ErrNoAnswer {
				t.Errorf("report %+v", r)
			}
		})
	}
}

// The option timeout is the longest wait of its transfer.
func TestTimeoutOption(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(2000))
		p.server.Retries = 9
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read + "timeout\x001\x00")
			g.expect("OACK [{timeout 1}]")
			g.ack(0)
			g.expect("DATA 1 of 512")
			longest := time.Duration(0)
			for last := time.Now(); g.next(time.Minute) != "nothing"; last = time.Now() {
				longest = max(longest, time.Since(last))
			}
			if longest != time.Second {
				t.Errorf("the longest wait was %v, want 1s", longest)
			}
		})
	})
}

// A client that only asks for the size is no failure.
func TestSizeProbe(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(2000))
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(read + "tsize\x000\x00")
			g.expect("OACK [{tsize 2000}]")
			g.send(&tftp.Error{Code: tftp.CodeOption, Message: "User aborted the transfer"})
		})
		if r := p.reports[0]; !r.Probe || r.Err != nil || r.Bytes != 0 {
			t.Errorf("report %+v", r)
		}
	})
}

// A client that has all may ask for the same again from the same port, before the
// server has seen to its last ACK. A request that the network doubles starts
// nothing.
func TestSameRequestAgain(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves([]byte("x"))
		p.serve(t, func() {
			g := p.guest(t, 2000)
			for range 50 {
				g.request(read)
				g.expect("DATA 1 of 1")
				time.Sleep(time.Millisecond) // the round trip
				g.ack(1)
			}
			synctest.Wait()
			g.request(read)
			g.request(read)
			g.expect("DATA 1 of 1")
			time.Sleep(time.Millisecond)
			g.ack(1)
			if got := g.next(time.Minute); got != "nothing" {
				t.Errorf("a doubled request was answered with another %s", got)
			}
		})
		if len(p.reports) != 51 {
			t.Errorf("%d transfers, want 51", len(p.reports))
		}
	})
}
