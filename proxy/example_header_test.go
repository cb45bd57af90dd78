package proxy_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"

	"github.com/netparts/netparts/proxy"
)

// A server behind a load balancer sees its clients' addresses rather than that of the
// balancer. Only the network of the balancers may tell any.
func ExampleHeaderListener() {
	balancers := netip.MustParsePrefix("127.0.0.0/8")
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	l := &proxy.HeaderListener{
		Listener: inner,
		Policy: func(source net.Addr) proxy.HeaderPolicy {
			a, ok := source.(*net.TCPAddr)
			if ok && balancers.Contains(a.AddrPort().Addr().Unmap()) {
				return proxy.HeaderRequired
			}
			return proxy.HeaderNone
		},
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "you are", r.RemoteAddr)
	})}
	go server.Serve(l)
	defer server.Close()

	conn, err := net.Dial("tcp", inner.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "PROXY TCP4 192.0.2.1 198.51.100.7 56324 80\r\n")
	fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
	reply, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s", reply[len(reply)-len("you are 192.0.2.1:56324\n"):])
	// Output:
	// you are 192.0.2.1:56324
}

// A proxy that tells its upstream whose connection it is.
func ExampleServer_sendHeader() {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	upstream := &proxy.HeaderListener{
		Listener: inner,
		Policy:   func(net.Addr) proxy.HeaderPolicy { return proxy.HeaderRequired },
	}
	defer upstream.Close()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &proxy.Server{Dial: proxy.To("tcp", inner.Addr().String()), SendHeader: 2}
	go server.Serve(l)
	defer server.Close()

	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	conn, err := upstream.Accept()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	fmt.Println("the client's address:", conn.RemoteAddr().String() == client.LocalAddr().String())
	fmt.Println("the one it asked for:", conn.LocalAddr().String() == l.Addr().String())
	// Output:
	// the client's address: true
	// the one it asked for: true
}

// A header is parsed from what has been read so far, which may end anywhere.
func ExampleParseHeader() {
	data := "PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\nEHLO example.org\r\n"
	for _, n := range []int{20, len(data)} {
		h, length, err := proxy.ParseHeader([]byte(data[:n]))
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			fmt.Println("read more")
		case err != nil:
			log.Fatal(err)
		default:
			fmt.Println(h.Network, h.Source, h.Destination)
			fmt.Printf("then %q\n", data[length:])
		}
	}
	// Output:
	// read more
	// tcp [2001:db8::1]:56324 [2001:db8::2]:25
	// then "EHLO example.org\r\n"
}

// The fields of a header of version 2 tell more than addresses.
func ExampleHeader_TLVs() {
	h := proxy.Header{
		Network:     "tcp",
		Source:      netip.MustParseAddrPort("192.0.2.1:56324"),
		Destination: netip.MustParseAddrPort("198.51.100.7:443"),
		Extra:       []byte("\x01\x00\x02h2\x02\x00\x0bexample.org"),
	}
	wire, err := h.AppendBinary(nil)
	if err != nil {
		log.Fatal(err)
	}
	parsed, _, err := proxy.ParseHeader(wire)
	if err != nil {
		log.Fatal(err)
	}
	for kind, value := range parsed.TLVs() {
		switch kind {
		case proxy.TLVALPN:
			fmt.Printf("ALPN %s\n", value)
		case proxy.TLVAuthority:
			fmt.Printf("SNI %s\n", value)
		}
	}
	// Output:
	// ALPN h2
	// SNI example.org
}
