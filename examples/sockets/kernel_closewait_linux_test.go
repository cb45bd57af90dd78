package sockets_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// kernelStates are the names of the states of a connection that these Examples meet, as of RFC
// 9293, section 3.3.2.
var kernelStates = map[uint8]string{
	unix.BPF_TCP_ESTABLISHED: "ESTABLISHED",
	unix.BPF_TCP_FIN_WAIT1:   "FIN-WAIT-1",
	unix.BPF_TCP_FIN_WAIT2:   "FIN-WAIT-2",
	unix.BPF_TCP_CLOSE_WAIT:  "CLOSE-WAIT",
	unix.BPF_TCP_LAST_ACK:    "LAST-ACK",
	unix.BPF_TCP_CLOSE:       "CLOSED",
}

func kernelState(conn *net.TCPConn) string { return kernelStates[kernelInfo(conn).State] }

// kernelAwait waits until a connection has a state, to which the kernel brings it by itself.
func kernelAwait(conn *net.TCPConn, want string) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for begin := time.Now(); kernelState(conn) != want; <-ticker.C {
		if time.Since(begin) > kernelSoon {
			log.Fatalf("the state is %s, not %s", kernelState(conn), want)
		}
	}
}

// The peer has closed its side, and now the kernel waits for this program to close the other: in
// CLOSE-WAIT, without any limit of time. Many sockets in that state (ss -t state close-wait) are
// connections that some handler forgot. The peer is in FIN-WAIT-2 meanwhile, and is set free by
// the Close here.
func Example_closeWait() {
	client, server := kernelConnect()
	defer client.Close()
	fmt.Println("connected:", kernelState(client), kernelState(server))

	if err := client.CloseWrite(); err != nil {
		log.Fatal(err)
	}
	_, err := server.Read(make([]byte, 1))
	fmt.Println("the server reads the end:", err == io.EOF)
	kernelAwait(client, "FIN-WAIT-2")
	fmt.Println("not closed:", kernelState(client), kernelState(server))

	if err := server.Close(); err != nil {
		log.Fatal(err)
	}
	kernelAwait(client, "CLOSED")
	_, err = client.Read(make([]byte, 1))
	fmt.Println("closed:", kernelState(client)+", and the client reads the end:", err == io.EOF)
	// Output:
	// connected: ESTABLISHED ESTABLISHED
	// the server reads the end: true
	// not closed: FIN-WAIT-2 CLOSE-WAIT
	// closed: CLOSED, and the client reads the end: true
}

// In CLOSE-WAIT writing is allowed, since the peer may have closed one direction alone. If it has
// closed both, its kernel answers the first data with a reset, which the next call reports.
func TestWriteInCloseWait(t *testing.T) {
	client, server := kernelConnect()
	defer server.Close()
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	if state := kernelState(server); state != "CLOSE-WAIT" {
		t.Errorf("the state is %s", state)
	}
	if _, err := server.Write([]byte("anybody?")); err != nil {
		t.Errorf("the first Write: %v", err)
	}
	kernelAwait(server, "CLOSED")
	if _, err := server.Write([]byte("anybody?")); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("the second Write: %v, want %v", err, syscall.EPIPE)
	}
}
