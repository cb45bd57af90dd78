package sockets_test

import (
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// udpDial connects a socket to addr.
func udpDial(addr net.Addr) *net.UDPConn {
	conn, err := net.Dial("udp", addr.String())
	if err != nil {
		log.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(udpSoon)); err != nil {
		log.Fatal(err)
	}
	return conn.(*net.UDPConn)
}

// A client with one server connects its socket: from then on the kernel itself drops what
// others send, and Read and Write replace ReadFrom and WriteTo. The packets of a stranger
// before and after the answer are never seen.
func Example_udpConnected() {
	server, interloper := udpListen(), udpListen()
	defer server.Close()
	defer interloper.Close()
	client := udpDial(server.LocalAddr())
	defer client.Close()

	b := make([]byte, 1500)
	for _, message := range []string{"first", "second"} {
		if _, err := interloper.WriteToUDPAddrPort([]byte("pardon me"), udpAddr(client)); err != nil {
			log.Fatal(err)
		}
		if _, err := server.WriteToUDPAddrPort([]byte(message), udpAddr(client)); err != nil {
			log.Fatal(err)
		}
		n, err := client.Read(b)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", b[:n])
	}
	// Output:
	// first
	// second
}

// Dial sends nothing over UDP, so that it succeeds although nobody is there. Write only hands
// a packet to the kernel: that it has no error does not mean that anything arrived. If a
// service must know, its protocol has to answer.
func Example_udpNobody() {
	silent := udpListen() // takes packets and never says anything
	defer silent.Close()
	client := udpDial(silent.LocalAddr())
	defer client.Close()
	if _, err := client.Write([]byte("the first packet")); err != nil {
		log.Fatal(err)
	}
	b := make([]byte, 1500)
	n, err := silent.Read(b)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("what the server sees first: %q\n", b[:n])

	if err := client.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		log.Fatal(err)
	}
	_, err = client.Read(b)
	fmt.Println("the answer is overdue:", errors.Is(err, os.ErrDeadlineExceeded))
	// Output:
	// what the server sees first: "the first packet"
	// the answer is overdue: true
}

// udpClosed returns the address of a port that stays closed: its socket takes packets from
// its peer alone, and for all others there is nobody. Nobody else can be given the port
// meanwhile, as could happen with one that was free a moment ago.
func udpClosed() (addr *net.UDPAddr, end func()) {
	conn := udpDial(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9})
	return conn.LocalAddr().(*net.UDPAddr), func() { conn.Close() }
}

// Where a host is there and its port is closed, the host says so by ICMP. A connected
// socket reports that at its next call, once; an unconnected one, which may have sent to
// many, does not (on Windows it does, as a reset).
func TestUDPRefused(t *testing.T) {
	closed, end := udpClosed()
	defer end()
	client := udpDial(closed)
	defer client.Close()
	if n, err := client.Write([]byte("anybody?")); n != 8 || err != nil {
		t.Fatalf("Write = %d, %v, want 8 and no error, since the answer comes later", n, err)
	}
	_, err := client.Read(make([]byte, 1))
	if runtime.GOOS == "windows" {
		if err == nil {
			t.Error("Read: no error")
		}
		return
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("Read: %v, want %v", err, syscall.ECONNREFUSED)
	}
	if err := client.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read again: %v, want %v", err, os.ErrDeadlineExceeded)
	}
}

// The same packet from a socket without a connection: the ICMP message comes, and goes.
func TestUDPRefusedUnconnected(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows reports it to the socket in any case")
	}
	closed, end := udpClosed()
	defer end()
	client := udpListen()
	defer client.Close()
	// What is sent to itself comes after the ICMP message, and shows that the first Read
	// had nothing to report.
	for _, to := range []*net.UDPAddr{closed, client.LocalAddr().(*net.UDPAddr)} {
		if _, err := client.WriteToUDP([]byte("anybody?"), to); err != nil {
			t.Fatal(err)
		}
	}
	if n, from, err := client.ReadFromUDPAddrPort(make([]byte, 10)); n != 8 || udpUnmap(from) != udpAddr(client) || err != nil {
		t.Errorf("ReadFromUDPAddrPort = %d, %v, %v, want the packet to itself", n, from, err)
	}
}

// A connected socket knows its peer, and takes no other destination.
func TestUDPConnectedWriteTo(t *testing.T) {
	server, other := udpListen(), udpListen()
	defer server.Close()
	defer other.Close()
	client := udpDial(server.LocalAddr())
	defer client.Close()
	if _, err := client.WriteToUDPAddrPort([]byte("x"), udpAddr(other)); !errors.Is(err, net.ErrWriteToConnected) {
		t.Errorf("WriteToUDPAddrPort: %v, want %v", err, net.ErrWriteToConnected)
	}
}
