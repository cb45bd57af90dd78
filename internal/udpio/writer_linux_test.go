package udpio_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/udpio"
)

// readers are what reads what a Writer sends.
var readers = []udpio.Config{
	{Size: 65507},
	{Size: 65507, Batch: 16},
	{Size: 65507, Coalesce: true},
	{Size: 65507, Batch: 16, Coalesce: true},
}

func TestSizes(t *testing.T) {
	for _, cfg := range readers {
		for _, size := range []int{1, 2, 511, 512, 513, 1432, 8192, 21845, 32753, 32754, 65506, 65507} {
			for _, n := range []int{1, 2, 63, 64, 65, 200} {
				if n*size > 2<<20 {
					continue // more than any test needs
				}
				t.Run(fmt.Sprintf("%+v/%d of %d", cfg, n, size), func(t *testing.T) {
					server, client := loopback(t), loopback(t)
					if need := n * (2*size + 1024); need > udpio.SetReadBuffer(server, readBuffer) {
						t.Skipf("fewer than %d bytes can wait to be read here", need)
					}
					r := udpio.NewReader(server, cfg)
					defer r.Release()
					w := udpio.NewWriter(client)
					b := pattern(n * size)
					for _, less := range []int{0, 1, size / 2} {
						b := b[:len(b)-less]
						write(t, w, b, size, addrPort(server))
						readWhole(t, r, b, size, addrPort(client))
					}
					if w.Whole() != 0 {
						t.Errorf("the loopback refused to split: %d", w.Whole())
					}
				})
			}
		}
	}
}

// What a Writer lets the kernel split arrives in one piece where it is joined.
func TestCoalesced(t *testing.T) {
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(server, udpio.Config{Size: 512, Coalesce: true})
	defer r.Release()
	b := pattern(64 * 512)
	must(t, udpio.NewWriter(client).Write(b, 512, addrPort(server), netip.Addr{}))
	must(t, r.Read())
	for i := range 64 {
		p, ok := r.Next()
		if !ok || string(p.Data) != string(b[i*512:][:512]) {
			t.Fatalf("one system call gave %d datagrams, want 64", i)
		}
	}
}

// The datagrams of a run that are longer than Size are cut, each of them.
func TestCutRun(t *testing.T) {
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(server, udpio.Config{Size: 100, Coalesce: true})
	defer r.Release()
	must(t, udpio.NewWriter(client).Write(pattern(10*101-1), 101, addrPort(server), netip.Addr{}))
	for i, p := range read(t, r, 10) {
		if len(p.Data) != 100 || p.Cut != (i < 9) {
			t.Errorf("datagram %d has %d bytes, Cut %t", i, len(p.Data), p.Cut)
		}
	}
}

