package tlsutil_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/netparts/netparts/tlsutil"
)

// exampleMaterials makes what a server on 127.0.0.1 and a client show and trust. Programs
// have it from files: see WatchFiles.
func exampleMaterials() (server, client *tlsutil.Material) {
	ca, err := tlsutil.NewCA(tlsutil.Authority{Name: "example CA"})
	if err != nil {
		log.Fatal(err)
	}
	serverCert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1", "server.example"}, Server: true})
	if err != nil {
		log.Fatal(err)
	}
	clientCert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Name: "backup", Client: true})
	if err != nil {
		log.Fatal(err)
	}
	return &tlsutil.Material{Certificate: serverCert, Roots: ca.Pool()},
		&tlsutil.Material{Certificate: clientCert, Roots: ca.Pool()}
}

// exampleServer accepts one connection, and greets the client if it may be there.
func exampleServer(config *tls.Config) net.Listener {
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintln(conn, "welcome") // the handshake is in the first Write
	}()
	return l
}

// A server lets in whoever shows a certificate of the authority, and knows who that is; a
// client knows that the server is the one that it dialed.
func Example() {
	server, client := exampleMaterials()
	serverTLS, err := tlsutil.MutualServer(server, nil)
	if err != nil {
		log.Fatal(err)
	}
	clientTLS, err := tlsutil.MutualClient(client, nil)
	if err != nil {
		log.Fatal(err)
	}

	l := exampleServer(serverTLS)
	defer l.Close()
	conn, err := tls.Dial("tcp", l.Addr().String(), clientTLS)
	if err != nil {
		log.Fatal(tlsutil.Explain(err))
	}
	defer conn.Close()
	greeting, err := io.ReadAll(conn)
	if err != nil {
		log.Fatal(tlsutil.Explain(err))
	}
	fmt.Printf("%s", greeting)
	// Output: welcome
}

// With TLS 1.3 a client whose certificate is refused learns it after its handshake, from
// its first Read. Explain tells why, as an error to compare with.
func ExampleExplain() {
	server, _ := exampleMaterials()
	_, stranger := exampleMaterials() // of another authority
	stranger.Roots = server.Roots
	serverTLS, err := tlsutil.MutualServer(server, nil)
	if err != nil {
		log.Fatal(err)
	}
	clientTLS, err := tlsutil.MutualClient(stranger, nil)
	if err != nil {
		log.Fatal(err)
	}
	l := exampleServer(serverTLS)
	defer l.Close()

	conn, err := tls.Dial("tcp", l.Addr().String(), clientTLS)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	_, err = io.ReadAll(conn)
	err = tlsutil.Explain(err)
	fmt.Println(err)
	fmt.Println(errors.Is(err, tlsutil.ErrUnknownAuthority))
	// Output:
	// tlsutil: unknown certificate authority, says the peer: remote error: tls: unknown certificate authority
	// true
}

// A health check wants to know whether the server accepts its certificate before it uses
// the connection. A server that says nothing within the time has not refused.
func ExampleConfirm() {
	server, client := exampleMaterials()
	serverTLS, err := tlsutil.MutualServer(server, nil)
	if err != nil {
		log.Fatal(err)
	}
	l := exampleServer(serverTLS)
	defer l.Close()
	clientTLS, err := tlsutil.ClientConfig(client, nil) // it shows no certificate
	if err != nil {
		log.Fatal(err)
	}
	conn, err := tls.Dial("tcp", l.Addr().String(), clientTLS)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	confirmed, err := tlsutil.Confirm(ctx, conn)
	if err == nil {
		defer confirmed.Close() // and from here on it takes the place of conn
	}
	fmt.Println(errors.Is(err, tlsutil.ErrNoClientCert))
	// Output: true
}

// A log says in one line what was agreed on and with whom.
func ExampleDescribe() {
	server, client := exampleMaterials()
	serverTLS, err := tlsutil.MutualServer(server, nil)
	if err != nil {
		log.Fatal(err)
	}
	clientTLS, err := tlsutil.MutualClient(client, nil)
	if err != nil {
		log.Fatal(err)
	}
	l := exampleServer(serverTLS)
	defer l.Close()
	conn, err := tls.Dial("tcp", l.Addr().String(), clientTLS)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()

	// Without the suite, which depends on the processor, and the pin of a new key.
	for part := range strings.SplitSeq(tlsutil.Describe(conn.ConnectionState()), ", ") {
		if !strings.HasPrefix(part, "TLS_") && !strings.HasPrefix(part, "pin ") {
			fmt.Println(part)
		}
	}
	fmt.Println(tlsutil.Describe(tls.ConnectionState{}))
	// Output:
	// TLS 1.3
	// X25519MLKEM768
	// peer "CN=127.0.0.1"
	// issuer "CN=example CA"
	// no TLS
}

// exampleHTTPS serves HTTPS on a port of its own choice.
func exampleHTTPS(config *tls.Config, handler http.HandlerFunc) (server *http.Server, url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	server = &http.Server{TLSConfig: config, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go server.ServeTLS(l, "", "")
	return server, "https://" + l.Addr().String()
}
