package tftp_test

import (
	"context"
	"testing"
	"time"

	"github.com/netparts/netparts/tftp"
)

// As a receiver the server tells of a gap at once, and acknowledges again what
// comes again, the last block too.
func TestUploadsThatGoWrong(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var s store
		p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(write + "windowsize\x004\x00")
			g.expect("OACK [{windowsize 4}]")
			g.send(data(1, 512), data(3, 512), data(4, 512))
			g.expect("ACK 1")
			g.send(data(2, 512), data(3, 512), data(4, 512), data(5, 512))
			g.expect("ACK 5")
			g.send(data(2, 512), data(3, 512), data(4, 512), data(5, 512)) // the ACK was lost
			g.expect("ACK 5")
			g.send(data(6, 10))
			g.expect("ACK 6")
			if s.committed != 1 || s.Len() != 5*512+10 {
				t.Errorf("committed %d times with %d bytes", s.committed, s.Len())
			}
			g.send(data(6, 10))
			g.expect("ACK 6")
			g.send(data(6, 10))
			g.expect("ACK 6")
			if got := g.next(time.Minute); got != "nothing" {
				t.Errorf("then came %s", got)
			}
		})
		p.noFailures(t)
	})
}

// Without the first block the answer is ACK 0 (RFC 7440 section 4), and no OACK again, which
// atftp takes for the ACK of its whole window.
func TestFirstBlockOfAnUploadIsLost(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var s store
		p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(write + "windowsize\x004\x00")
			g.expect("OACK [{windowsize 4}]")
			g.send(data(2, 512), data(3, 512), data(4, 512))
			g.expect("ACK 0")
			g.send(data(1, 512), data(2, 512), data(3, 10))
			g.expect("ACK 3")
		})
		p.noFailures(t)
	})
}

// A block that is longer than agreed ends the upload.
func TestOverlongBlock(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var s store
		p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(write)
			g.expect("ACK 0")
			g.send(data(1, 513))
			g.expect("ERROR 4 illegal TFTP operation")
		})
		if s.aborted != 1 || s.committed != 0 || s.Len() != 0 {
			t.Errorf("aborted %d times, committed %d times, %d bytes", s.aborted, s.committed, s.Len())
		}
	})
}

// Atftp asks for a time-out of a second, and itself waits five before it sends the last block
// again: without the ACK that was lost it took the upload for failed.
func TestLastAckOutlastsTheTimeoutOption(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		var s store
		p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) { return &s, nil }
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(write + "timeout\x001\x00")
			g.expect("OACK [{timeout 1}]")
			g.send(data(1, 10))
			g.expect("ACK 1")
			time.Sleep(5 * time.Second)
			g.send(data(1, 10))
			g.expect("ACK 1")
		})
		p.noFailures(t)
	})
}
