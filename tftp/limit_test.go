package tftp_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
	"github.com/netparts/netparts/tftp"
)

// begin reads so much of a file of two blocks or more that the server has had an
// answer.
func (g *guest) begin(request string) {
	g.t.Helper()
	g.request(request)
	g.expect("DATA 1 of 512")
	g.ack(1)
	g.expect("DATA 2 of 512")
}

// A transfer that gives way leaves the count of its address right, so that the
// limit for one address holds afterwards.
func TestMaxPerPeerAfterGivingWay(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(2000))
		p.server.MaxTransfers, p.server.MaxPerPeer = 3, 2
		p.serve(t, func() {
			forged := p.guest(t, 2000)
			forged.request(read)
			forged.expect("DATA 1 of 512")
			others := []*guest{p.otherGuest(t, 1), p.otherGuest(t, 2)}
			for _, g := range others {
				g.begin(read)
			}
			first := p.guest(t, 2001)
			first.begin(read) // the forged one, of the same address, gives way
			for _, g := range others {
				g.send(&tftp.Error{Message: "stop"})
			}
			synctest.Wait()
			p.guest(t, 2002).begin(read)
			third := p.guest(t, 2003)
			third.request(read)
			if got := third.next(time.Millisecond); got != "nothing" {
				t.Errorf("the third transfer of an address with a limit of 2 received %q", got)
			}
		})
	})
}

// otherGuest opens a socket on another host than guest does.
func (p *path) otherGuest(t *testing.T, n int) *guest {
	t.Helper()
	conn, err := p.net.ListenPacket("udp", fmt.Sprintf("192.0.2.%d:2000", 100+n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &guest{t: t, conn: conn}
}

// Without limits there are more transfers than by default, from one address.
func TestNoLimits(t *testing.T) {
	for _, unlimited := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := newPath(nil, nil, nil)
			p.serves(random(2000))
			want := 250
			if unlimited {
				p.server.MaxTransfers, p.server.MaxPerPeer = -1, -1
				want = 300
			}
			served := 0
			p.serve(t, func() {
				for i := range 300 {
					g := p.guest(t, 2000+uint16(i))
					g.request(read)
					if g.next(time.Microsecond) == "nothing" {
						continue
					}
					served++
					g.ack(1)
				}
			})
			if served != want {
				t.Errorf("%d transfers at once, want %d", served, want)
			}
		})
	}
}

// An address that many requests are forged for gets one packet for each, and does
// not keep others from being served as usual.
func TestForgedRequestsLeaveOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		victim := map[string]int{}
		p := newPath(func(packet memnet.Packet) []memnet.Packet {
			victim[packet.To.String()]++
			return []memnet.Packet{packet}
		}, nil, nil)
		p.serves(random(600))
		p.serve(t, func() {
			for i := range 40 {
				p.guest(t, 3000+uint16(i)).request(read)
			}
			other := p.otherGuest(t, 1)
			other.request(read)
			if got := other.count(time.Minute); got != 3 {
				t.Errorf("another silent address received %d packets, want 3", got)
			}
		})
		for i := range 40 {
			want := 3
			if i >= 16 {
				want = 1
			}
			if got := victim[fmt.Sprintf("192.0.2.2:%d", 3000+i)]; got != want {
				t.Errorf("request %d brought %d packets, want %d", i, got, want)
			}
		}
	})
}

// Blocks and windows are no larger than the server allows, and a limit out of range
// is none.
func TestMaxBlockSizeAndWindow(t *testing.T) {
	tests := []struct {
		block, window int
		asked, want   string
	}{
		{1468, 4, "blksize 65464 windowsize 64", "[{blksize 1468} {windowsize 4}]"},
		{1468, 4, "windowsize 3 blksize 100", "[{windowsize 3} {blksize 100}]"},
		{8, 1, "blksize 512 windowsize 2", "[{blksize 8} {windowsize 1}]"},
		{7, -1, "blksize 65464", "[{blksize 65464}]"},
		{65465, 0, "blksize 65464", "[{blksize 65464}]"},
		{512, 100_000, "windowsize 65535 blksize 8", "[{windowsize 65535} {blksize 8}]"},
		{512, 100_000, "windowsize 65535", "[{windowsize 1024}]"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d,%d,%s", tt.block, tt.window, tt.asked), func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.serves(random(100))
				p.server.MaxBlockSize, p.server.MaxWindow = tt.block, tt.window
				p.serve(t, func() {
					g := p.guest(t, 2000)
					for _, request := range []string{rrq("file", tt.asked), wrq("file", tt.asked)} {
						g.request(request)
						g.expect("OACK " + tt.want)
						g.send(&tftp.Error{Message: "seen"})
						synctest.Wait()
					}
				})
			})
		})
	}
}

