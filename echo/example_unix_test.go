//go:build unix

package echo_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/netparts/netparts/echo"
)

// A stream keeps no boundaries: three writes may come back in one read, in two or
// in three. So a client reads until it has the length that it expects.
func ExampleServer_Serve_unix() {
	dir, err := os.MkdirTemp("", "echo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "server"))
	if err != nil {
		log.Fatal(err)
	}
	var server echo.Server
	go server.Serve(l)
	defer server.Close()

	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		fmt.Fprint(conn, "ping")
	}
	b := make([]byte, len("pingpingping"))
	if _, err := io.ReadFull(conn, b); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", b)
	// Output:
	// pingpingping
}

// Datagrams keep their boundaries. A client that wants answers binds a path of its
// own, which the server must be able to write to, and removes it itself.
func ExampleServer_ServePacket_unixgram() {
	dir, err := os.MkdirTemp("", "echo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	service := &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "server")}
	pc, err := net.ListenUnixgram("unixgram", service)
	if err != nil {
		log.Fatal(err)
	}
	var server echo.Server
	go server.ServePacket(pc)
	defer server.Close()

	client := &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dir, "client")}
	conn, err := net.ListenUnixgram("unixgram", client)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		if _, err := conn.WriteTo([]byte("ping"), service); err != nil {
			log.Fatal(err)
		}
	}
	b := make([]byte, 1024)
	for range 3 {
		n, _, err := conn.ReadFrom(b)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", b[:n])
	}
	// Output:
	// ping
	// ping
	// ping
}
