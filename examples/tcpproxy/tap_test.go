package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/daemon"
	"github.com/netparts/netparts/proxy"
)

// The file gets each line with its client and its direction, after what was in it.
func TestTap(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tap")
	if err := os.WriteFile(file, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := upstream(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		io.Copy(io.Discard, conn)
		io.WriteString(conn, "one\ntwo\x00")
	})
	d := startDaemon(t, "-to", to, "-tap", file)
	var want strings.Builder
	want.WriteString("before\n")
	for n := range 2 {
		conn := dial(t, "tcp", d.Addr)
		write(t, conn, "ask")
		closeWrite(t, conn)
		wantRest(t, conn, "one\ntwo\x00")
		client := fmt.Sprintf("%d %v", n+1, conn.LocalAddr())
		want.WriteString(client + "> ask\n" + client + "< one\n" + client + "< two\\x00\n")
	}
	d.End(t)
	if got, err := os.ReadFile(file); err != nil || string(got) != want.String() {
		t.Errorf("the tap is %q, %v, want %q", got, err, want.String())
	}
	if log := d.Stderr.String(); log != "" {
		t.Errorf("the log is\n%s", log)
	}
}

// A tap that nobody reads does not hold up the traffic, and what it lost is told.
func TestSlowTap(t *testing.T) {
	stderr := &stuckOutput{free: make(chan struct{})}
	r, w := io.Pipe()
	status := make(chan int)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() {
		status <- run(ctx, []string{
			"-listen", "tcp:127.0.0.1:0", "-tap", "-", "-grace", "1h",
			"-to", upstream(t, "tcp", "127.0.0.1:0", echo),
		}, w, stderr)
	}()
	conn := dial(t, "tcp", daemon.FirstLine(t, r, "tcp"))
	const pings = tapQueue // and as many answers
	for range pings {
		wantEcho(t, conn, "ping\n")
	}
	close(stderr.free)
	closeWrite(t, conn)
	wantRest(t, conn, "")
	stop()
	if s := <-status; s != 0 {
		t.Errorf("exit status %d", s)
	}
	// What is being written when the others wait is one more.
	log := stderr.text.String()
	if lines := strings.Count(log, " ping\n") - strings.Count(log, "< ping\n") - strings.Count(log, "> ping\n"); lines != 0 {
		t.Errorf("%d lines without a direction", lines)
	}
	kept := strings.Count(log, "ping\n")
	if kept < tapQueue || kept > tapQueue+1 {
		t.Errorf("%d lines, want %d or one more", kept, tapQueue)
	}
	if want := fmt.Sprintf(`msg="the tap is incomplete" dropped=%d failed=0`, 2*pings-kept); !strings.Contains(log, want) {
		t.Errorf("the log lacks %s, its end is %q", want, log[max(0, len(log)-200):])
	}
}

// A stuckOutput takes nothing until it is free.
type stuckOutput struct {
	free chan struct{}
	text daemon.Output
}

func (o *stuckOutput) Write(b []byte) (int, error) {
	<-o.free
	return o.text.Write(b)
}

// A tap that cannot be written is told once when that is found, and counted at the end.
func TestTapThatFails(t *testing.T) {
	var log bytes.Buffer
	tap := newTap(&sink{Writer: brokenOutput{}, log: slog.New(slog.NewTextHandler(&log, nil))})
	see := tap.of(unnamed{})
	for range 3 {
		see(proxy.ToUpstream, []byte("x"))
	}
	tap.close(time.Minute)
	if s := log.String(); strings.Count(s, "\n") != 2 || !strings.Contains(s, `msg="the tap fails" error="broken pipe"`) ||
		!strings.Contains(s, `msg="the tap is incomplete" dropped=0 failed=3`) {
		t.Errorf("the log is\n%s", s)
	}
}

// A tap that takes nothing more holds up the end of the program for some time only.
func TestTapThatIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe() // which nobody reads
		defer r.Close()
		var log daemon.Output
		tap := newTap(&sink{Writer: w, file: w, log: slog.New(slog.NewTextHandler(&log, nil))})
		see := tap.of(unnamed{})
		see(proxy.ToClient, []byte("x"))
		see(proxy.ToClient, []byte("y"))
		begin := time.Now()
		tap.close(time.Minute)
		if d := time.Since(begin); d != time.Minute {
			t.Errorf("close took %v", d)
		}
		if s := log.String(); !strings.Contains(s, "the tap is stuck") {
			t.Errorf("the log is\n%s", s)
		}
	})
}

// An unnamed connection has no address.
type unnamed struct{ net.Conn }

func (unnamed) RemoteAddr() net.Addr { return nil }

func TestTapFileThatFailsToClose(t *testing.T) {
	var log bytes.Buffer
	tap := newTap(&sink{Writer: io.Discard, file: brokenCloser{}, log: slog.New(slog.NewTextHandler(&log, nil))})
	tap.close(time.Minute)
	if s := log.String(); strings.Count(s, "\n") != 1 || !strings.Contains(s, `error="quota exceeded"`) {
		t.Errorf("the log is\n%s", s)
	}
}

type brokenCloser struct{}

func (brokenCloser) Close() error { return errors.New("quota exceeded") }
