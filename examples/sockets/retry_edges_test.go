package sockets_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/internal/memnet"
)

// What the retry of retry_test.go does with slow, stuck and lost readers, in bubbles, where
// its time-outs cost nothing and are exact.

// readSlowly reads pieces of n bytes with a pause after each, to the end of r.
func readSlowly(r io.Reader, n int, pause time.Duration) <-chan string {
	received := make(chan string, 1)
	go func() {
		var all []byte
		b := make([]byte, n)
		for {
			n, err := io.ReadFull(r, b)
			all = append(all, b[:n]...)
			if err != nil {
				received <- string(all)
				return
			}
			time.Sleep(pause)
		}
	}()
	return received
}

// Each try gets four bytes through, until all are there; no byte comes twice.
func TestRetryGoesOnWhereItStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		received := readSlowly(server, 4, 3*time.Second)
		begin := time.Now()
		r := retry{tries: 4, timeout: 2 * time.Second, pause: time.Second}
		n, err := r.write(t.Context(), client, []byte("four bytes a try"))
		if n != 16 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		if got := time.Since(begin); got != 9*time.Second {
			t.Errorf("write took %v, want 9s", got)
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		if got := <-received; got != "four bytes a try" {
			t.Errorf("%q arrived", got)
		}
	})
}

// The number of tries bounds the time, and the error tells how far they got.
func TestRetryGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := memnet.Pipe() // which holds 64 KiB that nobody reads
		defer server.Close()
		defer client.Close()
		begin := time.Now()
		r := retry{tries: 7, timeout: 2 * time.Second, pause: 10 * time.Second}
		n, err := r.write(t.Context(), client, make([]byte, 100<<10))
		const want = "65536 of 102400 bytes written in 7 tries: "
		if n != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("write: %d, %v", n, err)
		}
		if got := time.Since(begin); got != 74*time.Second {
			t.Errorf("write took %v, want 7 tries and 6 pauses: 1m14s", got)
		}
	})
}

// The context ends a try and a pause at once.
func TestRetryEndsWithTheContext(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer server.Close()
			defer client.Close()
			stopped := errors.New("stopped")
			ctx, cancel := context.WithTimeoutCause(t.Context(), after, stopped)
			defer cancel()
			begin := time.Now()
			r := retry{tries: 7, timeout: 2 * time.Second, pause: 10 * time.Second}
			if n, err := r.write(ctx, client, []byte("x")); n != 0 || err != stopped {
				t.Errorf("write: %d, %v, want %v", n, err, stopped)
			}
			if got := time.Since(begin); got != after {
				t.Errorf("write took %v, want %v", got, after)
			}
		})
	}
}

// A write deadline of an earlier write is no reason to fail, and none is left behind.
func TestRetryMovesTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := memnet.Pipe()
		defer server.Close()
		defer client.Close()
		if err := client.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
		r := retry{tries: 1, timeout: time.Second}
		if n, err := r.write(t.Context(), client, []byte("x")); n != 1 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		time.Sleep(time.Minute)
		if n, err := client.Write([]byte("x")); n != 1 || err != nil {
			t.Errorf("a Write later: %d, %v", n, err)
		}
	})
}

// The context ends after a second, the byte is taken after one and a half, and the deadline
// comes after two. The byte counts, and the deadline must not meet the next Write.
func TestRetryWaitsForItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			for _, after := range []time.Duration{1500 * time.Millisecond, time.Minute} {
				time.Sleep(after)
				if _, err := server.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
			}
		}()
		r := retry{tries: 1, timeout: time.Hour}
		if n, err := r.write(ctx, lateConn{client}, []byte("x")); n != 1 || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
		if n, err := client.Write([]byte("x")); n != 1 || err != nil {
			t.Errorf("the next Write: %d, %v", n, err)
		}
	})
}

// An error that does not pass is reported at once, and not tried again.
func TestRetryKnowsWhatDoesNotPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		r := retry{tries: 7, timeout: 2 * time.Second, pause: 10 * time.Second}
		if n, err := r.write(t.Context(), client, []byte("x")); n != 0 || err != io.ErrClosedPipe {
			t.Errorf("write: %d, %v, want %v", n, err, io.ErrClosedPipe)
		}
		if got := time.Since(begin); got != 0 {
			t.Errorf("write took %v, want no time", got)
		}
	})
}
