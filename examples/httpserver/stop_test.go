package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/daemon"
)

// stuck starts a download that does not end, as its client reads no more than the header.
func stuck(t *testing.T, addr string) {
	t.Helper()
	resp, err := newClient(t, false, nil).Get("http://" + addr + "/static/large")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
}

// newLarge returns a folder with a file that the kernel does not hold for a client that does
// not read.
func newLarge(t *testing.T) (dir string) {
	t.Helper()
	dir = newFolder(t, map[string]string{"large": ""})
	if err := os.Truncate(filepath.Join(dir, "large"), 32<<20); err != nil {
		t.Fatal(err)
	}
	return dir
}

// refused waits until nobody listens any more.
func refused(t *testing.T, addr string) {
	t.Helper()
	until(t, "the end of the listener", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
}

// A request that does not end in time is a failure, and does not keep the program.
func TestGraceIsOver(t *testing.T) {
	c := config{listen: "127.0.0.1:0", files: newLarge(t), grace: 10 * time.Millisecond}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	var stderr bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- c.serve(ctx, in, &stderr) }()
	stuck(t, daemon.FirstLine(t, out, "http"))
	stop()
	if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want %v", err, context.DeadlineExceeded)
	}
}
