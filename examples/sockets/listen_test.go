package sockets_test

import (
	"errors"
	"fmt"
	"log"
	"net"
)

// With port 0 the system picks a port that is free, and Addr tells which one: the way to
// listen in a test, and wherever the address can be handed on. Nobody else gets the port
// while the listener is open. Accept waits until somebody connects, or the listener is
// closed: net.ErrClosed is how a server ends, and no failure.
//
// Without a host, as in ":8080", a listener takes what comes to any address of the machine,
// over IPv4 and IPv6; "tcp4" and "tcp6" are for one of them alone.
func Example_listen() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close() // a second Close does no harm

	addr := l.Addr().(*net.TCPAddr).AddrPort()
	fmt.Println("listening on loopback:", addr.Addr().IsLoopback())
	fmt.Println("on a port of its own:", addr.Port() != 0)

	_, err = net.Listen("tcp", addr.String())
	fmt.Println("the port is in use:", errors.Is(err, errInUse))

	accepted := make(chan error)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	if err := l.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("Accept ends by Close:", errors.Is(<-accepted, net.ErrClosed))
	// Output:
	// listening on loopback: true
	// on a port of its own: true
	// the port is in use: true
	// Accept ends by Close: true
}
