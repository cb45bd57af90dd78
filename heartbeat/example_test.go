package heartbeat_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// A server pings a client that says nothing, hears the answers, and finds out when
// there are none any more.
func Example() {
	client, server := net.Pipe()
	defer server.Close()
	go func() { // answers three pings, then only reads
		b := make([]byte, 4)
		for range 3 {
			if _, err := io.ReadFull(client, b); err != nil {
				log.Fatal(err)
			}
			fmt.Fprint(client, "pong")
		}
		io.Copy(io.Discard, client)
	}()

	pinger := &heartbeat.Pinger{
		Writer:   server,
		Interval: 10 * time.Millisecond, // of silence, before a ping
		Timeout:  time.Second,           // for an answer
	}
	go func() {
		b := make([]byte, 4)
		for {
			if _, err := io.ReadFull(server, b); err != nil {
				return
			}
			pinger.Touch() // whatever it is
			fmt.Printf("%s\n", b)
		}
	}()
	err := pinger.Run(context.Background())
	fmt.Println(err)
	// Output:
	// pong
	// pong
	// pong
	// heartbeat: peer is silent
}

// A Pinger that was not touched writes once an interval. SetInterval changes that,
// and with zero only begins the wait anew.
func ExamplePinger() {
	r, w := io.Pipe()
	pinger := &heartbeat.Pinger{Writer: w, Interval: time.Hour, MaxMissed: -1}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- pinger.Run(ctx) }()

	pinger.SetInterval(20 * time.Millisecond)
	b := make([]byte, 4)
	for range 3 {
		if _, err := io.ReadFull(r, b); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", b)
	}
	cancel()
	fmt.Println(<-ended)
	// Output:
	// ping
	// ping
	// ping
	// context canceled
}

// Many Pingers share a Scheduler, and need no goroutine each: Start calls a function
// when one ends.
func ExamplePinger_Start() {
	var scheduler heartbeat.Scheduler
	ended := make(chan error)
	for range 1000 {
		pinger := &heartbeat.Pinger{
			Writer:    io.Discard, // where nobody answers
			Interval:  20 * time.Millisecond,
			Timeout:   20 * time.Millisecond,
			Scheduler: &scheduler,
		}
		if err := pinger.Start(func(err error) { ended <- err }); err != nil {
			log.Fatal(err)
		}
	}
	silent := 0
	for range 1000 {
		if err := <-ended; errors.Is(err, heartbeat.ErrPeerSilent) {
			silent++
		}
	}
	fmt.Println(silent, "peers are silent")
	// Output:
	// 1000 peers are silent
}

// In this protocol a message is a line, and the lines "ping" and "pong" are what
// their names say. Both ends keep each other alive while they read; what comes out
// of Read is the other lines.
func ExampleConn() {
	lines := heartbeat.Config{
		Interval: 10 * time.Millisecond,
		Timeout:  time.Second,
		Ping:     []byte("ping\n"),
		Pong:     []byte("pong\n"),
		Next: func(p []byte) (n int, kind heartbeat.Kind) {
			line, _, found := bytes.Cut(p, []byte("\n"))
			switch {
			case !found:
				return 0, heartbeat.Data
			case string(line) == "ping":
				return len("ping\n"), heartbeat.Ping
			case string(line) == "pong":
				return len("pong\n"), heartbeat.Pong
			}
			return len(line) + 1, heartbeat.Data
		},
	}
	here, there := net.Pipe()
	client, server := heartbeat.NewConn(here, lines), heartbeat.NewConn(there, lines)
	defer client.Close()
	go func() {
		defer server.Close()
		ticker := time.NewTicker(20 * time.Millisecond) // long enough for a ping
		defer ticker.Stop()
		for range 3 {
			<-ticker.C
			fmt.Fprintln(server, "tick")
		}
	}()
	go io.Copy(io.Discard, server)

	b, err := io.ReadAll(client)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", b)
	// Output:
	// tick
	// tick
	// tick
}

// A server that answers pings closes the connections of those that send too many.
func ExampleEnforce() {
	enforce := &heartbeat.Enforce{MinInterval: time.Minute, MaxStrikes: 1}
	for range 3 {
		fmt.Println(enforce.Ping())
	}
	enforce.Data() // the peer has something to say
	fmt.Println(enforce.Ping())
	// Output:
	// <nil>
	// <nil>
	// heartbeat: too many pings
	// <nil>
}
