package proxy_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"

	"github.com/netparts/netparts/proxy"
)

// The handler of an echo server is watched: what it reads by an [io.TeeReader], what
// it writes by a [proxy.MultiWriter]. A message that comes and goes makes two lines.
func ExampleMonitor() {
	monitor := &proxy.Monitor{Out: os.Stdout}

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	var server sync.WaitGroup
	server.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		defer conn.Close()
		lines := monitor.Writer("monitor: ")
		in := io.TeeReader(conn, lines)
		out := proxy.MultiWriter(conn, lines)
		if _, err := io.Copy(out, in); err != nil {
			log.Fatal(err)
		}
	})

	conn, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "Test\n")
	if err := conn.CloseWrite(); err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		log.Fatal(err)
	}
	server.Wait()
	// Output:
	// monitor: Test
	// monitor: Test
}

// A tap tells the directions apart. With a Queue a slow sink delays nothing: what it
// has no room for is dropped, and counted.
func ExampleMonitor_Tap() {
	monitor := &proxy.Monitor{Out: os.Stdout, Queue: 64}
	server := &proxy.Server{
		Dial: proxy.To("tcp", echoing().String()),
		Tap: func(net.Conn) func(proxy.Direction, []byte) {
			return monitor.Tap("client")
		},
	}
	defer server.Close()
	exchange(server, "Test\n")
	if err := monitor.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(monitor.Dropped(), "dropped,", monitor.Failed(), "failed")
	// Output:
	// client> Test
	// client< Test
	// 0 dropped, 0 failed
}

// Any function is a tap, here one that writes the same lines for both directions.
func ExampleServer_tap() {
	monitor := &proxy.Monitor{Out: os.Stdout}
	lines := monitor.Writer("monitor: ")
	server := &proxy.Server{
		Dial: proxy.To("tcp", echoing().String()),
		Tap: func(net.Conn) func(proxy.Direction, []byte) {
			return func(_ proxy.Direction, b []byte) { lines.Write(b) }
		},
	}
	defer server.Close()
	exchange(server, "Test\n")
	// Output:
	// monitor: Test
	// monitor: Test
}

// echoing returns the address of a server that echoes one connection.
func echoing() net.Addr {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		conn, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		io.Copy(conn, conn)
		conn.Close()
		l.Close()
	}()
	return l.Addr()
}

// exchange sends a message through the server, and reads the reply to its end.
func exchange(server *proxy.Server, message string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go server.Serve(l)
	conn, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, message)
	if err := conn.CloseWrite(); err != nil {
		log.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		log.Fatal(err)
	}
}
