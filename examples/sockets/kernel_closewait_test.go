package sockets_test

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"sync"
	"time"
)

// kernelForgets handles a request as many handlers do in their first version: it returns upon an
// error, and forgets the connection.
func kernelForgets(conn net.Conn) error {
	b := make([]byte, 4)
	if _, err := conn.Read(b); err != nil {
		return err
	}
	return fmt.Errorf("no such request: %q", b)
}

// kernelHandle is where connections are closed: right behind the place where they are accepted,
// so that no handler can forget it, whether it returns an error or panics.
func kernelHandle(conn net.Conn, handler func(net.Conn) error) error {
	defer conn.Close()
	return handler(conn)
}

// A server that returns from its handler without Close keeps the socket, and its peer waits for
// an answer or for the end until its own deadline passes. With a deferred Close the peer learns at
// once that there will be no answer.
func Example_forgottenClose() {
	for _, handle := range []func(net.Conn) error{
		kernelForgets,
		func(conn net.Conn) error { return kernelHandle(conn, kernelForgets) },
	} {
		client, server := kernelConnect()
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := handle(server); err == nil {
				log.Print("the handler had no error")
			}
		})
		if _, err := client.Write([]byte("what")); err != nil {
			log.Fatal(err)
		}
		wg.Wait()
		if err := client.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			log.Fatal(err)
		}
		_, err := client.Read(make([]byte, 1))
		fmt.Println("the client waits in vain:", errors.Is(err, os.ErrDeadlineExceeded))
		client.Close()
		server.Close() // of the first round, so that this Example leaves nothing behind
	}
	// Output:
	// the client waits in vain: true
	// the client waits in vain: false
}
