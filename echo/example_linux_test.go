package echo_test

import (
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/netparts/netparts/echo"
)

// Unix packets are a connection that keeps boundaries. What a read has no room for
// is lost, so a client reads with room for the largest record.
func ExampleServer_Serve_unixpacket() {
	dir, err := os.MkdirTemp("", "echo")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unixpacket", filepath.Join(dir, "server"))
	if err != nil {
		log.Fatal(err)
	}
	var server echo.Server
	go server.Serve(l)
	defer server.Close()

	conn, err := net.Dial("unixpacket", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	for range 4 {
		fmt.Fprint(conn, "ping")
	}
	for _, room := range []int{1024, 1024, 2, 2} {
		b := make([]byte, room)
		n, err := conn.Read(b)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", b[:n])
	}
	// Output:
	// ping
	// ping
	// pi
	// pi
}
