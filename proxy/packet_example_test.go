package proxy_test

import (
	"fmt"
	"log"
	"net"

	"github.com/netparts/netparts/proxy"
)

// A UDP service is reached through a proxy: each client has a session, which ends when
// no datagram has passed for a while. A program that is a proxy only calls
// ListenAndServe("udp", ":53") instead.
func ExamplePacketServer() {
	upstream, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer upstream.Close()
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := upstream.ReadFrom(b)
			if err != nil {
				return
			}
			if _, err := upstream.WriteTo(append([]byte("you said "), b[:n]...), from); err != nil {
				log.Print(err)
			}
		}
	}()

	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &proxy.PacketServer{Dial: proxy.To("udp", upstream.LocalAddr().String())}
	go server.Serve(pc)
	defer server.Close()

	client, err := net.Dial("udp", pc.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for _, message := range []string{"hello", "goodbye"} {
		if _, err := client.Write([]byte(message)); err != nil {
			log.Fatal(err)
		}
		b := make([]byte, 1500)
		n, err := client.Read(b)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", b[:n])
	}
	fmt.Println(server.Stats().Total, "session")
	// Output:
	// you said hello
	// you said goodbye
	// 1 session
}
