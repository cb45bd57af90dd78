package sockets_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// A connection has no deadline until it is given one, so that a peer whose cable was pulled
// is waited for without end. A server moves the deadline forward before each Read that may
// take so long. Once it has passed, every Read fails at once, even if there is something to
// read; the connection is in order, and a deadline further ahead makes it work again.
func Example_deadline() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	read := func(conn net.Conn) {
		b := make([]byte, 1)
		n, err := conn.Read(b)
		fmt.Printf("%q, deadline exceeded: %v, EOF: %v\n", b[:n], errors.Is(err, os.ErrDeadlineExceeded), err == io.EOF)
	}

	if err := server.SetReadDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
		log.Fatal(err)
	}
	read(server) // after ten milliseconds
	if _, err := client.Write([]byte("1")); err != nil {
		log.Fatal(err)
	}
	read(server) // at once

	if err := server.SetReadDeadline(time.Now().Add(patience)); err != nil {
		log.Fatal(err)
	}
	read(server)
	if err := server.Close(); err != nil {
		log.Fatal(err)
	}
	read(client)
	// Output:
	// "", deadline exceeded: true, EOF: false
	// "", deadline exceeded: true, EOF: false
	// "1", deadline exceeded: false, EOF: false
	// "", deadline exceeded: false, EOF: true
}

// A deadline can be set while a Read is waiting. One in the past wakes it at once, and
// unlike Close leaves the connection usable: the way to interrupt a reader from another
// goroutine.
func Example_deadlineWakes() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	ended := make(chan error)
	go func() {
		_, err := server.Read(make([]byte, 1))
		ended <- err
	}()
	if err := server.SetReadDeadline(time.Unix(1, 0)); err != nil {
		log.Fatal(err)
	}
	fmt.Println("woken:", errors.Is(<-ended, os.ErrDeadlineExceeded))
	// Output:
	// woken: true
}

// readContext is conn.Read, ended by ctx as well: then the error is the cause. What has
// arrived is never lost; it is returned, or left for the next Read. When ctx has ended, the
// connection has no read deadline afterwards.
func readContext(ctx context.Context, conn net.Conn, b []byte) (int, error) {
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		conn.SetReadDeadline(time.Unix(1, 0)) // an error means that conn is closed, and so Read has ended
	})
	n, err := conn.Read(b)
	if stop() {
		return n, err
	}
	// The function runs or has run. Without the wait it could set its deadline after the one
	// below, and the next Read would fail for no reason that its caller can see.
	<-woken
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = context.Cause(ctx)
	}
	if reset := conn.SetReadDeadline(time.Time{}); reset != nil && err == nil {
		err = reset
	}
	return n, err
}

// Reads know deadlines and no contexts. context.AfterFunc turns the end of the one into
// the other, without a goroutine for each Read.
func Example_deadlineContext() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	b := make([]byte, 10)
	n, err := readContext(ctx, server, b)
	fmt.Println(n, err)

	if _, err := client.Write([]byte("later")); err != nil {
		log.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	n, err = readContext(ctx, server, b)
	fmt.Println(n, err)
	// Output:
	// 0 context deadline exceeded
	// 5 <nil>
}

// A context that ends while data arrives costs neither the data nor the connection.
func TestDeadlineContextLosesNothing(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	const rounds = 200
	written := make(chan error, 1)
	go func() {
		var err error
		for range rounds {
			if _, e := client.Write([]byte("x")); e != nil {
				err = e
			}
		}
		written <- errors.Join(err, client.Close())
	}()
	b := make([]byte, 1)
	total := 0
	for {
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); cancel(io.ErrNoProgress) }() // before, during or after the Read
		n, err := readContext(ctx, server, b)
		<-done
		total += n
		if err == io.EOF {
			break
		}
		if err != nil && err != io.ErrNoProgress || n == 1 && err != nil {
			t.Fatalf("after %d bytes: %d, %v", total, n, err)
		}
	}
	if total != rounds {
		t.Errorf("%d bytes arrived, want %d", total, rounds)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

// A lateConn takes a second to set a deadline that wakes, as on a busy machine.
type lateConn struct{ net.Conn }

func (c lateConn) SetReadDeadline(t time.Time) error {
	c.wait(t)
	return c.Conn.SetReadDeadline(t)
}

func (c lateConn) SetWriteDeadline(t time.Time) error {
	c.wait(t)
	return c.Conn.SetWriteDeadline(t)
}

func (c lateConn) wait(t time.Time) {
	if !t.IsZero() && t.Before(time.Now()) {
		time.Sleep(time.Second)
	}
}

// The context ends after a second, the byte comes after one and a half, and the deadline
// after two. The byte counts, and the deadline must not meet the next Read.
func TestDeadlineContextWaitsForItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		defer server.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go func() {
			for _, after := range []time.Duration{1500 * time.Millisecond, time.Minute} {
				time.Sleep(after)
				if _, err := io.WriteString(client, "x"); err != nil {
					t.Error(err)
				}
			}
		}()
		b := make([]byte, 1)
		if n, err := readContext(ctx, lateConn{server}, b); n != 1 || err != nil {
			t.Errorf("readContext: %d, %v", n, err)
		}
		if n, err := server.Read(b); n != 1 || err != nil {
			t.Errorf("the next Read: %d, %v", n, err)
		}
	})
}

// The deadline that woke a Read is gone when readContext returns.
func TestDeadlineContextLeavesNoDeadline(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := readContext(ctx, server, make([]byte, 1)); err != context.Canceled {
			t.Fatalf("readContext: %v, want %v", err, context.Canceled)
		}
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel = context.WithTimeout(t.Context(), patience)
		if _, err := readContext(ctx, server, make([]byte, 1)); err != nil {
			t.Fatalf("the Read after it: %v", err)
		}
		cancel()
	}
}
