package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/proxy"
)

// tapQueue is how many pieces of traffic may wait to be written.
const tapQueue = 1024

// A tap writes down what passes.
type tap struct {
	monitor proxy.Monitor
	out     *sink
	log     *slog.Logger
	clients atomic.Int64 // so far
}

// openTap opens a file for a tap, or takes stderr.
func openTap(name string, stderr io.Writer, log *slog.Logger) (*tap, error) {
	out := &sink{Writer: stderr, log: log}
	if name != "-" {
		// What passes may be secret.
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		out.Writer, out.file = file, file
	}
	return newTap(out), nil
}

func newTap(out *sink) *tap {
	return &tap{monitor: proxy.Monitor{Out: out, Queue: tapQueue}, out: out, log: out.log}
}

// of returns the tap of a client. It has a number, because clients of Unix sockets have
// no names, and PROXY headers may name two alike.
func (t *tap) of(client net.Conn) func(proxy.Direction, []byte) {
	return t.monitor.Tap(fmt.Sprintf("%d %v", t.clients.Add(1), client.RemoteAddr()))
}

// close writes what waits, for so long at most, and tells what is missing.
func (t *tap) close(limit time.Duration) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		_ = t.monitor.Close() // which has no error
	}()
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-written:
	case <-timeout.C:
		t.log.Warn("the tap is stuck, what waits for it is lost")
	}
	if t.out.file != nil {
		if err := t.out.file.Close(); err != nil {
			t.log.Warn("the tap fails", "error", err)
		}
	}
	if dropped, failed := t.monitor.Dropped(), t.monitor.Failed(); dropped+failed > 0 {
		t.log.Warn("the tap is incomplete", "dropped", dropped, "failed", failed)
	}
}

// A sink is where a tap writes. It tells the first error at once, since whoever wants
// the tap should not have to wait for the end to learn of it.
type sink struct {
	io.Writer
	file io.Closer // nil if there is nothing to close
	log  *slog.Logger
	told bool
}

// Write implements io.Writer.
func (s *sink) Write(b []byte) (int, error) {
	n, err := s.Writer.Write(b)
	if err != nil && !s.told {
		s.told = true
		s.log.Warn("the tap fails", "error", err)
	}
	return n, err
}
