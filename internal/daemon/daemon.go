// Package daemon runs a program that serves in the process of its test.
package daemon

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Run is a program without its main: it returns the exit status.
type Run func(ctx context.Context, args []string, stdout, stderr io.Writer) int

// A Daemon is a program that runs.
type Daemon struct {
	// Addr is what the first line says after "listening on " and the network.
	Addr string

	// Stderr is what the program has written there.
	Stderr *Output

	stop   context.CancelFunc
	status chan int
}

// Start runs a program and reads its first line, which must be "listening on
// NETWORK ADDR", or "listening on NETWORK://ADDR" for http and https.
func Start(t *testing.T, run Run, network string, args ...string) *Daemon {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	d := &Daemon{Stderr: new(Output), stop: stop, status: make(chan int, 1)}
	go func() {
		d.status <- run(ctx, args, w, d.Stderr)
		w.Close()
	}()
	d.Addr = FirstLine(t, r, network)
	return d
}

// FirstLine returns the address in the first line of a program's output.
func FirstLine(t *testing.T, stdout io.Reader, network string) string {
	t.Helper()
	separator := " "
	if network == "http" || network == "https" {
		separator = "://" // so that it is a URL
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "listening on "+network+separator)
	if err != nil || !ok {
		t.Fatalf("first line %q, %v", line, err)
	}
	return addr
}

// End stops the program as a signal does, and checks that it ends well.
func (d *Daemon) End(t *testing.T) {
	t.Helper()
	d.stop()
	select {
	case status := <-d.status:
		if status != 0 {
			t.Errorf("exit status %d, stderr %q", status, d.Stderr)
		}
	case <-time.After(20 * time.Second):
		t.Error("the program did not end")
	}
}

// An Output is an io.Writer whose text can be read meanwhile.
type Output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

// String returns what was written so far.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
