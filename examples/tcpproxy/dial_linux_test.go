package main

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// silent returns an upstream that does not answer: its backlog is full.
func silent(t *testing.T) string {
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
	if err != nil || listenErr != nil {
		t.Fatal(err, listenErr)
	}
	for range 10 {
		conn, err := net.DialTimeout("tcp", l.Addr().String(), 100*time.Millisecond)
		if err != nil {
			return "tcp:" + l.Addr().String()
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the backlog does not fill")
	return ""
}

// The time of -dial-timeout is shared: an upstream that does not answer leaves time for
// the next one, and if that does not either, the client is reset.
func TestDialTimeout(t *testing.T) {
	quiet := silent(t)
	d := startDaemon(t, "-dial-timeout", "2s", "-to", quiet, "-to", named(t, "b"))
	conn := dial(t, "tcp", d.Addr)
	if got := greeting(t, conn); got != "b" {
		t.Errorf("the upstream is %q, want %q", got, "b")
	}
	conn.Close()
	d.End(t)

	d = startDaemon(t, "-dial-timeout", "50ms", "-to", quiet)
	begin := time.Now()
	wantRefused(t, d.Addr)
	if took := time.Since(begin); took < 40*time.Millisecond || took > 5*time.Second {
		t.Errorf("the client was reset after %v", took)
	}
	d.End(t)
	if log := d.Stderr.String(); !strings.Contains(log, "i/o timeout") {
		t.Errorf("the log is\n%s", log)
	}
}

// With -policy first an upstream that does not answer does not even delay the others.
func TestFirstDialsAllAtOnce(t *testing.T) {
	d := startDaemon(t, "-policy", "first", "-dial-timeout", "1h", "-to", silent(t), "-to", named(t, "b"))
	conn := dial(t, "tcp", d.Addr)
	if got := greeting(t, conn); got != "b" {
		t.Errorf("the upstream is %q, want %q", got, "b")
	}
	conn.Close()
	d.End(t)
}
