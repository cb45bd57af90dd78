package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/netparts/netparts/proxy"
)

// greeter starts an upstream that greets by its name whoever says theirs.
func greeter(name string) (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				who, err := io.ReadAll(c) // until the client half-closes
				if err == nil {
					fmt.Fprintf(c, "hello %s, this is %s", who, name)
				}
			}()
		}
	}()
	return l, nil
}

// greet says a name to whoever listens on addr, and prints the answer.
func greet(addr net.Addr, who string) error {
	conn, err := net.Dial(addr.Network(), addr.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, who); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	fmt.Printf("%s\n", answer)
	return nil
}

// A proxy is a server with the address of its upstream.
func Example() {
	upstream, err := greeter("alice")
	if err != nil {
		log.Fatal(err)
	}
	defer upstream.Close()
	listening := make(chan net.Addr, 1)

	server := &proxy.Server{
		Dial:      proxy.To("tcp", upstream.Addr().String()),
		Listening: func(a net.Addr) { listening <- a },
	}
	served := make(chan error, 1)
	go func() { served <- server.ListenAndServe("tcp", "127.0.0.1:0") }()

	if err := greet(<-listening, "bob"); err != nil {
		log.Fatal(err)
	}
	if err := server.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-served)
	fmt.Println(server.Stats().ToUpstream, "bytes to the upstream")
	// Output:
	// hello bob, this is alice
	// proxy: server closed
	// 3 bytes to the upstream
}

// Relay needs no server: it passes on two connections that are there already, and
// tells why they ended.
func ExampleRelay() {
	upstream, err := greeter("alice")
	if err != nil {
		log.Fatal(err)
	}
	defer upstream.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	ended := make(chan string, 1)
	go func() {
		client, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		server, err := net.Dial("tcp", upstream.Addr().String())
		if err != nil {
			log.Fatal(err)
		}
		stats, err := proxy.Relay(context.Background(), client, server, &proxy.Options{
			IdleTimeout:      10 * time.Minute,
			HalfCloseTimeout: 10 * time.Second,
		})
		ended <- fmt.Sprintf("%d bytes to the upstream, %d to the client, %v", stats.ToUpstream, stats.ToClient, err)
	}()

	if err := greet(l.Addr(), "bob"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-ended)
	// Output:
	// hello bob, this is alice
	// 3 bytes to the upstream, 24 to the client, <nil>
}

// Failover is for a first upstream with others that stand in for it.
func ExampleFailover() {
	main, err := greeter("alice")
	if err != nil {
		log.Fatal(err)
	}
	standby, err := greeter("carol")
	if err != nil {
		log.Fatal(err)
	}
	defer standby.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}

	server := &proxy.Server{Dial: proxy.Failover(
		proxy.To("tcp", main.Addr().String()),
		proxy.To("tcp", standby.Addr().String()),
	)}
	defer server.Close()
	go server.Serve(l)

	if err := greet(l.Addr(), "bob"); err != nil {
		log.Fatal(err)
	}
	main.Close()
	if err := greet(l.Addr(), "bob"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello bob, this is alice
	// hello bob, this is carol
}

// RoundRobin spreads clients over upstreams that do the same.
func ExampleRoundRobin() {
	var dials []proxy.DialFunc
	for _, name := range []string{"alice", "carol"} {
		upstream, err := greeter(name)
		if err != nil {
			log.Fatal(err)
		}
		defer upstream.Close()
		dials = append(dials, proxy.To("tcp", upstream.Addr().String()))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}

	server := &proxy.Server{Dial: proxy.RoundRobin(dials...)}
	defer server.Close()
	go server.Serve(l)

	for range 3 {
		if err := greet(l.Addr(), "bob"); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// hello bob, this is alice
	// hello bob, this is carol
	// hello bob, this is alice
}

// First asks all upstreams at once, for those of which any will do and the nearest is
// not known.
func ExampleFirst() {
	near, err := greeter("alice")
	if err != nil {
		log.Fatal(err)
	}
	defer near.Close()
	far := func(ctx context.Context, _ net.Conn) (net.Conn, error) {
		<-ctx.Done() // when another one has answered
		return nil, context.Cause(ctx)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}

	server := &proxy.Server{Dial: proxy.First(far, proxy.To("tcp", near.Addr().String()))}
	defer server.Close()
	go server.Serve(l)

	if err := greet(l.Addr(), "bob"); err != nil {
		log.Fatal(err)
	}
	// Output:
	// hello bob, this is alice
}

// A DialFunc may look at who the client is, and connect by any means, such as TLS.
func ExampleDialFunc() {
	var dial proxy.DialFunc = func(ctx context.Context, client net.Conn) (net.Conn, error) {
		if addr, ok := client.RemoteAddr().(*net.TCPAddr); !ok || !addr.IP.IsLoopback() {
			return nil, errors.New("only from this machine")
		}
		var d tls.Dialer
		return d.DialContext(ctx, "tcp", "db.example.com:5432")
	}
	client, _ := net.Pipe()
	defer client.Close()
	_, err := dial(context.Background(), client)
	fmt.Println(err)
	// Output:
	// only from this machine
}

// Report is told of each connection when it has ended.
func ExampleServer_Report() {
	upstream, err := greeter("alice")
	if err != nil {
		log.Fatal(err)
	}
	defer upstream.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	reports := make(chan proxy.Report, 1)

	server := &proxy.Server{
		Dial:   proxy.To("tcp", upstream.Addr().String()),
		Report: func(r proxy.Report) { reports <- r },
	}
	defer server.Close()
	go server.Serve(l)

	if err := greet(l.Addr(), "bob"); err != nil {
		log.Fatal(err)
	}
	r := <-reports
	fmt.Println(r.ToUpstream, r.ToClient, r.Err)
	// Output:
	// hello bob, this is alice
	// 3 24 <nil>
}

// Prepend is for those who look at the beginning of a stream before they know where it
// goes.
func ExamplePrepend() {
	near, far := net.Pipe()
	go func() {
		if _, err := io.WriteString(near, "alice please\nand more"); err != nil {
			log.Fatal(err)
		}
		near.Close()
	}()

	first := bufio.NewReader(far)
	name, err := first.ReadString(' ')
	if err != nil {
		log.Fatal(err)
	}
	rest, err := first.Peek(first.Buffered())
	if err != nil {
		log.Fatal(err)
	}
	conn := proxy.Prepend(far, append([]byte(name), rest...))
	defer conn.Close()

	all, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%q of %q\n", name, all)
	// Output:
	// "alice " of "alice please\nand more"
}
