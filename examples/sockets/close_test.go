package sockets_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"testing"
)

// shout reads what the client sends to its end, and only then answers, since it cannot know
// earlier whether more comes. The limit is for clients that never end.
func shout(conn *net.TCPConn) error {
	request, err := io.ReadAll(io.LimitReader(conn, 1000))
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	_, err = fmt.Fprintf(conn, "%s!", request)
	return errors.Join(err, conn.Close())
}

// A connection has two directions, and each ends by itself. CloseWrite ends the client's
// and says to the server: this was all. The server sees io.EOF, which no error is, and can
// still answer. Its Close ends the other direction, and the client sees io.EOF in turn: both
// know that the other has everything, and nothing was cut off.
func Example_close() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	served := make(chan error)
	go func() { served <- shout(server) }()

	if _, err := io.WriteString(client, "hello"); err != nil {
		log.Fatal(err)
	}
	if err := client.CloseWrite(); err != nil {
		log.Fatal(err)
	}
	answer, err := io.ReadAll(client) // which takes io.EOF as success
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer)
	n, err := client.Read(make([]byte, 1))
	fmt.Println(n, err)
	fmt.Println(<-served, client.Close())
	// Output:
	// hello!
	// 0 EOF
	// <nil> <nil>
}

// Who closed tells by the error: io.EOF is the peer's Close, net.ErrClosed one's own, also
// when another goroutine called it while Read was waiting.
func Example_closeOwn() {
	client, server, err := pair()
	if err != nil {
		log.Fatal(err)
	}
	read := func(conn net.Conn) <-chan error {
		ended := make(chan error)
		go func() {
			_, err := conn.Read(make([]byte, 1))
			ended <- err
		}()
		return ended
	}
	atClient, atServer := read(client), read(server)
	if err := client.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the client sees net.ErrClosed:", errors.Is(<-atClient, net.ErrClosed))
	fmt.Println("the server sees io.EOF:", <-atServer == io.EOF)
	fmt.Println("the server closes too:", server.Close())
	fmt.Println("a second time is an error:", errors.Is(server.Close(), net.ErrClosed))
	// Output:
	// the client sees net.ErrClosed: true
	// the server sees io.EOF: true
	// the server closes too: <nil>
	// a second time is an error: true
}

// A Write tells nothing about the peer: the first one after the peer's Close succeeds,
// and is what makes the peer answer with a reset. The next call is the one that fails.
func TestWriteAfterThePeersClose(t *testing.T) {
	client, server, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Fatalf("Read: %d, %v, want EOF", n, err)
	}
	if n, err := io.WriteString(client, "to nobody"); n != 9 || err != nil {
		t.Errorf("the first Write: %d, %v, want success", n, err)
	}
	// The reset may take a moment. Until then writes succeed, so that one has to go on.
	for err == nil || err == io.EOF {
		_, err = io.WriteString(client, "to nobody")
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		t.Errorf("no Write failed until the deadline: %v", err)
	}
}
