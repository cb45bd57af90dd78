package proxy_test

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/leak"
	"github.com/netparts/netparts/proxy"
)

// descriptors returns how many descriptors the process has, and how many of them are
// of pipes.
func descriptors(t testing.TB) (all, pipes int) {
	t.Helper()
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		target, err := os.Readlink(dir + "/" + e.Name())
		if err != nil {
			continue // that of ReadDir
		}
		all++
		if strings.HasPrefix(target, "pipe:") {
			pipes++
		}
	}
	return all, pipes
}

// ownPipes are those that the process got.
var ownPipes = func() int {
	_, pipes := descriptors(new(testing.T))
	return pipes
}()

// noPipes waits until pipes that were of use are closed, which takes a second or two, and
// for those of io.Copy, which upstreams of tests use, a collection.
func noPipes(t *testing.T) {
	t.Helper()
	until(t, func() bool {
		runtime.GC()
		_, pipes := descriptors(t)
		return pipes == ownPipes
	}, "without pipes")
}

// A pair that is idle after traffic holds two descriptors, and no pipe and no buffer.
func TestIdlePairs(t *testing.T) {
	const pairs = 100
	noPipes(t)
	for _, network := range networks {
		t.Run(network, func(t *testing.T) {
			b := random(256 << 10)
			var rigs []*rig
			heap, goroutines := leak.InUse()
			for range pairs {
				rigs = append(rigs, relay(t, network, network, nil))
			}
			for _, r := range rigs {
				go send(t, r.client, b)
				receive(t, r.upstream, b)
				go send(t, r.upstream, b)
				receive(t, r.client, b)
			}
			noPipes(t)
			after, more := leak.InUse()
			// A buffer would be 16 KiB, and the four sockets are counted too.
			if each := (after - heap) / pairs; each > 10<<10 {
				t.Errorf("%d bytes of the heap for each pair that has had traffic", each)
			}
			if more > goroutines+2*pairs {
				t.Errorf("%d goroutines for %d pairs", more-goroutines, pairs)
			}
		})
	}
}

// exhaust takes all descriptors but some, and returns what gives them back. Their
// limit is lowered for it until the end of the test.
func exhaust(t *testing.T, left int) (release func()) {
	t.Helper()
	all, _ := descriptors(t)
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	low := limit
	low.Cur = uint64(all + 100)
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	var taken []int
	for {
		fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		must(t, err)
		taken = append(taken, fd)
	}
	closeThem := func(fds []int) {
		for _, fd := range fds {
			must(t, syscall.Close(fd))
		}
	}
	closeThem(taken[:left])
	taken = taken[left:]
	release = func() {
		closeThem(taken)
		taken = nil
	}
	t.Cleanup(func() {
		release()
		must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit))
	})
	return release
}

// Without a descriptor for a pipe bytes are copied.
func TestWithoutPipes(t *testing.T) {
	noPipes(t)
	r := relay(t, "tcp", "tcp", nil)
	release := exhaust(t, 1)
	bothWays(t, r, 8<<20)
	release() // which looking needs
	if _, pipes := descriptors(t); pipes != ownPipes {
		t.Errorf("%d pipes, want that there is no room for one", pipes)
	}
}

// A server that has no descriptor for a client or for its upstream waits until there is
// one, and says so once.
func TestOutOfDescriptors(t *testing.T) {
	for _, tt := range []struct {
		name string
		left int
	}{
		{"for the client", 0},
		{"for the upstream", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			upstream := echoServer(t, "tcp")
			l := listen(t, "tcp")
			client, err := net.Dial("tcp", l.Addr().String()) // into the backlog
			must(t, err)
			defer client.Close()
			must(t, client.SetDeadline(time.Now().Add(patience)))
			var log lockedBuffer
			server := &proxy.Server{Dial: proxy.To("tcp", upstream.Addr), Logger: logger(&log)}
			release := exhaust(t, tt.left)
			run(t, server, func() error { return server.Serve(l) })
			must(t, client.SetReadDeadline(time.Now().Add(300*time.Millisecond)))
			send(t, client, "ping")
			if n, err := client.Read(make([]byte, 4)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read = %d, %v, without a descriptor", n, err)
			}
			must(t, client.SetReadDeadline(time.Now().Add(patience)))
			release()
			receive(t, client, []byte("ping"))
			closeWrite(t, client)
			receiveEnd(t, client, nil, nil)
			shutDown(t, server)
			if n := strings.Count(log.String(), "too many open files"); n != 1 {
				t.Errorf("%d records of it, want one:\n%s", n, log.String())
			}
		})
	}
}

// Connections that come and go leave nothing behind.
func TestChurn(t *testing.T) {
	upstream := echoServer(t, "unix")
	noPipes(t)
	server := &proxy.Server{Dial: proxy.To("unix", upstream.Addr)}
	l := listen(t, "tcp")
	run(t, server, func() error { return server.Serve(l) })
	all, _ := descriptors(t)
	_, goroutines := leak.InUse()
	const conns = 1000
	churn(t, l.Addr(), conns, 50, func(i int, c *net.TCPConn) {
		switch i % 4 {
		case 0:
			ping(t, c)
			closeWrite(t, c)
			receiveEnd(t, c, nil, nil)
		case 1:
			ping(t, c)
			reset(t, c)
		case 2:
			b := random(200_000)
			go func() { _, _ = c.Write(b) }()
			receive(t, c, b[:1000]) // and then a reset, since there is more
		}
		c.Close()
	})
	until(t, func() bool { return server.Stats().Active == 0 && server.Stats().Total == conns }, "ended")
	noPipes(t)
	until(t, func() bool { now, _ := descriptors(t); return now <= all }, "without descriptors of before")
	until(t, func() bool { _, now := leak.InUse(); return now <= goroutines }, "without goroutines of before")
}