// The limit of an upload is for the file on the wire, and negative is none.
func TestNoMaxFileSize(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var s store
		p.server.MaxFileSize = -1
		p.server.Create = func(_ context.Context, r *tftp.Request) (tftp.Upload, error) {
			if r.Size != 1<<62 {
				t.Errorf("Request.Size = %d, want %d", r.Size, int64(1<<62))
			}
			return &s, nil
		}
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(wrq("file", fmt.Sprint("tsize ", int64(1<<62))))
			g.expect(fmt.Sprintf("OACK [{tsize %d}]", int64(1<<62)))
			g.send(data(1, 9)) // a tsize promises nothing
			g.expect("ACK 1")
		})
		p.noFailures(t)
	})
}

// Many requests that nobody waits for do not make the server forget one that
// somebody does.
func TestTransfersThatAreAnsweredStay(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(2000))
		p.server.MaxTransfers = 2
		p.serve(t, func() {
			g := p.otherGuest(t, 1)
			g.begin(read)
			for i := range 100 {
				forged := p.guest(t, 2000+uint16(i))
				forged.request(read)
				forged.expect("DATA 1 of 512")
			}
			time.Sleep(time.Millisecond)
			g.ack(2)
			g.expect("DATA 3 of 512")
			g.ack(3)
			g.expect("DATA 4 of 464")
			g.ack(4)
		})
		gaveWay := 0
		for _, r := range p.reports {
			if r.Err != nil && r.Err != tftp.ErrNoAnswer {
				gaveWay++
			}
		}
		if len(p.reports) != 101 || gaveWay != 99 {
			t.Errorf("%d transfers, of which %d gave way, want 101 and 99", len(p.reports), gaveWay)
		}
	})
}

// waits plays a client that stays silent after its answers, and returns how long
// the server waits before each further packet, and at the end.
func waits(t *testing.T, p *path, request string, answers ...tftp.Packet) (list []time.Duration) {
	t.Helper()
	start, last := time.Now(), time.Now()
	p.serve(t, func() {
		g := p.guest(t, 2000)
		g.request(request)
		for _, answer := range answers {
			g.next(time.Second)
			time.Sleep(10 * time.Millisecond) // the round trip
			g.send(answer)
		}
		if got := g.next(time.Minute); got == "nothing" {
			t.Error("no packet to be silent at")
		}
		for last = time.Now(); g.next(2*time.Minute) != "nothing"; last = time.Now() {
			list = append(list, time.Since(last))
		}
	})
	if len(p.reports) != 1 || p.reports[0].Err != tftp.ErrNoAnswer {
		t.Fatalf("reports %+v, want one of %v", p.reports, tftp.ErrNoAnswer)
	}
	return append(list, p.reports[0].Duration-last.Sub(start))
}

