package heartbeat_test

import (
	"bytes"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/heartbeat"
)

// sockets returns both ends of a connection of the system.
func sockets(t *testing.T, network string) (client, server net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "server")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.Close()
	})
	return client, server
}

// Sockets take pings without deadlines, and the data between them arrives whole.
func TestSockets(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			a, b := sockets(t, network)
			cfg := config()
			cfg.Interval, cfg.Timeout = time.Millisecond, 10*time.Second
			client := heartbeat.NewConn(a, cfg)
			pinged := make(chan struct{}, 1)
			cfg.Next = func(p []byte) (n int, kind heartbeat.Kind) {
				if n, kind = next(p); kind == heartbeat.Ping {
					select {
					case pinged <- struct{}{}:
					default:
					}
				}
				return n, kind
			}
			cfg.Ping = nil // the server answers
			server := heartbeat.NewConn(b, cfg)
			defer client.Close()
			defer server.Close()
			go io.Copy(io.Discard, client)

			const many = 50
			var sending sync.WaitGroup
			sending.Go(func() {
				for i := range many {
					<-pinged
					if _, err := client.Write(message(1000 * i)); err != nil {
						t.Error(err)
					}
				}
			})
			var want []byte
			for i := range many {
				want = append(want, message(1000*i)...)
			}
			got := make([]byte, len(want))
			if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("what arrived differs: %v", err)
			}
			sending.Wait()
		})
	}
}

// A full socket is waited for no longer than Timeout, and keeps no deadline.
func TestFullSocket(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			conn, peer := sockets(t, network)
			if err := conn.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			filled, err := conn.Write(make([]byte, 64<<20))
			if err == nil {
				t.Fatal("64 MiB were taken")
			}
			p := &heartbeat.Pinger{Writer: conn, Interval: time.Millisecond, Timeout: 50 * time.Millisecond}
			if err := conn.SetWriteDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			if err := p.Run(t.Context()); err != heartbeat.ErrPeerSilent {
				t.Errorf("Run = %v, want %v", err, heartbeat.ErrPeerSilent)
			}
			var reading sync.WaitGroup
			defer reading.Wait()
			reading.Go(func() { io.CopyN(io.Discard, peer, int64(filled+5)) })
			if _, err := conn.Write([]byte("later")); err != nil {
				t.Errorf("a later Write: %v", err)
			}
		})
	}
}
