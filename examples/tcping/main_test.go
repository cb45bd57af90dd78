package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// A result is what a run left.
type result struct {
	status         int
	stdout, stderr string
}

func runWith(ctx context.Context, args ...string) result {
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, &stdout, &stderr)
	return result{status, stdout.String(), stderr.String()}
}

// listen announces on address and closes what it accepts, until the test ends.
func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l
}

// closedPort returns an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l := listen(t, "127.0.0.1:0")
	l.Close()
	return l.Addr().String()
}

const times = `round trip min/avg/max/mdev = \d+\.\d{3}/\d+\.\d{3}/\d+\.\d{3}/\d+\.\d{3} ms, jitter \d+\.\d{3} ms` + "\n"

// mustMatch fails unless the pattern is the whole of s. The word ADDR in it is the
// address.
func mustMatch(t *testing.T, s, addr, pattern string) {
	t.Helper()
	pattern = strings.ReplaceAll(pattern, "ADDR", regexp.QuoteMeta(addr))
	if !regexp.MustCompile(`^` + pattern + `$`).MatchString(s) {
		t.Errorf("printed\n%s\nwant a match of\n%s", s, pattern)
	}
}

func TestAnswered(t *testing.T) {
	addr := listen(t, "127.0.0.1:0").Addr().String()
	got := runWith(t.Context(), "-i", "10ms", addr)
	mustMatch(t, got.stdout, addr, `PING ADDR
1 ADDR \d\S*s
2 ADDR \d\S*s
3 ADDR \d\S*s

--- ADDR ---
3 sent, 3 answered, 0 refused, 0\.0 % lost
`+times)
	if got.status != 0 || got.stderr != "" {
		t.Errorf("status %d, stderr %q", got.status, got.stderr)
	}
}

func TestRefused(t *testing.T) {
	addr := closedPort(t)
	got := runWith(t.Context(), "-c", "2", "-i", "10ms", addr)
	mustMatch(t, got.stdout, addr, `PING ADDR
1 ADDR refused
2 ADDR refused

--- ADDR ---
2 sent, 0 answered, 2 refused, 100\.0 % lost
`)
	if got.status != 1 || got.stderr != "" {
		t.Errorf("status %d, stderr %q", got.status, got.stderr)
	}
}

// hooked calls hook with each text that is written.
type hooked struct {
	bytes.Buffer
	hook func(text string)
}

func (h *hooked) Write(p []byte) (int, error) {
	h.hook(string(p))
	return h.Buffer.Write(p)
}

