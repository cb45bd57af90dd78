package tftp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/netparts/netparts/internal/leak"
	"github.com/netparts/netparts/tftp"
)

// openTransfer brings a read into its middle: its first window is under way.
func openTransfer(t *testing.T, server netip.AddrPort, options string) {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.WriteToUDPAddrPort([]byte("\x00\x01file\x00octet\x00"+options), server); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 70_000)
	n, peer, err := conn.ReadFromUDPAddrPort(buf)
	if err != nil || tftp.Opcode(buf[1]) != tftp.OpOptionAck {
		t.Fatalf("read %q, %v, want an OACK", buf[:n], err)
	}
	if _, err := conn.WriteToUDPAddrPort([]byte("\x00\x04\x00\x00"), peer); err != nil {
		t.Fatal(err)
	}
	if n, _, err = conn.ReadFromUDPAddrPort(buf); err != nil || tftp.Opcode(buf[1]) != tftp.OpData {
		t.Fatalf("read %.20q, %v, want a block", buf[:n], err)
	}
}

// A transfer that waits is a goroutine and a few kilobytes, and its window is in
// no memory but the source's.
func TestOpenTransfersAreSmall(t *testing.T) {
	const transfers = 200
	for _, options := range []string{
		"blksize\x00512\x00", "blksize\x008192\x00",
		"blksize\x001428\x00windowsize\x0016\x00", "blksize\x001428\x00windowsize\x0064\x00",
		"blksize\x008192\x00windowsize\x0064\x00",
	} {
		for _, single := range []bool{false, true} {
			t.Run(fmt.Sprintf("%q,single=%v", options, single), func(t *testing.T) {
				// What has been sent waits here, and is not sent again.
				addr, stop := start(&tftp.Server{
					Open: tftp.Payload(make([]byte, 1<<20)), SinglePort: single, Timeout: time.Minute, Retries: -1,
				})
				defer stop()
				server := netip.MustParseAddrPort(addr)
				openTransfer(t, server, options) // pays for what is made once
				heap, goroutines := leak.InUse()
				for range transfers {
					openTransfer(t, server, options)
				}
				heapAfter, goroutinesAfter := leak.InUse()
				// The client's socket is a part of that.
				if each := (heapAfter - heap) / transfers; each > 8<<10 {
					t.Errorf("%d bytes a transfer, want at most 8 KiB", each)
				}
				if n := goroutinesAfter - goroutines; n > transfers {
					t.Errorf("%d goroutines for %d transfers", n, transfers)
				}
			})
		}
	}
}

// Of a transfer that has ended nothing is kept, also if no other comes after it.
func TestEndedTransfersAreForgotten(t *testing.T) {
	file := random(100_000)
	for _, single := range []bool{false, true} {
		t.Run(fmt.Sprintf("single=%v", single), func(t *testing.T) {
			requests := make(chan weak.Pointer[tftp.Request], 10) // each is a part of its transfer
			open, stored := tftp.Payload(file), make(chan []byte, 1)
			addr, stop := start(&tftp.Server{
				Open: func(ctx context.Context, r *tftp.Request) (io.ReadCloser, error) {
					requests <- weak.Make(r)
					return open(ctx, r)
				},
				Create: func(_ context.Context, r *tftp.Request) (tftp.Upload, error) {
					requests <- weak.Make(r)
					return &handedOver{to: stored}, nil
				},
				Timeout:    100 * time.Millisecond, // the last ACK of an upload may be repeated for so long
				SinglePort: single,
			})
			defer stop()
			c := &tftp.Client{Addr: addr}
			for range cap(requests) / 2 {
				if stats, err := c.Get(t.Context(), "file", io.Discard); err != nil {
					t.Fatalf("Get = %+v, %v", stats, err)
				}
				if stats, err := c.Put(t.Context(), "file", bytes.NewReader(file)); err != nil {
					t.Fatalf("Put = %+v, %v", stats, err)
				}
				<-stored
			}
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			deadline := time.Now().Add(20 * time.Second)
			for i := range cap(requests) {
				for r := <-requests; r.Value() != nil; runtime.GC() {
					if time.Now().After(deadline) {
						t.Fatalf("transfer %d is kept", i)
					}
				}
			}
		})
	}
}

// The largest window that can be asked for takes at most 1 MiB, from a source that
// can be read only once.
func TestLargestWindowIsBounded(t *testing.T) {
	addr, stop := start(&tftp.Server{
		Open: func(context.Context, *tftp.Request) (io.ReadCloser, error) {
			return stream{io.LimitReader(zeros{}, 1<<30)}, nil
		},
		MaxWindow: 65535,
	})
	defer stop()
	heap, _ := leak.InUse()
	openTransfer(t, netip.MustParseAddrPort(addr), "blksize\x0065464\x00windowsize\x0065535\x00")
	after, _ := leak.InUse()
	if grown := after - heap; grown > 1<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// Windows of half a megabyte overrun a receive buffer of the usual size. The
// client makes its own larger or asks for less.
func TestLargeWindowsArrive(t *testing.T) {
	file := random(4 << 20)
	for _, window := range []int{16, 64} {
		for _, single := range []bool{false, true} {
			t.Run(fmt.Sprintf("window=%d,single=%v", window, single), func(t *testing.T) {
				stored := make(chan []byte, 1)
				addr, stop := start(&tftp.Server{
					Open: tftp.Payload(file), SinglePort: single,
					Create: func(context.Context, *tftp.Request) (tftp.Upload, error) {
						return &handedOver{to: stored}, nil
					},
				})
				defer stop()
				c := &tftp.Client{Addr: addr, BlockSize: 8192, WindowSize: window}
				for range 5 {
					var out bytes.Buffer
					stats, err := c.Get(t.Context(), "file", &out)
					if err != nil || !bytes.Equal(out.Bytes(), file) {
						t.Fatalf("Get = %+v, %v, equal %v", stats, err, bytes.Equal(out.Bytes(), file))
					}
					if stats, err = c.Put(t.Context(), "file", bytes.NewReader(file)); err != nil {
						t.Fatalf("Put = %+v, %v", stats, err)
					}
					if !bytes.Equal(<-stored, file) {
						t.Fatal("what was stored differs")
					}
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A handedOver upload goes to a test when it is stored.
type handedOver struct {
	bytes.Buffer
	to chan []byte
}

func (h *handedOver) Commit() error {
	select {
	case h.to <- h.Bytes():
		return nil
	default:
		return errors.New("nobody takes it")
	}
}

func (*handedOver) Abort(error) {}
