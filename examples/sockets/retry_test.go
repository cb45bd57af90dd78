package sockets_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"
)

// A retry says how long to go on with a Write that times out.
type retry struct {
	tries   int           // at most, the first included; one or more
	timeout time.Duration // of each
	pause   time.Duration // between two
}

// write writes b to conn, and returns how many bytes of it were written. A try that times
// out may have written a part, and the next goes on behind it: to begin anew would
// send that part twice, and the peer could not tell. Time-outs alone are tried again; after
// any other error the connection is lost. The end of ctx ends the write and the pauses, and
// is the error then. The connection has no write deadline afterwards.
//
// It is not for a [crypto/tls.Conn], which cannot be written to any more after a time-out.
func (r retry) write(ctx context.Context, conn net.Conn, b []byte) (written int, err error) {
	defer func() {
		if reset := conn.SetWriteDeadline(time.Time{}); err == nil {
			err = reset
		}
	}()
	for try := range r.tries {
		if try > 0 {
			select {
			case <-time.After(r.pause):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return written, context.Cause(ctx)
		}
		var n int
		n, err = r.once(ctx, conn, b[written:])
		written += n
		switch {
		case err == nil:
			return written, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return written, err
		case ctx.Err() != nil:
			return written, context.Cause(ctx)
		}
	}
	return written, fmt.Errorf("%d of %d bytes written in %d tries: %w", written, len(b), r.tries, err)
}

// once is one try. It moves the deadline forward first, since one that has expired would
// fail every Write to come.
func (r retry) once(ctx context.Context, conn net.Conn, b []byte) (int, error) {
	if err := conn.SetWriteDeadline(time.Now().Add(r.timeout)); err != nil {
		return 0, err
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		conn.SetWriteDeadline(time.Unix(1, 0)) // an error means that conn is closed, and so Write has ended
	})
	n, err := conn.Write(b)
	if !stop() {
		<-woken // so that it changes no deadline that is set later
	}
	return n, err
}

// A watchedConn tells of a Write that fails.
type watchedConn struct {
	net.Conn
	failed chan<- error
}

func (c watchedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		select {
		case c.failed <- err:
		default: // one is enough
		}
	}
	return n, err
}

// The reader takes half of the message, and stops until the writer has run into a time-out.
// The next try goes on with the other half, and the message arrives as it is, not with its
// beginning twice.
func Example_retry() {
	client, server := net.Pipe() // which has no buffer: what nobody reads is not written
	defer client.Close()
	defer server.Close()
	failed := make(chan error, 1)
	received := make(chan string)
	go func() {
		b := make([]byte, len("helloworld"))
		if _, err := io.ReadFull(server, b[:5]); err != nil {
			log.Fatal(err)
		}
		fmt.Println("timed out:", errors.Is(<-failed, os.ErrDeadlineExceeded))
		if _, err := io.ReadFull(server, b[5:]); err != nil {
			log.Fatal(err)
		}
		received <- string(b)
	}()

	r := retry{tries: 100, timeout: 50 * time.Millisecond, pause: time.Millisecond}
	n, err := r.write(context.Background(), watchedConn{client, failed}, []byte("helloworld"))
	fmt.Println(n, err)
	fmt.Println(<-received)
	// Output:
	// timed out: true
	// 10 <nil>
	// helloworld
}

// Over TCP the first tries fill the buffers of both ends, and the reader begins only then.
// All arrives once.
func TestRetryOverTCP(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const size = 64 << 10 // of buffers, for systems that would grow them to any size
	if err := errors.Join(client.SetWriteBuffer(size), server.SetReadBuffer(size)); err != nil {
		t.Fatal(err)
	}
	payload := make([]byte, 4<<20)
	if _, err := rand.NewChaCha8([32]byte{}).Read(payload); err != nil {
		t.Fatal(err)
	}
	r := retry{tries: 1, timeout: 10 * time.Millisecond}
	n := 0
	for n == 0 { // on a busy machine ten milliseconds can pass before anything is written
		n, err = r.write(t.Context(), client, payload)
		if n == len(payload) || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("without a reader: %d, %v, want a part and a time-out", n, err)
		}
	}
	hash := sha256.New()
	read := make(chan error)
	go func() {
		_, err := io.Copy(hash, server)
		read <- err
	}()
	r = retry{tries: 1000, timeout: patience}
	if m, err := r.write(t.Context(), client, payload[n:]); n+m != len(payload) || err != nil {
		t.Errorf("with a reader: %d, %v", m, err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(payload); [32]byte(hash.Sum(nil)) != want {
		t.Error("what arrived is not what was written")
	}
}
