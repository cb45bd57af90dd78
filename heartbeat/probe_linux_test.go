package heartbeat_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

func TestKernelMeasures(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	p := heartbeat.Probe{Address: l.Addr().String(), Count: 10, Interval: 1}
	for r := range p.All(t.Context()) {
		if r.Class != heartbeat.Answered || !r.Kernel || r.RTT <= 0 || r.RTT > time.Since(r.Begin) {
			t.Errorf("got %+v", r)
		}
	}
	p.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		return struct{ net.Conn }{conn}, err
	}
	for r := range p.All(t.Context()) {
		if r.Class != heartbeat.Answered || r.Kernel || r.RTT <= 0 {
			t.Errorf("through a connection of another type: got %+v", r)
		}
	}
	p.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, address)
		return conn, errors.Join(err, conn.Close())
	}
	for r := range p.All(t.Context()) {
		if r.Kernel {
			t.Errorf("over a connection that is closed: got %+v", r)
		}
	}
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// timeWaits counts the sockets that wait on either side of a port.
func timeWaits(t *testing.T, port int) (count int) {
	t.Helper()
	end := fmt.Sprintf(":%04X", port)
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // without IPv6
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line) // number, local address, remote address, state
			if len(f) > 3 && f[3] == "06" && (strings.HasSuffix(f[1], end) || strings.HasSuffix(f[2], end)) {
				count++
			}
		}
	}
	return count
}

func TestProbesLeaveNothingBehind(t *testing.T) {
	l := listen(t, "127.0.0.1:0")
	port := l.Addr().(*net.TCPAddr).Port
	p := heartbeat.Probe{Address: l.Addr().String(), Count: 200, Interval: 1}
	for range p.All(t.Context()) {
		break // the poller has its descriptors now
	}
	before := descriptors(t)
	for r := range p.All(t.Context()) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	// One that is accepted may not be closed yet.
	if after := descriptors(t); after > before+1 {
		t.Errorf("%d descriptors after 200 attempts, %d before", after, before)
	}
	if n := timeWaits(t, port); n > 10 {
		t.Errorf("%d sockets of 200 are in TIME-WAIT", n)
	}
}

// fullService returns the address of a service that accepts nothing and has no
// room for another connection, so that a SYN gets no answer.
func fullService(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var listenErr error
	err = raw.Control(func(fd uintptr) { listenErr = syscall.Listen(int(fd), 0) })
	if err = errors.Join(err, listenErr); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		conn, err := net.DialTimeout("tcp", l.Addr().String(), 50*time.Millisecond)
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return l.Addr().String()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the backlog has no end")
	return ""
}

func TestProbeOfAFullService(t *testing.T) {
	p := heartbeat.Probe{Address: fullService(t), Count: 2, Interval: 1, Timeout: 20 * time.Millisecond}
	count := 0
	for r := range p.All(t.Context()) {
		count++
		if r.Class != heartbeat.TimedOut || r.Peer.String() != p.Address {
			t.Errorf("got %+v", r)
		}
	}
	if count != 2 {
		t.Errorf("%d results, want 2", count)
	}

	// The socket may notice the deadline of the context before the context.
	p.Timeout, p.Count = time.Minute, 0
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		for r := range p.All(ctx) {
			t.Errorf("the end of the context is the result %+v", r)
		}
		cancel()
	}
}
