package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/netparts/netparts/proxy"
)

// passProxy sends the file through a proxy whose first upstream is dead. The second
// one learns who the client is by a header of the PROXY protocol, and reads to the end of
// the stream.
func passProxy(ctx context.Context, f file) (arrival, error) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return arrival{}, err
	}
	upstream := &proxy.HeaderListener{
		Listener: inner,
		Policy:   func(net.Addr) proxy.HeaderPolicy { return proxy.HeaderRequired },
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return arrival{}, errors.Join(err, upstream.Close())
	}
	dead := func(context.Context, net.Conn) (net.Conn, error) { return nil, errors.New("out of order") }
	server := &proxy.Server{
		Dial:       proxy.Failover(dead, proxy.To("tcp", inner.Addr().String())),
		SendHeader: 2,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	got, err := sendThrough(ctx, l.Addr().(*net.TCPAddr), upstream, f)
	err = errors.Join(err, server.Close(), upstream.Close())
	if end := <-served; !errors.Is(end, proxy.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return got, err
}

// sendThrough sends the file to the proxy at addr and takes it from upstream.
func sendThrough(ctx context.Context, addr *net.TCPAddr, upstream net.Listener, f file) (arrival, error) {
	r, err := os.Open(f.path)
	if err != nil {
		return arrival{}, err
	}
	defer r.Close()
	conn, err := net.DialTCP("tcp", nil, addr)
	if err != nil {
		return arrival{}, err
	}
	defer conn.Close()
	stop := func() {
		conn.Close()
		upstream.Close()
	}
	defer context.AfterFunc(ctx, stop)()

	var sending sync.WaitGroup
	var sent error
	sending.Go(func() {
		_, err := io.Copy(conn, r)
		if sent = errors.Join(err, conn.CloseWrite()); sent != nil {
			stop()
		}
	})
	got, err := receiveFor(conn.LocalAddr(), upstream)
	if err == nil {
		_, err = io.Copy(io.Discard, conn) // the end of the stream has come back
	} else {
		conn.Close() // so that the sender ends too
	}
	sending.Wait()
	return got, errors.Join(err, sent)
}

// receiveFor reads what the proxy passes on for client.
func receiveFor(client net.Addr, upstream net.Listener) (arrival, error) {
	conn, err := upstream.Accept()
	if err != nil {
		return arrival{}, err
	}
	defer conn.Close()
	if addr := conn.RemoteAddr(); addr.String() != client.String() {
		return arrival{}, fmt.Errorf("the header says that the client is %v, not %v", addr, client)
	}
	h := sha256.New()
	size, err := io.Copy(h, conn)
	if err != nil {
		return arrival{}, err
	}
	got := arrival{how: fmt.Sprintf("relayed over TCP past a dead upstream, for %v by its PROXY header", client), size: size}
	h.Sum(got.sum[:0])
	return got, nil
}
