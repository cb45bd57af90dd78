//go:build unix

package sockets_test

import (
	"fmt"
	"log"
	"syscall"
)

// ReadMsgUDPAddrPort also returns flags, of which MSG_TRUNC says that a datagram was cut. With
// it the buffer needs no byte to spare.
func Example_udpTruncated() {
	server := udpListen()
	defer server.Close()
	client := udpDial(server.LocalAddr())
	defer client.Close()
	b := make([]byte, 8)
	for _, message := range []string{"12345678", "123456789"} {
		if _, err := client.Write([]byte(message)); err != nil {
			log.Fatal(err)
		}
		n, _, flags, _, err := server.ReadMsgUDPAddrPort(b, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s, cut: %v\n", b[:n], flags&syscall.MSG_TRUNC != 0)
	}
	// Output:
	// 12345678, cut: false
	// 12345678, cut: true
}
