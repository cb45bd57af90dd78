package sockets_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"sync"
	"time"
)

// The pauses after an error of Accept: the first, and what they double to.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

// serve accepts connections on l, and handles each in a goroutine of its own, so that a
// client that says nothing keeps nobody waiting. When ctx ends it closes l and the
// connections, and returns the cause. An error of Accept that does not pass ends it too,
// but lets the connections go on to their end. It always returns a non-nil error, with l
// closed and after the last handler.
func serve(ctx context.Context, l net.Listener, handle func(net.Conn)) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	defer l.Close() // before the wait, or new clients would wait for nothing

	pause := time.Duration(0)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			handlers.Go(func() {
				defer conn.Close() // first of all, so that no way out of the handler goes around it
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				handle(conn)
			})
			continue
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !slices.ContainsFunc(acceptPasses, func(e error) bool { return errors.Is(err, e) }):
			return err
		}
		// Clients still wait in the backlog. To end the server would refuse them all, and to
		// try again at once would burn a processor until somebody gives a descriptor back.
		pause = min(max(2*pause, minPause), maxPause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// greet is a handler: it answers a line with a greeting. The deadline is there for clients
// that never send one.
func greet(conn net.Conn) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return // the connection is closed already
	}
	// The limit is for clients that never end the line.
	name, err := bufio.NewReader(io.LimitReader(conn, 100)).ReadString('\n')
	if err != nil {
		return // nobody is left who could be answered
	}
	fmt.Fprintf(conn, "hello, %s", name) // an error is the client's going
}

// ask sends a line and returns the answer.
func ask(conn net.Conn, name string) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintln(conn, name); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 1000))
	return string(answer), err
}

// A server that has a goroutine for each connection answers the second client while the
// first is still thinking.
func Example_accept() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- serve(ctx, l, greet) }()

	thinking, err := net.DialTimeout("tcp", l.Addr().String(), patience)
	if err != nil {
		log.Fatal(err)
	}
	defer thinking.Close()
	quick, err := net.DialTimeout("tcp", l.Addr().String(), patience)
	if err != nil {
		log.Fatal(err)
	}
	defer quick.Close()
	for _, client := range []struct {
		name string
		conn net.Conn
	}{{"quick", quick}, {"thinking", thinking}} {
		answer, err := ask(client.conn, client.name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(answer)
	}
	stop()
	fmt.Println(<-served)
	// Output:
	// hello, quick
	// hello, thinking
	// context canceled
}
