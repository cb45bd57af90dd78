package sockets_test

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"runtime"
	"syscall"
	"testing"
)

// A read takes one datagram, whole or cut: what does not fit into the buffer is gone, and the
// next read takes the next datagram. The buffer has therefore one byte more than the largest
// message that the protocol knows, and a read that fills it is an error.
func Example_udpTooLarge() {
	const largest = 8 // bytes of a message of this protocol
	server, client := udpListen(), udpListen()
	defer server.Close()
	defer client.Close()
	b := make([]byte, largest+1)
	for _, message := range []string{"12345678", "123456789abc", "next"} {
		if _, err := client.WriteToUDPAddrPort([]byte(message), udpAddr(server)); err != nil {
			log.Fatal(err)
		}
		n, _, err := server.ReadFromUDPAddrPort(b)
		// Windows reports what Unix is silent about, and fills the buffer too.
		if err != nil && n < len(b) {
			log.Fatal(err)
		}
		if n > largest {
			fmt.Println("dropped a message of more than 8 bytes")
			continue
		}
		fmt.Printf("%s\n", b[:n])
	}
	// Output:
	// 12345678
	// dropped a message of more than 8 bytes
	// next
}

// A datagram without data is a datagram: Read returns zero bytes, and that is not the end of
// anything.
func TestUDPEmpty(t *testing.T) {
	server := udpListen()
	defer server.Close()
	client := udpDial(server.LocalAddr())
	defer client.Close()
	if n, err := client.Write(nil); n != 0 || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
	n, from, err := server.ReadFromUDPAddrPort(make([]byte, 10))
	if n != 0 || err != nil || udpUnmap(from) != udpAddr(client) {
		t.Errorf("ReadFromUDPAddrPort = %d, %v, %v, want 0 bytes from %v", n, from, err, udpAddr(client))
	}
}

// The length of an IPv4 packet is a number of 16 bits, of which the headers of IPv4 and UDP
// take 28 bytes: 65,507 remain. Such a datagram travels in some 45 fragments, and is lost
// with any of them; how large one may be that stays whole, PathMTU tells.
func TestUDPLargest(t *testing.T) {
	switch runtime.GOOS {
	case "linux", "windows":
	default:
		t.Skip("the BSDs send no more than net.inet.udp.maxdgram says, often 9,216 bytes")
	}
	server := udpListen()
	defer server.Close()
	client := udpDial(server.LocalAddr())
	defer client.Close()
	const largest = 65507
	message := bytes.Repeat([]byte("x"), largest+1)
	if n, err := client.Write(message); err == nil {
		t.Errorf("Write took %d bytes, which do not fit into a packet", n)
	}
	if n, err := client.Write(message[:largest]); n != largest || err != nil {
		t.Fatalf("Write = %d, %v, want %d", n, err, largest)
	}
	b := make([]byte, largest+1)
	if n, _, err := server.ReadFromUDPAddrPort(b); n != largest || err != nil {
		t.Errorf("ReadFromUDPAddrPort = %d, %v, want %d", n, err, largest)
	}
}

// What is too large is told by an error of its own, at once: nothing was sent.
func TestUDPTooLargeToSend(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the error of Windows has another number, WSAEMSGSIZE")
	}
	server := udpListen()
	defer server.Close()
	client := udpDial(server.LocalAddr())
	defer client.Close()
	if n, err := client.Write(make([]byte, 1<<16)); n != 0 || !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("Write = %d, %v, want 0, %v", n, err, syscall.EMSGSIZE)
	}
}
