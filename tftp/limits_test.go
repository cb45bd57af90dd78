package tftp_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/tftp"
)

// At the limit a transfer that nobody has answered gives way, and others do not.
func TestMaxTransfers(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(600))
		p.server.MaxTransfers = 2
		p.serve(t, func() {
			forged, real1, real2, late := p.guest(t, 2000), p.guest(t, 2001), p.guest(t, 2002), p.guest(t, 2003)
			forged.request(read)
			forged.expect("DATA 1 of 512")
			real1.request(read)
			real1.expect("DATA 1 of 512")
			real1.ack(1)
			real1.expect("DATA 2 of 88")
			real2.request(read) // takes the place of the forged one
			real2.expect("DATA 1 of 512")
			real2.ack(1)
			real2.expect("DATA 2 of 88")
			late.request(read)
			if got := late.next(5 * time.Millisecond); got != "nothing" {
				t.Errorf("above the limit came %s", got)
			}
			real1.ack(2)
			synctest.Wait()
			late.request(read)
			late.expect("DATA 1 of 512")
			late.ack(1)
			late.expect("DATA 2 of 88")
			late.ack(2)
			real2.ack(2)
			if got := forged.next(time.Minute); got != "nothing" {
				t.Errorf("what gave way goes on with %s", got)
			}
		})
	})
}

func TestMaxPerPeer(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(600))
		p.server.MaxPerPeer = 1
		p.serve(t, func() {
			one, two := p.guest(t, 2000), p.guest(t, 2001)
			one.request(read)
			one.expect("DATA 1 of 512")
			one.ack(1)
			one.expect("DATA 2 of 88")
			two.request(read)
			if got := two.next(5 * time.Millisecond); got != "nothing" {
				t.Errorf("above the limit came %s", got)
			}
			one.ack(2)
			synctest.Wait()
			two.request(read)
			two.expect("DATA 1 of 512")
		})
	})
}

// Many requests with one forged address bring it little more than one packet each.
func TestForgedRequests(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		p.serves(random(600))
		p.serve(t, func() {
			const requests = 200
			guests := make([]*guest, requests)
			for i := range guests {
				guests[i] = p.guest(t, uint16(3000+i))
				guests[i].request(read)
			}
			packets := 0
			for _, g := range guests {
				packets += g.count(time.Minute)
			}
			if packets < requests || packets > requests+2*16 {
				t.Errorf("%d requests were answered with %d packets", requests, packets)
			}
		})
	})
}

// An upload that is too large is refused before it begins, if its size is told, and
// ended otherwise.
func TestMaxFileSize(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		uploads := []*store{}
		p.server.MaxFileSize = 1000
		p.server.Create = func(context.Context, *tftp.Request) (tftp.Upload, error) {
			uploads = append(uploads, new(store))
			return uploads[len(uploads)-1], nil
		}
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request(write + "tsize\x001001\x00")
			g.expect("ERROR 3 disk full or allocation exceeded")
			if len(uploads) != 0 {
				t.Error("Create was called")
			}
			g = p.guest(t, 2001)
			g.request(write)
			g.expect("ACK 0")
			g.send(data(1, 512))
			g.expect("ACK 1")
			g.send(data(2, 512))
			g.expect("ERROR 3 disk full or allocation exceeded")
			g = p.guest(t, 2002)
			g.request(write + "tsize\x001000\x00")
			g.expect("OACK [{tsize 1000}]")
			g.send(data(1, 512))
			g.expect("ACK 1")
			g.send(data(2, 488))
			g.expect("ACK 2")
		})
		if len(uploads) != 2 || uploads[0].aborted != 1 || uploads[0].committed != 0 || uploads[1].committed != 1 {
			t.Errorf("uploads %+v", uploads)
		}
	})
}

// A request that comes twice opens one file, and another one from the same port
// gets its own.
func TestRepeatedRequests(t *testing.T) {
	withServer(t, func(t *testing.T, p *path) {
		opened := []string{}
		p.server.Open = func(_ context.Context, r *tftp.Request) (io.ReadCloser, error) {
			opened = append(opened, r.Name)
			time.Sleep(3 * time.Second) // longer than a client waits
			return io.NopCloser(strings.NewReader(strings.Repeat(r.Name, 600))), nil
		}
		p.serve(t, func() {
			g := p.guest(t, 2000)
			g.request("\x00\x01a\x00octet\x00")
			time.Sleep(time.Second)
			g.request("\x00\x01a\x00octet\x00")
			time.Sleep(2 * time.Second)
			synctest.Wait()
			g.expect("DATA 1 of 512")
			first := g.peer
			g.ack(1)
			g.expect("DATA 2 of 88")
			g.request("\x00\x01a\x00octet\x00") // while it goes on
			// Another file is asked for, and the old one is forgotten.
			g.request("\x00\x01b\x00octet\x00")
			if got := g.next(2900 * time.Millisecond); got != "nothing" {
				t.Errorf("from the old file came %s", got)
			}
			g.peer = first
			g.ack(2)
			time.Sleep(200 * time.Millisecond)
			for want := "DATA 1 of 512"; ; {
				got := g.next(time.Millisecond)
				if got == "ERROR 5 unknown transfer ID" {
					continue // to the ACK of the old file
				}
				if got != want {
					t.Fatalf("received %s, want %s", got, want)
				}
				break
			}
			g.ack(1)
			g.expect("DATA 2 of 88")
			// The client is restarted, and asks for the same again.
			time.Sleep(1500 * time.Millisecond)
			g.count(0)
			g.request("\x00\x01b\x00octet\x00")
			time.Sleep(3500 * time.Millisecond)
			for got := ""; got != "DATA 1 of 512"; {
				if got = g.next(time.Millisecond); got == "nothing" {
					t.Fatal("a client that was restarted gets nothing")
				}
			}
			g.ack(1)
			g.ack(2)
		})
		if got := strings.Join(opened, " "); got != "a b b" {
			t.Errorf("opened %q, want a b b", got)
		}
	})
}

// When there are no descriptors the client is not told, and asks again.
func TestShortage(t *testing.T) {
	for _, errno := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		withServer(t, func(t *testing.T, p *path) {
			failing := true
			p.server.Open = func(context.Context, *tftp.Request) (io.ReadCloser, error) {
				if failing {
					return nil, &netError{errno}
				}
				return io.NopCloser(strings.NewReader("x")), nil
			}
			p.serve(t, func() {
				g := p.guest(t, 2000)
				g.request(read)
				if got := g.next(time.Second); got != "nothing" {
					t.Errorf("shortage was answered with %s", got)
				}
				synctest.Wait()
				failing = false
				g.request(read)
				g.expect("DATA 1 of 1")
				g.ack(1)
			})
			if len(p.reports) != 2 || !errors.Is(p.reports[0].Err, errno) || p.reports[1].Err != nil {
				t.Errorf("reports %+v", p.reports)
			}
		})
	}
}

type netError struct{ cause error }

func (e *netError) Error() string { return "open: " + e.cause.Error() }
func (e *netError) Unwrap() error { return e.cause }
