package sockets_test

import (
	"fmt"
	"log"
	"net"
	"net/netip"
	"testing"
	"time"
)

// udpSoon is longer than any of these tests takes on a busy machine. Every read has a
// deadline: what UDP loses would be waited for without end.
const udpSoon = 20 * time.Second

// udpListen binds a socket to a free port of the loopback interface.
func udpListen() *net.UDPConn {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(udpSoon)); err != nil {
		log.Fatal(err)
	}
	return conn
}

// udpAddr returns where a socket is bound to, in the form that can be compared.
func udpAddr(conn *net.UDPConn) netip.AddrPort {
	return udpUnmap(conn.LocalAddr().(*net.UDPAddr).AddrPort())
}

// udpUnmap returns an address that is equal to itself in whatever way it was obtained: a
// socket for both families writes 127.0.0.1 as ::ffff:127.0.0.1.
func udpUnmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// A socket that ListenUDP has made takes packets from everybody who knows its address.
// There is no Accept that would keep the senders apart: whoever waits for an answer compares
// the sender of each packet with the one that was asked, and drops the others. Here somebody
// else is first.
func Example_udpSender() {
	client, server, interloper := udpListen(), udpListen(), udpListen()
	defer client.Close()
	defer server.Close()
	defer interloper.Close()

	if _, err := interloper.WriteToUDPAddrPort([]byte("pardon me"), udpAddr(client)); err != nil {
		log.Fatal(err)
	}
	b := make([]byte, 1500)
	for {
		n, from, err := client.ReadFromUDPAddrPort(b)
		if err != nil {
			log.Fatal(err)
		}
		if udpUnmap(from) != udpAddr(server) {
			fmt.Printf("dropped from a stranger: %q\n", b[:n])
			// The server is late here, since packets of two senders have no order.
			if _, err := server.WriteToUDPAddrPort([]byte("the answer"), udpAddr(client)); err != nil {
				log.Fatal(err)
			}
			continue
		}
		fmt.Printf("from the server: %q\n", b[:n])
		break
	}
	// Output:
	// dropped from a stranger: "pardon me"
	// from the server: "the answer"
}

// A socket for both families names a sender of IPv4 by an address of IPv6. The two are
// not equal until Unmap makes them so, and a client that forgets it drops every answer.
func TestUDPMappedSender(t *testing.T) {
	client, err := net.ListenUDP("udp", nil) // of both families, where the system has both
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.SetReadDeadline(time.Now().Add(udpSoon)); err != nil {
		t.Fatal(err)
	}
	server := udpListen()
	defer server.Close()
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), udpAddr(client).Port())
	if _, err := server.WriteToUDPAddrPort([]byte("x"), to); err != nil {
		t.Fatal(err)
	}
	_, from, err := client.ReadFromUDPAddrPort(make([]byte, 1))
	if err != nil {
		t.Fatal(err)
	}
	if udpUnmap(from) != udpAddr(server) {
		t.Errorf("the sender is %v, want %v", from, udpAddr(server))
	}
	if wild := udpAddr(client).Addr(); wild.Is6() != from.Addr().Is4In6() {
		t.Errorf("a socket on %v names the sender %v", wild, from)
	}
}
