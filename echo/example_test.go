package echo_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"

	"github.com/netparts/netparts/echo"
)

// A server echoes on a port of its own choice, and a client reads back what it
// wrote. A program that is a server only calls ListenAndServe("tcp", ":7") instead.
func Example() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var server echo.Server
	go server.Serve(l)
	defer server.Close()

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "Errors are values.")
	b := make([]byte, len("Errors are values."))
	if _, err := io.ReadFull(conn, b); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", b)
	// Output:
	// Errors are values.
}

// A client that has nothing more to say half-closes, and reads to the end: it gets
// the echo of all that it wrote.
func ExampleServer_Serve() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var server echo.Server
	go server.Serve(l)
	defer server.Close()

	conn, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(bytes.Repeat([]byte("echo"), 2<<20))
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	n, err := io.Copy(io.Discard, conn)
	if err := errors.Join(err, <-sent); err != nil {
		log.Fatal(err)
	}
	fmt.Println(n, "bytes came back")
	// Output:
	// 8388608 bytes came back
}

// A TLS listener makes an echo service of a server certificate, here one that a
// package for tests keeps.
func ExampleServer_Serve_tls() {
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	defer certificate.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", certificate.TLS)
	if err != nil {
		log.Fatal(err)
	}
	var server echo.Server
	go server.Serve(l)
	defer server.Close()

	roots := x509.NewCertPool()
	roots.AddCert(certificate.Certificate())
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "sealed")
	if err := conn.CloseWrite(); err != nil {
		log.Fatal(err)
	}
	b, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", b)
	// Output:
	// sealed
}

// A UDP socket is connected by Dial: it sends to the server alone, and receives
// from it alone.
func ExampleServer_ServePacket() {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var server echo.Server
	go server.ServePacket(pc)
	defer server.Close()

	conn, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "ping")
	b := make([]byte, 1024)
	n, err := conn.Read(b)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", b[:n])
	// Output:
	// ping
}

// One connection needs no listener, which is how to test against an echo.
func ExampleServer_ServeConn() {
	client, conn := net.Pipe()
	var server echo.Server
	ended := make(chan error, 1)
	go func() { ended <- server.ServeConn(context.Background(), conn) }()

	fmt.Fprint(client, "ping")
	b := make([]byte, 4)
	if _, err := io.ReadFull(client, b); err != nil {
		log.Fatal(err)
	}
	client.Close()
	fmt.Printf("%s %v\n", b, <-ended)
	// Output:
	// ping <nil>
}

// ListenAndServe takes the network as a word, as from a flag. The hook Listening
// tells which port it got.
func ExampleServer_ListenAndServe() {
	listening := make(chan net.Addr, 1)
	server := echo.Server{Listening: func(a net.Addr) { listening <- a }}
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe("udp", "127.0.0.1:0") }()

	conn, err := net.Dial("udp", (<-listening).String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "ping")
	b := make([]byte, 4)
	if _, err := conn.Read(b); err != nil {
		log.Fatal(err)
	}
	if err := server.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s; %v\n", b, <-ended)
	// Output:
	// ping; echo: server closed
}

// Shutdown closes the connections that are idle, waits for those that are not, and
// makes Serve return.
func ExampleServer_Shutdown() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	var server echo.Server
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "last words")
	if _, err := io.ReadFull(conn, make([]byte, len("last words"))); err != nil {
		log.Fatal(err)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-served)
	_, err = conn.Read(make([]byte, 1))
	fmt.Println(err)
	// Output:
	// echo: server closed
	// EOF
}