// What the kernel does not do is done otherwise, with each datagram sent once
// and in order.
func TestFallbacks(t *testing.T) {
	const size = 100
	// refuse returns a kernel that lets the first after calls through and then
	// fails those for which applies holds.
	refuse := func(errno unix.Errno, after int, applies func(messages, chunk int) bool) udpio.Kernel {
		return func(messages, chunk int) (int, unix.Errno) {
			if applies(messages, chunk) {
				if after--; after < 0 {
					return 0, errno
				}
				return 1, 0 // no more, so that there is a next call
			}
			return messages, 0
		}
	}
	split := func(_, chunk int) bool { return chunk > size }
	several := func(messages, _ int) bool { return messages > 1 }
	tests := []struct {
		name   string
		kernel udpio.Kernel
		whole  int // from which size on the Writer remembers not to split
	}{
		{"all goes", func(messages, _ int) (int, unix.Errno) { return messages, 0 }, 0},
		{"one message at a time", func(int, int) (int, unix.Errno) { return 1, 0 }, 0},
		{"EINVAL", refuse(unix.EINVAL, 0, split), size},
		{"EMSGSIZE", refuse(unix.EMSGSIZE, 0, split), size},
		{"EINVAL after one", refuse(unix.EINVAL, 1, split), size},
		{"EINVAL after three", refuse(unix.EINVAL, 3, split), size},
		{"EIO", refuse(unix.EIO, 0, split), 1},
		{"EIO after two", refuse(unix.EIO, 2, split), 1},
		{"EOPNOTSUPP", refuse(unix.EOPNOTSUPP, 0, split), 1},
		{"ENOPROTOOPT", refuse(unix.ENOPROTOOPT, 0, split), 1},
		{"ENOSYS", refuse(unix.ENOSYS, 0, several), 0},
		{"neither", func(messages, chunk int) (int, unix.Errno) {
			switch {
			case messages > 1:
				return 0, unix.ENOSYS
			case chunk > size:
				return 0, unix.EIO
			}
			return messages, 0
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer udpio.WithKernel(tt.kernel)()
			server, client := loopback(t), loopback(t)
			r := udpio.NewReader(server, udpio.Config{Size: size, Batch: 16, Coalesce: true})
			defer r.Release()
			w := udpio.NewWriter(client)
			b := pattern(300*size + 1)
			for range 2 {
				write(t, w, b, size, addrPort(server))
				readWhole(t, r, b, size, addrPort(client))
				if w.Whole() != tt.whole {
					t.Errorf("not split from %d bytes on, want %d", w.Whole(), tt.whole)
				}
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	calls := 0
	defer udpio.WithKernel(func(messages, _ int) (int, unix.Errno) {
		if calls++; calls%2 == 1 {
			return 0, unix.EINTR
		}
		return min(messages, 2), 0
	})()
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(server, udpio.Config{Size: 100, Batch: 16})
	defer r.Release()
	b := pattern(300 * 100)
	write(t, udpio.NewWriter(client), b, 100, addrPort(server))
	readWhole(t, r, b, 100, addrPort(client))
}

// A socket without room is waited for, until the deadline.
func TestNoRoom(t *testing.T) {
	c := loopback(t)
	calls := 0
	defer udpio.WithKernel(func(int, int) (int, unix.Errno) {
		calls++
		return 0, unix.EAGAIN
	})()
	must(t, c.SetWriteDeadline(time.Now().Add(time.Millisecond)))
	err := udpio.NewWriter(c).Write(nil, 1, addrPort(c), netip.Addr{})
	e, ok := errors.AsType[*net.OpError](err)
	if !errors.Is(err, os.ErrDeadlineExceeded) || !ok || e.Op != "write" || calls == 0 {
		t.Errorf("after %d calls Write = %v, want a time-out", calls, err)
	}
}

// What a full queue drops is lost, and the rest goes on.
func TestNoBuffers(t *testing.T) {
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(server, udpio.Config{Size: 100, Batch: 16})
	defer r.Release()
	w := udpio.NewWriter(client)
	w.StopSplitting()
	b := pattern(10 * 100)
	calls := 0
	defer udpio.WithKernel(func(messages, _ int) (int, unix.Errno) {
		if calls++; calls == 2 {
			return 0, unix.ENOBUFS
		}
		return min(messages, 3), 0
	})()
	write(t, w, b, 100, addrPort(server))
	kept := append(b[:300:300], b[400:]...) // without the fourth
	readWhole(t, r, kept, 100, addrPort(client))
}

// An error that is not the kernel's refusal to split is one of the Write, and
// teaches nothing.
func TestErrorOfTheDatagram(t *testing.T) {
	server, client := loopback(t), loopback(t)
	w := udpio.NewWriter(client)
	for _, errno := range []unix.Errno{unix.EINVAL, unix.EMSGSIZE, unix.EIO, unix.EPERM} {
		restore := udpio.WithKernel(func(int, int) (int, unix.Errno) { return 0, errno })
		err := w.Write(pattern(1000), 100, addrPort(server), netip.Addr{})
		restore()
		if !errors.Is(err, errno) {
			t.Errorf("Write = %v, want %v", err, errno)
		}
		if w.Whole() != 0 {
			t.Errorf("after %v not split from %d bytes on", errno, w.Whole())
		}
	}
	if err := w.Write(pattern(65508), 65508, addrPort(server), netip.Addr{}); !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("Write of 65508 bytes = %v, want %v", err, unix.EMSGSIZE)
	}
}

// Without checksums the kernel does not split, and says EINVAL.
func TestNoChecksum(t *testing.T) {
	server, client := loopback(t), loopback(t)
	raw, err := client.SyscallConn()
	must(t, err)
	must(t, raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	}))
	must(t, err)
	r := udpio.NewReader(server, udpio.Config{Size: 1000, Batch: 16, Coalesce: true})
	defer r.Release()
	w := udpio.NewWriter(client)
	b := pattern(100*1000 + 1)
	write(t, w, b, 1000, addrPort(server))
	readWhole(t, r, b, 1000, addrPort(client))
	if w.Whole() != 1000 {
		t.Errorf("not split from %d bytes on, want 1000", w.Whole())
	}
	b = b[:100*500]
	write(t, w, b, 500, addrPort(server))
	readWhole(t, r, b, 500, addrPort(client))
	if w.Whole() != 500 {
		t.Errorf("not split from %d bytes on, want 500", w.Whole())
	}
}

// A kernel that does not know UDP_SEGMENT would send all as one datagram.
func TestOldKernel(t *testing.T) {
	defer udpio.KernelSegments(0)
	udpio.KernelSegments(-1)
	defer udpio.WithKernel(func(messages, chunk int) (int, unix.Errno) {
		if chunk > 100 {
			t.Errorf("a message of %d bytes", chunk)
		}
		return messages, 0
	})()
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(server, udpio.Config{Size: 100, Batch: 16, Coalesce: true})
	defer r.Release()
	b := pattern(300 * 100)
	write(t, udpio.NewWriter(client), b, 100, addrPort(server))
	readWhole(t, r, b, 100, addrPort(client))
}

func TestWritersOfOneSocket(t *testing.T) {
	const writers, runs, size = 8, 5, 100
	server, client := loopback(t), loopback(t)
	r := udpio.NewReader(server, udpio.Config{Size: size, Batch: 16, Coalesce: true})
	defer r.Release()
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			w := udpio.NewWriter(client)
			b := make([]byte, 10*size)
			for run := range runs {
				for j := range b {
					b[j] = byte(i)
				}
				for j := range 10 {
					b[j*size+1] = byte(run*10 + j)
				}
				if err := w.Write(b, size, addrPort(server), netip.Addr{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var next [writers]byte
	for range writers * runs * 10 {
		p := read(t, r, 1)[0]
		i := p.Data[0]
		if p.Data[1] != next[i] || len(p.Data) != size || p.Data[size-1] != i {
			t.Fatalf("writer %d: %.3x of %d bytes, want number %d", i, p.Data, len(p.Data), next[i])
		}
		next[i]++
	}
	wg.Wait()
}
