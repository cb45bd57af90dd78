//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/daemon"
	"github.com/netparts/netparts/proxy"
)

// wantNoFile checks that the socket file is gone.
func wantNoFile(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket file is left: %v", err)
	}
}

// Unix streams are passed on to TCP and the other way round, half-closed too.
func TestUnixSockets(t *testing.T) {
	addresses := map[string]string{"tcp": "127.0.0.1:0", "unix": "path"}
	if runtime.GOOS == "linux" {
		addresses["abstract"] = "@netparts tcpproxy " + t.Name()
	}
	for near, listen := range addresses {
		for far, to := range addresses {
			if near == "tcp" && far == "tcp" {
				continue // which all other tests do
			}
			t.Run(near+" to "+far, func(t *testing.T) {
				near, listen := socket(t, near, listen+" near")
				far, to := socket(t, far, to+" far")
				d := daemon.Start(t, run, near, "-v", "-tap", "-", "-listen", near+":"+listen, "-to", upstream(t, far, to, echo))
				conn := dial(t, near, d.Addr)
				write(t, conn, "ping\n")
				closeWrite(t, conn)
				wantRest(t, conn, "ping\n")
				d.End(t)
				if near == "unix" {
					wantNoFile(t, d.Addr)
				}
				log := d.Stderr.String()
				if strings.Count(log, "\n") != 3 || !strings.Contains(log, "to_upstream=5 to_client=5 ") ||
					!strings.Contains(log, "> ping\n") || !strings.Contains(log, "< ping\n") {
					t.Errorf("the log is\n%s", log)
				}
			})
		}
	}
}

// socket returns the network of a kind of socket, and an address.
func socket(t *testing.T, kind, address string) (string, string) {
	switch kind {
	case "tcp":
		return "tcp", "127.0.0.1:0"
	case "unix":
		return "unix", filepath.Join(t.TempDir(), "s")
	default:
		return "unix", address
	}
}

// The clients of a Unix socket must all send a header, if any must.
func TestAcceptProxyOverUnixSockets(t *testing.T) {
	to, received := heading(t)
	d := daemon.Start(t, run, "unix", "-listen", "unix:"+filepath.Join(t.TempDir(), "s"), "-to", to,
		"-accept-proxy", "unix", "-send-proxy", "v2")
	conn := dial(t, "unix", d.Addr)
	write(t, conn, "PROXY TCP4 203.0.113.5 198.51.100.7 56324 443\r\n")
	closeWrite(t, conn)
	wantRest(t, conn, "")
	if got := next(t, received); got.err != nil || got.Source.String() != "203.0.113.5:56324" {
		t.Errorf("the upstream received %+v", got)
	}
	conn = dial(t, "unix", d.Addr)
	write(t, conn, "no header")
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("received %d bytes without a header", n)
	}
	d.End(t)
	if log := d.Stderr.String(); !strings.Contains(log, proxy.ErrNoHeader.Error()) {
		t.Errorf("the log is\n%s", log)
	}
}

// Others cannot read what passes.
func TestModeOfTheTapFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tap")
	d := startDaemon(t, "-to", dead(t), "-tap", file)
	d.End(t)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the mode of the tap's file: %v, %v", info, err)
	}
}

// A FIFO whose reader has stopped reading does not keep the program from ending.
func TestTapIntoAFIFO(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(fifo, os.O_RDWR, 0) // so that it opens at once
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	d := startDaemon(t, "-to", upstream(t, "tcp", "127.0.0.1:0", echo), "-tap", fifo, "-grace", "0")
	conn := dial(t, "tcp", d.Addr)
	sent := make(chan error, 1)
	go func() {
		_, err := io.WriteString(conn, strings.Repeat("x", 1<<20))
		sent <- err
	}()
	if _, err := io.CopyN(io.Discard, conn, 1<<20); err != nil {
		t.Error(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	d.End(t)
	if log := d.Stderr.String(); !strings.Contains(log, "the tap is stuck") {
		t.Errorf("the log is\n%s", log)
	}
}

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv("TCPPROXY_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// process runs the program as one of its own.
func process(t *testing.T, args ...string) (cmd *exec.Cmd, path string, stderr *bytes.Buffer) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "s")
	cmd = exec.Command(os.Args[0], append(args, "-listen", "unix:"+path)...)
	cmd.Env = append(os.Environ(), "TCPPROXY_TEST_MAIN=1")
	stderr = new(bytes.Buffer)
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // fails if it has ended
	daemon.FirstLine(t, stdout, "unix")
	return cmd, path, stderr
}

// removed waits until the socket file is gone, with which the end begins.
func removed(t *testing.T, path string) {
	t.Helper()
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for begin := time.Now(); time.Since(begin) < limit; <-again.C {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return
		}
	}
	t.Fatal("the socket file stays")
}

// Both signals let what is open end, and remove the socket file at once.
func TestSignals(t *testing.T) {
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd, path, stderr := process(t, "-to", upstream(t, "tcp", "127.0.0.1:0", echo), "-grace", "1h")
		conn := dial(t, "unix", path)
		wantEcho(t, conn, "ping")
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		removed(t, path)
		wantEcho(t, conn, "pong")
		closeWrite(t, conn)
		wantRest(t, conn, "")
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("%v: %v, stderr %q", sig, err, stderr)
		}
	}
}

// The second signal does not wait for what is open.
func TestSecondSignal(t *testing.T) {
	cmd, path, stderr := process(t, "-to", upstream(t, "tcp", "127.0.0.1:0", echo), "-grace", "1h")
	conn := dial(t, "unix", path)
	wantEcho(t, conn, "ping")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	removed(t, path)
	wantEcho(t, conn, "pong") // the first one has not ended it
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// One that comes within a blink of the first belongs to it, so there may be more.
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	timeout := time.After(limit)
	for {
		select {
		case err := <-ended:
			status, ok := errors.AsType[*exec.ExitError](err)
			if !ok || !status.Sys().(syscall.WaitStatus).Signaled() {
				t.Errorf("the process ended with %v, stderr %q", err, stderr)
			}
			wantClosed(t, conn)
			return
		case <-again.C:
			_ = cmd.Process.Signal(syscall.SIGTERM) // fails if it has ended
		case <-timeout:
			t.Fatal("the second signal does not end it")
		}
	}
}

// wantClosed reads conn, whose peer has gone.
func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("received %d bytes, %v, want the end", n, err)
	}
}
