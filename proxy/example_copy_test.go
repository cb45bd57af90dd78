package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strings"

	"github.com/netparts/netparts/proxy"
)

// One connection is proxied without a server: what the client sends goes to the
// upstream, and the reply, after the client has ended its stream, comes back. Copy
// leaves it to its caller to close both.
func ExampleCopy() {
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer upstream.Close()
	go func() {
		conn, err := upstream.Accept()
		if err != nil {
			log.Fatal(err)
		}
		request, err := io.ReadAll(conn)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprintf(conn, "You said %q.", request)
		conn.Close()
	}()

	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer front.Close()
	go func() {
		client, err := front.Accept()
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close()
		server, err := net.Dial("tcp", upstream.Addr().String())
		if err != nil {
			log.Fatal(err)
		}
		defer server.Close()
		if _, err := proxy.Copy(server, client); err != nil {
			log.Fatal(err)
		}
	}()

	conn, err := net.DialTCP("tcp", nil, front.Addr().(*net.TCPAddr))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "Hello")
	if err := conn.CloseWrite(); err != nil {
		log.Fatal(err)
	}
	reply, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", reply)
	// Output:
	// You said "Hello".
}

// What is no connection has no replies, so that any reader can be copied to any
// writer.
func ExampleCopy_writer() {
	n, err := proxy.Copy(os.Stdout, strings.NewReader("to the terminal\n"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "bytes")
	// Output:
	// to the terminal
	// 16 bytes
}

// A broken sink is told of at the end, and keeps nothing from the others.
func ExampleMultiWriter() {
	reader, broken := io.Pipe()
	reader.CloseWithError(errors.New("disk full"))
	var first, last strings.Builder
	sinks := proxy.MultiWriter(&first, broken, &last)

	_, err := io.Copy(sinks, strings.NewReader("for everybody"))
	fmt.Println("error:", err)
	fmt.Println("first:", first.String())
	fmt.Println("last:", last.String())
	// Output:
	// error: proxy: sink 1: disk full
	// first: for everybody
	// last: for everybody
}
