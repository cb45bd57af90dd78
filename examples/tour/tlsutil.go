package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/netparts/netparts/tlsutil"
)

// passTLSUtil sends the file over TLS for which both ends need a certificate of the
// same authority, made for this one connection.
func passTLSUtil(ctx context.Context, f file) (arrival, error) {
	clientConfig, serverConfig, err := mutual()
	if err != nil {
		return arrival{}, err
	}
	here, there, err := connect()
	if err != nil {
		return arrival{}, err
	}
	client, server := tls.Client(here, clientConfig), tls.Server(there, serverConfig)
	// Of what lies below, because Close of a TLS connection waits for its peer.
	stop := func() {
		here.Close()
		there.Close()
	}
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	sent := make(chan error, 1)
	go func() {
		// Of an empty file nothing is written that would begin with a handshake.
		err := client.HandshakeContext(ctx)
		if err == nil {
			err = sendFile(client, f)
		}
		if err != nil {
			stop() // so that the receiver ends too
		}
		sent <- err
	}()
	got, err := receiveTLS(server)
	if err != nil {
		stop() // so that the sender ends too
	}
	return got, errors.Join(err, <-sent)
}

// mutual makes an authority, and the two ends that trust it.
func mutual() (client, server *tls.Config, err error) {
	ca, err := tlsutil.NewCA(tlsutil.Authority{})
	if err != nil {
		return nil, nil, err
	}
	serverCert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Server: true})
	if err != nil {
		return nil, nil, err
	}
	clientCert, err := ca.Issue(tlsutil.Leaf{Hosts: []string{"127.0.0.1"}, Client: true})
	if err != nil {
		return nil, nil, err
	}
	// The client's certificate must be for the address that it comes from.
	server, err = tlsutil.MutualServer(&tlsutil.Material{Certificate: serverCert, Roots: ca.Pool()},
		&tlsutil.Options{Address: true, NextProtos: []string{}})
	if err != nil {
		return nil, nil, err
	}
	client, err = tlsutil.MutualClient(&tlsutil.Material{Certificate: clientCert, Roots: ca.Pool()},
		&tlsutil.Options{ServerName: "127.0.0.1"})
	return client, server, err
}

// A halfCloser is a stream that can end in one direction.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// sendFile sends the file and ends the stream.
func sendFile(conn halfCloser, f file) error {
	r, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = io.Copy(conn, r)
	return errors.Join(err, conn.CloseWrite())
}

func receiveTLS(conn *tls.Conn) (arrival, error) {
	got, err := receive(conn)
	if err != nil {
		return arrival{}, tlsutil.Explain(err)
	}
	cs := conn.ConnectionState()
	if len(cs.VerifiedChains) == 0 {
		return arrival{}, errors.New("the client's certificate was not verified")
	}
	got.how = fmt.Sprintf("mutual %s with %s, the client's address in its certificate", tls.VersionName(cs.Version), cs.CurveID)
	return got, nil
}

// receive reads conn to its end.
func receive(conn net.Conn) (arrival, error) {
	h := sha256.New()
	size, err := io.Copy(h, conn)
	if err != nil {
		return arrival{}, err
	}
	got := arrival{size: size}
	h.Sum(got.sum[:0])
	return got, nil
}
