package sockets_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"testing"
	"time"
)

// ListenTCP and AcceptTCP return the types of TCP instead of the interfaces, for a program
// that wants more of a connection than net.Conn has. An interface is the better choice
// for everything else: it takes a TLS connection or a net.Pipe too.
func Example_tuneListen() {
	addr, err := net.ResolveTCPAddr("tcp", "127.0.0.1:0") // which may ask the DNS, without a time-out
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.ListenTCP("tcp", addr)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	client, err := net.DialTimeout("tcp", l.Addr().String(), patience)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	if err := l.SetDeadline(time.Now().Add(patience)); err != nil { // which net.Listener lacks
		log.Fatal(err)
	}
	server, err := l.AcceptTCP()
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	fmt.Println("small writes go out at once:", server.SetNoDelay(true)) // as they do by default
	// Output:
	// small writes go out at once: <nil>
}

// A client has a *net.TCPConn by DialTCP, or by a type assertion on what a Dialer made. The
// second is the way to go: DialTCP knows neither time-outs nor contexts, and tries one
// address of a name alone.
func Example_tuneDial() {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(loopback))
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()

	direct, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		log.Fatal(err)
	}
	defer direct.Close()
	fmt.Println("small writes are put together:", direct.SetNoDelay(false))

	dialer := net.Dialer{Timeout: patience}
	conn, err := dialer.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok { // not so for a Unix socket, or with TLS
		fmt.Println("small writes are put together:", tcp.SetNoDelay(false))
	}
	// Output:
	// small writes are put together: <nil>
	// small writes are put together: <nil>
}

// The kernel asks a silent peer now and then whether it is still there, and ends the
// connection when no answer comes. Package net turns that on by itself, after 15 seconds
// of silence. A config sets the times: here the peer is given up a minute and 30 seconds
// after its last sign of life. Dialer and ListenConfig have a field for it, which is the
// place to set it for all connections. That the peer's program still works, only package
// heartbeat finds out.
func Example_tuneKeepAlive() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	fmt.Println(server.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable:   true,
		Idle:     time.Minute,      // of silence, before the first question
		Interval: 10 * time.Second, // between questions
		Count:    3,                // of questions without an answer
	}))
	// Output:
	// <nil>
}

// With a linger of 0 seconds Close throws away what was not sent yet and resets the
// connection: what a server wants that gets rid of a bad client, and keeps no state
// for it (TIME_WAIT). The peer sees an error where the end of the stream would be.
//
// Less than 0 is the default: Close returns at once, and the system delivers in the
// background. More than 0 makes Close wait so long, on some systems. It proves nothing
// about the peer's program, which only an answer of that program does.
func Example_tuneLinger() {
	for _, seconds := range []int{-1, 0} {
		client, server, err := pair()
		if err != nil {
			log.Fatal(err)
		}
		if err := server.SetLinger(seconds); err != nil {
			log.Fatal(err)
		}
		if err := server.Close(); err != nil {
			log.Fatal(err)
		}
		_, err = client.Read(make([]byte, 1))
		fmt.Printf("linger %d: EOF %v, reset %v\n", seconds, err == io.EOF, errors.Is(err, errReset))
		if err := client.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// linger -1: EOF true, reset false
	// linger 0: EOF false, reset true
}

// Buffers of the kernel hold what was sent and is not acknowledged, and what arrived and
// was not read. Systems size them by themselves, and a program that sets them turns that
// off: one wants it to bound the memory of many slow connections, or where the system's
// limit is known to be too low for the path. What the system grants is another matter, as
// TestTuneBuffersOnLinux shows.
func Example_tuneBuffers() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	defer server.Close()
	fmt.Println(server.SetReadBuffer(16 << 10))
	fmt.Println(client.SetWriteBuffer(16 << 10))
	// Output:
	// <nil>
	// <nil>
}

// With the default linger what was written arrives although Close has returned; a reset
// lets the peer know that something is missing.
func TestTuneLingerDelivers(t *testing.T) {
	const size = 64 << 10 // of buffers, for systems that would grow them to any size
	for _, seconds := range []int{-1, 0} {
		client, server, err := pair()
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		// More than the buffers of both hold, so that a part is not sent when Close is called.
		if err := errors.Join(client.SetReadBuffer(size), server.SetWriteBuffer(size), server.SetLinger(seconds)); err != nil {
			t.Fatal(err)
		}
		if err := server.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		written, err := server.Write(make([]byte, 4<<20))
		if timeout, ok := errors.AsType[net.Error](err); !ok || !timeout.Timeout() {
			t.Fatalf("Write: %d, %v, want a time-out", written, err)
		}
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		read, err := io.Copy(io.Discard, client)
		if seconds < 0 && (read != int64(written) || err != nil) {
			t.Errorf("linger %d: %d of %d bytes arrived, %v", seconds, read, written, err)
		}
		if seconds == 0 && !errors.Is(err, errReset) {
			t.Errorf("linger 0: %d of %d bytes arrived, %v, want %v", read, written, err, errReset)
		}
	}
}
