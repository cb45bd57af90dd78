//go:build !portable

package proxy_test

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/proxy"
)

// inPipes returns how many bytes are in the pipes of the process, other than its
// standard input and output.
func inPipes(t *testing.T) int {
	t.Helper()
	const folder = "/proc/self/fd/"
	fds, err := os.ReadDir(folder)
	must(t, err)
	total := 0
	for _, entry := range fds {
		fd, err := strconv.Atoi(entry.Name())
		must(t, err)
		// One that has been closed meanwhile has no name any more.
		name, err := os.Readlink(folder + entry.Name())
		if err != nil || fd <= 2 || !strings.HasPrefix(name, "pipe:") {
			continue
		}
		if n, err := unix.IoctlGetInt(fd, unix.TIOCINQ); err == nil {
			total += n
		}
	}
	return total
}

// wantSpliced sends to a peer that does not read, and looks for what is on its way in
// the pipes of the process.
func wantSpliced(t *testing.T, r *rig, want bool) {
	t.Helper()
	for begin := time.Now(); ; {
		stall(t, r.client, much)
		// What waits in the kernel now is more than a buffer holds.
		receive(t, r.upstream, make([]byte, 100_000))
		switch n := soonInPipes(t); {
		case n > 0 && !want:
			t.Fatalf("%d bytes are in pipes", n)
		case n > 0 || !want:
			return
		case time.Since(begin) > patience:
			t.Fatal("no byte is in a pipe")
		}
		// The flow met the full buffer while it still copied, and waits: a Unix stream
		// takes more only when three quarters of its buffer are free.
	}
}

// soonInPipes returns what is in the pipes within 100 ms.
func soonInPipes(t *testing.T) int {
	t.Helper()
	for begin := time.Now(); ; runtime.Gosched() {
		if n := inPipes(t); n > 0 || time.Since(begin) > 100*time.Millisecond {
			return n
		}
	}
}

// much is more than all buffers between two sockets hold.
var much = make([]byte, 64<<20)

// Bytes are spliced between connections of the system, also when there was a head,
// and by no means past a wrapper or a tap.
func TestWhatIsSpliced(t *testing.T) {
	tap := func(proxy.Direction, []byte) {}
	for _, tt := range []struct {
		client, upstream string
		tap              func(proxy.Direction, []byte)
		want             bool
	}{
		{"tcp", "tcp", nil, true},
		{"tcp", "unix", nil, true},
		{"unix", "tcp", nil, true},
		{"unix", "unix", nil, true},
		{"peeked", "peeked", nil, true},
		{"tcp", "tcp", tap, false},
		{"one-way", "tcp", nil, false},
		{"tcp", "one-way", nil, false},
		{"tls", "tcp", nil, false},
	} {
		t.Run(fmt.Sprintf("%s to %s, tap %t", tt.client, tt.upstream, tt.tap != nil), func(t *testing.T) {
			r := relay(t, tt.client, tt.upstream, &proxy.Options{Tap: tt.tap})
			wantSpliced(t, r, tt.want)
		})
	}
}

// What follows a header is spliced: while an upstream does not read, bytes are in a
// pipe. That holds behind a Prepend of the user's too, and not behind a connection that
// may read otherwise.
func TestRelaySplicesBehindHeader(t *testing.T) {
	for _, tt := range []struct {
		name    string
		wrap    func(net.Conn) net.Conn
		spliced bool
	}{
		{"header", func(c net.Conn) net.Conn { return c }, true},
		{"header and head", func(c net.Conn) net.Conn { return proxy.Prepend(c, make([]byte, 4)) }, true},
		{"wrapped", func(c net.Conn) net.Conn { return struct{ net.Conn }{c} }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &proxy.HeaderListener{Listener: listen(t, "tcp"), Policy: policyOf(proxy.HeaderRequired)}
			defer l.Close()
			client := dial(t, l.Addr())
			send(t, client, headerLine)
			accepted, err := l.Accept()
			must(t, err)
			upstream, dialed := join(t, "tcp")
			r := relayBetween(t, client, tt.wrap(accepted), dialed, upstream, nil)
			wantSpliced(t, r, tt.spliced)
		})
	}
}
