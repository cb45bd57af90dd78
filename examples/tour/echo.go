package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/netparts/netparts/echo"
)

// passEcho sends the file to an echo server, half-closes, and reads the echo to its
// end.
func passEcho(ctx context.Context, f file) (arrival, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return arrival{}, err
	}
	var server echo.Server
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()

	got, err := sendAndReceive(ctx, l.Addr().(*net.TCPAddr), f)
	err = errors.Join(err, server.Close())
	if end := <-served; !errors.Is(end, echo.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return got, err
}

func sendAndReceive(ctx context.Context, server *net.TCPAddr, f file) (arrival, error) {
	r, err := os.Open(f.path)
	if err != nil {
		return arrival{}, err
	}
	defer r.Close()
	conn, err := net.DialTCP("tcp", nil, server)
	if err != nil {
		return arrival{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, r)
		sent <- errors.Join(err, conn.CloseWrite())
	}()
	h := sha256.New()
	size, err := io.Copy(h, conn)
	if err != nil {
		conn.Close() // so that the sender ends too
	}
	if err := errors.Join(err, <-sent); err != nil {
		return arrival{}, err
	}
	got := arrival{how: fmt.Sprintf("echoed over TCP from %v, half-closed", server), size: size}
	h.Sum(got.sum[:0])
	return got, nil
}