// The server sends again after longer and longer waits, none above Timeout, and as
// often as Retries says, or thrice at most to one who has not answered.
func TestWaits(t *testing.T) {
	const s = time.Second
	oack := rrq("file", "blksize 600")
	tests := []struct {
		name    string
		timeout time.Duration
		retries int
		request string
		answers []tftp.Packet
		want    []time.Duration
	}{
		{"DATA unanswered", 0, 0, read, nil, []time.Duration{s, 2 * s, 6 * s}},
		{"OACK unanswered", 0, 0, oack, nil, []time.Duration{s, 2 * s, 6 * s}},
		{"ACK 0 unanswered", 0, 0, write, nil, []time.Duration{s, 2 * s, 6 * s}},
		{"OACK of a write unanswered", 0, 0, wrq("file", "blksize 600"), nil, []time.Duration{s, 2 * s, 6 * s}},
		{"short Timeout", s / 2, 0, read, nil, []time.Duration{s / 2, s / 2, s / 2}},
		{"one retry", 3 * s, 1, read, nil, []time.Duration{s, 3 * s}},
		{"negative Retries", 3 * s, -1, read, nil, []time.Duration{3 * s}},
		{"negative Retries later", 3 * s, -1, read, []tftp.Packet{&tftp.Ack{Block: 1}}, []time.Duration{3 * s}},
		{"option", 0, 0, rrq("file", "timeout 1"), nil, []time.Duration{s, s, s}},
		{"longer option", 2 * s, 0, rrq("file", "timeout 255"), nil, []time.Duration{s, 2 * s, 255 * s}},
		{
			"round trip of 10 ms", s / 5, 4, read,
			[]tftp.Packet{&tftp.Ack{Block: 1}, &tftp.Ack{Block: 2}},
			[]time.Duration{25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, s / 5, s / 5},
		},
		{
			"write with a round trip of 10 ms", s / 5, 3, write,
			[]tftp.Packet{data(1, 512), data(2, 512)},
			[]time.Duration{25 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, s / 5},
		},
		{
			"with an option in the middle", 0, 3, rrq("file", "timeout 2"),
			[]tftp.Packet{&tftp.Ack{Block: 0}},
			[]time.Duration{30 * time.Millisecond, 60 * time.Millisecond, 120 * time.Millisecond, 2 * s},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			withServer(t, func(t *testing.T, p *path) {
				p.serves(random(3000))
				p.server.Timeout, p.server.Retries = tt.timeout, tt.retries
				if got := waits(t, p, tt.request, tt.answers...); !slices.Equal(got, tt.want) {
					t.Errorf("waits of %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// A client that sends the same blocks for ever, and none that is new, is given up,
// however fast it sends them, and also when it stops after a while.
func TestSameBlocksForEver(t *testing.T) {
	for _, window := range []int{1, 4} {
		for _, pause := range []time.Duration{100 * time.Microsecond, 10 * time.Millisecond, 100 * time.Millisecond} {
			for _, blocks := range []int{40, 1 << 30} {
				t.Run(fmt.Sprintf("window=%d,pause=%v,blocks=%d", window, pause, blocks), func(t *testing.T) {
					withServer(t, func(t *testing.T, p *path) { p.givesUp(t, window, pause, blocks) })
				})
			}
		}
	}
}

// givesUp uploads a window, and then sends its last block again so often, with
// pauses.
func (p *path) givesUp(t *testing.T, window int, pause time.Duration, blocks int) {
	p.server.Timeout, p.server.Retries = 200*time.Millisecond, 2
	ended := make(chan tftp.Transfer, 1)
	p.server.Report = func(r tftp.Transfer) { ended <- r }
	p.serve(t, func() {
		g := p.guest(t, 2000)
		g.request(fmt.Sprintf("%swindowsize\x00%d\x00", write, window))
		g.expect(fmt.Sprintf("OACK [{windowsize %d}]", window))
		block := &tftp.Data{Payload: make([]byte, 512)}
		for range window {
			block.Block++
			g.send(block)
		}
		g.expect(fmt.Sprint("ACK ", window))
		giveUp := time.NewTimer(5 * time.Minute)
		for {
			next := time.NewTimer(pause)
			if blocks--; blocks < 0 {
				next.Stop()
			}
			select {
			case r := <-ended:
				if r.Err != tftp.ErrNoAnswer || r.Blocks != int64(window) {
					t.Errorf("report %+v", r)
				}
				return
			case <-giveUp.C:
				t.Fatal("the transfer goes on")
			case <-next.C:
				g.send(block)
			}
		}
	})
}

// After an upload the last ACK is repeated for a while. Blocks of before do not make
// that while longer.
func TestStraysAfterUpload(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(write)
			g.expect("ACK 0")
			g.upload("the text", 512)
			strays := time.NewTicker(time.Second)
			defer strays.Stop()
			for range 60 {
				<-strays.C
				g.send(&tftp.Data{Block: 7, Payload: []byte("x")})
			}
			g.send(&tftp.Data{Block: 1, Payload: []byte("the text")})
			if got := g.next(time.Second); got == "ACK 1" {
				t.Error("the transfer is still there a minute after its end")
			}
		})
	})
}
