package sockets_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"sync"
	"time"
)

// kernelSoon is longer than any of these tests takes on a busy machine.
const kernelSoon = 20 * time.Second

// kernelConnect returns the two ends of a TCP connection.
func kernelConnect() (client, server *net.TCPConn) {
	return kernelConnectWith(net.ListenConfig{})
}

func kernelConnectWith(config net.ListenConfig) (client, server *net.TCPConn) {
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.DialTimeout("tcp", l.Addr().String(), kernelSoon)
	if err != nil {
		log.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		log.Fatal(err)
	}
	for _, conn := range []net.Conn{dialed, accepted} {
		if err := conn.SetDeadline(time.Now().Add(kernelSoon)); err != nil {
			log.Fatal(err)
		}
	}
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

// A peer that does not read stops whoever writes to it: its receive buffer fills, then the send
// buffer here, and then Write waits, for as long as the peer likes. A deadline for writing ends
// that. How much of the data arrived is unknown, so that the connection is of no use any more.
func Example_writeDeadline() {
	client, server := kernelConnect()
	defer client.Close()
	defer server.Close() // which never reads

	// Systems are tuned to buffers of any size, so these have one of their own.
	if err := errors.Join(client.SetWriteBuffer(64<<10), server.SetReadBuffer(64<<10)); err != nil {
		log.Fatal(err)
	}
	if err := client.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		log.Fatal(err)
	}
	data := make([]byte, 16<<20) // more than the two hold
	n, err := client.Write(data)
	fmt.Println("all was taken:", n == len(data))
	fmt.Println("the deadline passed:", errors.Is(err, os.ErrDeadlineExceeded))
	// Output:
	// all was taken: false
	// the deadline passed: true
}

// kernelEnqueue is a loop that reads: it puts each line into the queue or refuses it, and tells
// the peer which. At the end it closes both, and returns how many it refused.
func kernelEnqueue(conn net.Conn, queue chan<- string) (refused int) {
	defer conn.Close()
	defer close(queue)
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		answer := "queued"
		select {
		case queue <- lines.Text():
		default:
			refused++
			answer = "busy"
		}
		if _, err := fmt.Fprintln(conn, answer); err != nil {
			log.Print(err)
			return refused
		}
	}
	if err := lines.Err(); err != nil {
		log.Print(err)
	}
	return refused
}

// A handler that is slower than its peer must not hold up the loop that reads: nobody would see
// that the window is closed, and messages that matter, such as the one that calls the work
// off, would wait behind the others. The loop puts messages into a queue. What the queue
// cannot hold is refused in so many words, and counted, so that somebody sees it. The queue has
// a limit, since without one the memory of the process takes the place of the window.
func Example_boundedQueue() {
	client, server := kernelConnect()
	defer client.Close()
	const room = 2
	queue := make(chan string, room)
	begun, goOn := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { // the slow handler
		for message := range queue {
			if message == "message 1" {
				close(begun)
				<-goOn
			}
			fmt.Println("done:", message)
		}
	})
	refused := 0
	wg.Go(func() { refused = kernelEnqueue(server, queue) })

	answers := bufio.NewScanner(client)
	for i := 1; i <= 5; i++ {
		if _, err := fmt.Fprintf(client, "message %d\n", i); err != nil {
			log.Fatal(err)
		}
		if !answers.Scan() {
			log.Fatal(answers.Err())
		}
		fmt.Printf("message %d: %s\n", i, answers.Text())
		if i == 1 {
			<-begun // the queue is empty again
		}
	}
	if err := client.CloseWrite(); err != nil {
		log.Fatal(err)
	}
	close(goOn)
	wg.Wait()
	fmt.Println("refused:", refused)
	// Output:
	// message 1: queued
	// message 2: queued
	// message 3: queued
	// message 4: busy
	// message 5: busy
	// done: message 1
	// done: message 2
	// done: message 3
	// refused: 2
}