// The use of it: to watch a service restart, until the user has seen enough.
func TestRestart(t *testing.T) {
	addr := closedPort(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stdout := hooked{hook: func(text string) {
		switch {
		case strings.HasPrefix(text, "2 "):
			listen(t, addr)
		case strings.HasPrefix(text, "3 "):
			cancel()
		}
	}}
	var stderr bytes.Buffer
	status := run(ctx, []string{"-c", "0", "-i", "10ms", addr}, &stdout, &stderr)
	mustMatch(t, stdout.String(), addr, `PING ADDR
CTRL\+C to stop\.
1 ADDR refused
2 ADDR refused
3 ADDR \d\S*s

--- ADDR ---
3 sent, 1 answered, 2 refused, 66\.7 % lost
`+times)
	if status != 0 || stderr.Len() > 0 {
		t.Errorf("status %d, stderr %q", status, &stderr)
	}
}

func TestCancelledBeforeItBegins(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := runWith(ctx, "127.0.0.1:1")
	want := result{1, "PING 127.0.0.1:1\n\n--- 127.0.0.1:1 ---\n0 sent, 0 answered, 0 refused, 0.0 % lost\n", ""}
	if got != want {
		t.Errorf("run = %+v, want %+v", got, want)
	}
}

func TestMisuse(t *testing.T) {
	tests := []struct {
		args []string
		want string // in the first line
	}{
		{nil, "HOST:PORT is required"},
		{[]string{"a:1", "b:1"}, "unexpected argument b:1"},
		{[]string{"a:1", "-c", "1"}, "flags come before it"},
		{[]string{""}, "missing port"},
		{[]string{"host"}, "missing port"},
		{[]string{"::1:80"}, "too many colons"},
		{[]string{"host:"}, "does not end with"},
		{[]string{"host:0"}, "does not end with"},
		{[]string{"host:65536"}, "does not end with"},
		{[]string{"host:-1"}, "does not end with"},
		{[]string{"host:no-such-port"}, "does not end with"},
		{[]string{"-i", "0", "host:1"}, "-i must be at least 10ms"},
		{[]string{"-i", "9999us", "host:1"}, "-i must be at least 10ms"},
		{[]string{"-i", "-1s", "host:1"}, "-i must be at least 10ms"},
		{[]string{"-W", "0", "host:1"}, "-W must be positive"},
		{[]string{"-W", "-1s", "host:1"}, "-W must be positive"},
		{[]string{"-c", "many", "host:1"}, "invalid value"},
		{[]string{"-x", "host:1"}, "not defined: -x"},
		{[]string{"-\x1b[2J", "host:1"}, `\x1b[2J`},
		{[]string{"host\x1b[2J"}, `\x1b[2J`},
		{[]string{"host:\x1b[2J"}, `\x1b[2J`},
		{[]string{"a:1", "\x1b[2J\n"}, `\x1b[2J\n`},
	}
	for _, tt := range tests {
		got := runWith(t.Context(), tt.args...)
		first, rest, _ := strings.Cut(got.stderr, "\n")
		if got.status != 2 || got.stdout != "" || !strings.HasPrefix(first, "tcping: ") || !strings.Contains(first, tt.want) {
			t.Errorf("run %q = %+v, want %q", tt.args, got, tt.want)
		}
		if !strings.HasPrefix(rest, "usage: tcping ") || !strings.Contains(rest, "(default 5s)") || strings.Contains(got.stderr, "\x1b") {
			t.Errorf("run %q: stderr %q", tt.args, got.stderr)
		}
	}
	got := runWith(t.Context(), "-h")
	if got.status != 0 || got.stdout != "" || !strings.HasPrefix(got.stderr, "usage: tcping ") {
		t.Errorf("run -h = %+v", got)
	}
}

func TestLine(t *testing.T) {
	peer := netip.MustParseAddrPort("192.0.2.1:80")
	tests := []struct {
		r    heartbeat.Result
		want string
	}{
		{heartbeat.Result{Seq: 1, Peer: peer, Class: heartbeat.Answered, RTT: 1234567}, "1 192.0.2.1:80 1.235ms"},
		{heartbeat.Result{Seq: 2, Peer: peer, Class: heartbeat.Refused, Err: io.EOF}, "2 192.0.2.1:80 refused"},
		{heartbeat.Result{Seq: 3, Class: heartbeat.TimedOut, Err: io.EOF}, "3 timed out"},
		{heartbeat.Result{Seq: 4, Peer: peer, Class: heartbeat.Unreachable, Err: io.EOF}, "4 192.0.2.1:80 unreachable"},
		{heartbeat.Result{Seq: 5, Class: heartbeat.NoName, Err: errors.New("lookup x\x1b: no such host")}, `5 lookup failed: "lookup x\x1b: no such host"`},
		{heartbeat.Result{Seq: 6, Class: heartbeat.Failed, Err: io.EOF}, "6 failed: EOF"},
		{
			heartbeat.Result{Seq: 7, Peer: netip.MustParseAddrPort("[fe80::1%\x1b]:80"), Class: heartbeat.TimedOut, Err: io.EOF},
			`7 "[fe80::1%\x1b]:80" timed out`,
		},
	}
	for _, tt := range tests {
		if got := line(tt.r); got != tt.want {
			t.Errorf("line(%+v) = %q, want %q", tt.r, got, tt.want)
		}
	}
}

// A full takes n writes.
type full struct{ n int }

func (f *full) Write(p []byte) (int, error) {
	if f.n == 0 {
		return 0, syscall.ENOSPC
	}
	f.n--
	return len(p), nil
}

// What is not written is a failure, whatever the service said.
func TestOutputThatFails(t *testing.T) {
	addr := listen(t, "127.0.0.1:0").Addr().String()
	for n := range 4 {
		var stderr bytes.Buffer
		status := run(t.Context(), []string{"-c", "2", "-i", "10ms", addr}, &full{n}, &stderr)
		if want := "tcping: " + syscall.ENOSPC.Error() + "\n"; status != 1 || stderr.String() != want {
			t.Errorf("after %d writes: status %d, stderr %q, want 1, %q", n, status, &stderr, want)
		}
	}
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"-c", "2", "-i", "10ms", addr}, &full{4}, &stderr); status != 0 {
		t.Errorf("status %d, stderr %q", status, &stderr)
	}
}

// A signal to the real program gets a summary.
func TestInterrupt(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no signals to send")
	}
	program := filepath.Join(t.TempDir(), "tcping")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	addr := listen(t, "127.0.0.1:0").Addr().String()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, "-c", "-1", "-i", "1h", addr)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var out []byte
		for !bytes.Contains(out, []byte("\n1 ")) || out[len(out)-1] != '\n' {
			b := make([]byte, 1000)
			n, err := pipe.Read(b)
			if err != nil {
				t.Fatalf("%v after %q", err, out)
			}
			out = append(out, b[:n]...)
		}
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(pipe)
		if err = errors.Join(err, cmd.Wait()); err != nil || stderr.Len() > 0 {
			t.Errorf("after %v: %v, stderr %q", signal, err, &stderr)
		}
		mustMatch(t, string(rest), addr, `
--- ADDR ---
1 sent, 1 answered, 0 refused, 0\.0 % lost
`+times)
	}
}
