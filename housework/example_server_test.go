package housework_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/tlsutil"
)

// A server that only those of an authority may use, and a client that has a certificate
// of it.
func ExampleServer() {
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		log.Fatal(err)
	}
	serverCert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true})
	if err != nil {
		log.Fatal(err)
	}
	clientCert, err := ca.Issue(tlsutil.Leaf{Name: "maid", Client: true})
	if err != nil {
		log.Fatal(err)
	}

	serverTLS, err := tlsutil.MutualServer(&tlsutil.Material{Certificate: serverCert, Roots: ca.Pool()}, nil)
	if err != nil {
		log.Fatal(err)
	}
	server := &housework.Server{
		Rosie:     &housework.Rosie{Store: new(housework.MemoryStore)},
		TLSConfig: serverTLS,
	}
	defer server.Close()
	address := exampleListen(server)

	clientTLS, err := tlsutil.MutualClient(&tlsutil.Material{Certificate: clientCert, Roots: ca.Pool()}, nil)
	if err != nil {
		log.Fatal(err)
	}
	client, err := housework.Dial(context.Background(), address, &housework.ClientOptions{TLSConfig: clientTLS})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	n, err := client.Add(context.Background(), "", []housework.Chore{{Description: "Mop floors"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("added chore", n)

	// Whoever has no certificate is told so.
	strangerTLS, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: ca.Pool()}, nil)
	if err != nil {
		log.Fatal(err)
	}
	_, err = housework.Dial(context.Background(), address, &housework.ClientOptions{TLSConfig: strangerTLS})
	fmt.Println("a certificate is missing:", errors.Is(tlsutil.Explain(err), tlsutil.ErrNoClientCert))
	// Output:
	// added chore 1
	// a certificate is missing: true
}

// exampleListen lets a server serve on a free port, and returns the address.
func exampleListen(server *housework.Server) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		if err := server.Serve(l); !errors.Is(err, housework.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	return l.Addr().String()
}

// A server that ends lets the calls that are open finish, but not for ever.
func ExampleServer_Shutdown() {
	server := &housework.Server{
		Rosie:    &housework.Rosie{Store: new(housework.MemoryStore)},
		Insecure: true, // on the loopback interface, for an example
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	client, err := housework.Dial(context.Background(), l.Addr().String(), &housework.ClientOptions{Insecure: true})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		fmt.Println("calls are cut off:", err)
		if err := server.Close(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("Serve:", <-served)
	_, err = client.List(context.Background(), 1, 10)
	fmt.Println("a call afterwards:", status.Code(err) == codes.Unavailable)
	// Output:
	// Serve: housework: server closed
	// a call afterwards: true
}
