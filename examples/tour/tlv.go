package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/netparts/netparts/tlv"
)

// pieceSize is how much of the file one record carries at most.
const pieceSize = 1 << 30

// passTLV sends the file's name as a String record and its contents as streamed
// Binary records over a TCP connection.
func passTLV(ctx context.Context, f file) (arrival, error) {
	client, server, err := connect()
	if err != nil {
		return arrival{}, err
	}
	defer server.Close()
	// When the tour is interrupted, both ends fail at once.
	defer context.AfterFunc(ctx, func() {
		client.Close()
		server.Close()
	})()

	sent := make(chan error, 1)
	go func() { sent <- errors.Join(sendTLV(client, f), client.Close()) }()
	got, err := receiveTLV(server, f.name)
	if err != nil {
		server.Close() // so that the sender ends too
	}
	return got, errors.Join(err, <-sent)
}

func sendTLV(conn net.Conn, f file) error {
	r, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer r.Close()
	w := tlv.NewWriter(conn)
	w.Limit = pieceSize
	if err := w.Write(tlv.Record{Type: tlv.StringType, Value: []byte(f.name)}); err != nil {
		return err
	}
	for left := f.size; left > 0; left -= pieceSize {
		if err := w.Stream(tlv.BinaryType, min(left, pieceSize), r); err != nil {
			return err
		}
	}
	return nil
}

func receiveTLV(conn net.Conn, wantName string) (arrival, error) {
	r := tlv.NewReader(conn)
	name, err := r.Next()
	if err != nil {
		return arrival{}, err
	}
	if name.Type != tlv.StringType || string(name.Value) != wantName {
		return arrival{}, fmt.Errorf("the name arrived as %q of type %d", name.Value, name.Type)
	}
	var got arrival
	h := sha256.New()
	records := 1
	for ; ; records++ {
		value, err := r.Stream()
		if err == io.EOF {
			break
		}
		if err != nil {
			return arrival{}, err
		}
		n, err := io.Copy(h, value)
		if err != nil {
			return arrival{}, err
		}
		got.size += n
	}
	h.Sum(got.sum[:0])
	got.how = fmt.Sprintf("name and contents sent as %d records over TCP", records)
	return got, nil
}

// connect returns the two ends of a loopback connection.
func connect() (client, server net.Conn, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, nil, err
	}
	for {
		server, err = l.Accept()
		if err != nil {
			client.Close()
			return nil, nil, err
		}
		// Any program of this machine could have connected before us.
		if server.RemoteAddr().String() == client.LocalAddr().String() {
			return client, server, nil
		}
		server.Close()
	}
}
