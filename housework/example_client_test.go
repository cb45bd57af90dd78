package housework_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/netparts/netparts/housework"
	"github.com/netparts/netparts/tlsutil"
)

// A client that knows one server by its key: it was told the pin, and trusts the
// certificate that the server made for itself.
func ExampleDial() {
	cert, err := tlsutil.SelfSigned(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true})
	if err != nil {
		log.Fatal(err)
	}
	serverTLS, err := tlsutil.ServerConfig(&tlsutil.Material{Certificate: cert}, nil)
	if err != nil {
		log.Fatal(err)
	}
	server := &housework.Server{
		Rosie:     &housework.Rosie{Store: new(housework.MemoryStore)},
		TLSConfig: serverTLS,
	}
	defer server.Close()
	address := exampleListen(server)

	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	wrong, err := tlsutil.ParsePin("sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	if err != nil {
		log.Fatal(err)
	}
	for _, pin := range []tlsutil.Pin{tlsutil.PinOf(cert.Leaf), wrong} {
		clientTLS, err := tlsutil.ClientConfig(&tlsutil.Material{Roots: roots}, &tlsutil.Options{Pins: []tlsutil.Pin{pin}})
		if err != nil {
			log.Fatal(err)
		}
		client, err := housework.Dial(context.Background(), address, &housework.ClientOptions{TLSConfig: clientTLS})
		if errors.Is(err, tlsutil.ErrPinMismatch) {
			fmt.Println("the server has another key")
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("the server has the pinned key")
		if err := client.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// the server has the pinned key
	// the server has another key
}

// A request id lets a program try again, also after it was restarted itself: whatever
// happened to the first answer, the chores are added once.
func ExampleClient_Add() {
	server := &housework.Server{
		Rosie:    &housework.Rosie{Store: new(housework.MemoryStore)},
		Insecure: true, // on the loopback interface, for an example
	}
	defer server.Close()
	client, err := housework.Dial(context.Background(), exampleListen(server), &housework.ClientOptions{Insecure: true})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	chores := []housework.Chore{{Description: "Mop floors"}, {Description: "Dust"}}
	for range 2 {
		first, err := client.Add(ctx, "2026-W12", chores)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("the first has number", first)
	}
	if err := client.Complete(ctx, 2); err != nil {
		log.Fatal(err)
	}
	err = client.Complete(ctx, 3)
	fmt.Println("chore 3 is not found:", errors.Is(err, housework.ErrNotFound))
	for chore, err := range housework.All(ctx, client) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(chore.Description, chore.Complete)
	}
	// Output:
	// the first has number 1
	// the first has number 1
	// chore 3 is not found: true
	// Mop floors false
	// Dust true
}
