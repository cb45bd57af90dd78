package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// In this station a message is its kind in one byte, the length of its body in four,
// and the body.
const messageHeader = 5

var (
	pingMessage = []byte{byte(heartbeat.Ping), 0, 0, 0, 0}
	pongMessage = []byte{byte(heartbeat.Pong), 0, 0, 0, 0}
)

// passHeartbeat sends the file over a connection that has been silent, and was kept
// alive by pings before.
func passHeartbeat(ctx context.Context, f file) (arrival, error) {
	here, there, err := connect()
	if err != nil {
		return arrival{}, err
	}
	var pongs atomic.Int64
	answered := make(chan struct{})
	config := heartbeat.Config{
		Interval: 5 * time.Millisecond,
		Timeout:  5 * time.Second,
		Ping:     pingMessage,
		Pong:     pongMessage,
		Next: func(p []byte) (n int, kind heartbeat.Kind) {
			if len(p) < messageHeader {
				return 0, heartbeat.Data
			}
			kind = heartbeat.Kind(p[0])
			if kind == heartbeat.Pong && pongs.Add(1) == 3 {
				close(answered)
			}
			return messageHeader + int(binary.BigEndian.Uint32(p[1:])), kind
		},
	}
	sender, receiver := heartbeat.NewConn(here, config), heartbeat.NewConn(there, config)
	defer context.AfterFunc(ctx, func() {
		here.Close()
		there.Close()
	})()

	var sending sync.WaitGroup
	sending.Go(func() { io.Copy(io.Discard, sender) }) // its pongs, until receiver is closed
	var sent error
	sending.Go(func() {
		select {
		case <-answered:
		case <-ctx.Done():
		}
		sent = errors.Join(sendMessages(sender, f), sender.CloseWrite())
	})
	got, err := receiveMessages(receiver)
	receiver.Close() // which ends the reading above, and the sending if it has failed
	sending.Wait()
	got.how = fmt.Sprintf("sent after %d pings over an idle TCP connection", pongs.Load())
	return got, errors.Join(err, sent, sender.Close())
}

// sendMessages sends the file in messages, each by one Write.
func sendMessages(conn net.Conn, f file) error {
	r, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer r.Close()
	message := make([]byte, messageHeader+64<<10)
	for {
		n, err := io.ReadFull(r, message[messageHeader:])
		if err == io.EOF {
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		message[0] = byte(heartbeat.Data)
		binary.BigEndian.PutUint32(message[1:], uint32(n))
		if _, err := conn.Write(message[:messageHeader+n]); err != nil {
			return err
		}
	}
}

func receiveMessages(conn net.Conn) (arrival, error) {
	var got arrival
	h := sha256.New()
	header := make([]byte, messageHeader)
	for {
		_, err := io.ReadFull(conn, header)
		if err == io.EOF {
			h.Sum(got.sum[:0])
			return got, nil
		}
		if err != nil {
			return arrival{}, err
		}
		n, err := io.CopyN(h, conn, int64(binary.BigEndian.Uint32(header[1:])))
		got.size += n
		if err != nil {
			return arrival{}, err
		}
	}
}
