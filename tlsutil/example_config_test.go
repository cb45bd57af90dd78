package tlsutil_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"

	"github.com/netparts/netparts/tlsutil"
)

// A web server knows each caller by its certificate, and speaks HTTP/2.
func ExampleMutualServer() {
	server, client := exampleMaterials()
	serverTLS, err := tlsutil.MutualServer(server, nil)
	if err != nil {
		log.Fatal(err)
	}
	s, url := exampleHTTPS(serverTLS, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s: hello, %s", r.Proto, r.TLS.PeerCertificates[0].Subject.CommonName)
	})
	defer s.Close()

	clientTLS, err := tlsutil.MutualClient(client, nil)
	if err != nil {
		log.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: clientTLS, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		log.Fatal(tlsutil.Explain(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", body)
	// Output: HTTP/2.0: hello, backup
}

// A client requires, besides a certificate of the authority, one of two keys: that of the
// server, and a spare one for the day on which it changes.
func ExampleMutualClient() {
	server, client := exampleMaterials()
	pin := tlsutil.PinOf(server.Certificate.Leaf)
	spare, err := tlsutil.ParsePin("sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	if err != nil {
		log.Fatal(err)
	}
	for _, pins := range [][]tlsutil.Pin{{pin, spare}, {spare}} {
		serverTLS, err := tlsutil.MutualServer(server, nil)
		if err != nil {
			log.Fatal(err)
		}
		clientTLS, err := tlsutil.MutualClient(client, &tlsutil.Options{Pins: pins})
		if err != nil {
			log.Fatal(err)
		}
		l := exampleServer(serverTLS)
		conn, err := tls.Dial("tcp", l.Addr().String(), clientTLS)
		if errors.Is(err, tlsutil.ErrPinMismatch) {
			fmt.Println("the server has another key")
		} else if err != nil {
			log.Fatal(err)
		} else {
			fmt.Println("the server has a pinned key")
			conn.Close()
		}
		l.Close()
	}
	// Output:
	// the server has a pinned key
	// the server has another key
}

// An HTTPS client with a transport of its own keeps HTTP/2 by ForceAttemptHTTP2. Its roots
// are those of the material, here of a private authority.
func ExampleClientConfig() {
	server, client := exampleMaterials()
	serverTLS, err := tlsutil.ServerConfig(server, nil)
	if err != nil {
		log.Fatal(err)
	}
	s, url := exampleHTTPS(serverTLS, func(http.ResponseWriter, *http.Request) {})
	defer s.Close()

	clientTLS, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: client.Roots}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: clientTLS.Clone(), ForceAttemptHTTP2: http2}
		response, err := (&http.Client{Transport: transport}).Get(url)
		if err != nil {
			log.Fatal(tlsutil.Explain(err))
		}
		fmt.Println(response.Proto)
		response.Body.Close()
		transport.CloseIdleConnections()
	}
	// Output:
	// HTTP/1.1
	// HTTP/2.0
}

// A server asks for no certificates. A client for which it is not the host that was meant
// refuses it, and tells why.
func ExampleServerConfig() {
	server, client := exampleMaterials()
	serverTLS, err := tlsutil.ServerConfig(server, &tlsutil.Options{NextProtos: []string{}})
	if err != nil {
		log.Fatal(err)
	}
	l := exampleServer(serverTLS)
	defer l.Close()

	clientTLS, err := tlsutil.ClientConfig(client, &tlsutil.Options{ServerName: "elsewhere.example"})
	if err != nil {
		log.Fatal(err)
	}
	_, err = tls.Dial("tcp", l.Addr().String(), clientTLS)
	fmt.Println(errors.Is(tlsutil.Explain(err), tlsutil.ErrWrongHost))
	// Output: true
}

// A function of one's own has the last word, in resumed sessions as well: here it refuses a
// certificate that was stolen.
func ExampleOptions_verify() {
	server, client := exampleMaterials()
	stolen := client.Certificate.Leaf.SerialNumber
	serverTLS, err := tlsutil.MutualServer(server, &tlsutil.Options{
		Verify: func(cs tls.ConnectionState) error {
			if cs.PeerCertificates[0].SerialNumber.Cmp(stolen) == 0 {
				return errors.New("certificate was reported as stolen")
			}
			return nil
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	l := exampleServer(serverTLS)
	defer l.Close()

	clientTLS, err := tlsutil.MutualClient(client, nil)
	if err != nil {
		log.Fatal(err)
	}
	conn, err := tls.Dial("tcp", l.Addr().String(), clientTLS)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	_, err = io.ReadAll(conn)
	fmt.Println(errors.Is(tlsutil.Explain(err), tlsutil.ErrRefused))
	// Output: true
}

// Clients are tied to the addresses in their certificates: one that was copied to another
// machine is of no use there.
func ExampleOptions_address() {
	server, client := exampleMaterials() // the client's certificate is for 127.0.0.1
	serverTLS, err := tlsutil.MutualServer(server, &tlsutil.Options{Address: true})
	if err != nil {
		log.Fatal(err)
	}
	l := exampleServer(serverTLS)
	defer l.Close()

	clientTLS, err := tlsutil.MutualClient(client, nil)
	if err != nil {
		log.Fatal(err)
	}
	conn, err := tls.Dial("tcp", l.Addr().String(), clientTLS)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	greeting, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(tlsutil.Explain(err))
	}
	fmt.Printf("%s", greeting)
	// Output: welcome
}
