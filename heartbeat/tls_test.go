package heartbeat_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/netparts/netparts/heartbeat"
	"github.com/netparts/netparts/internal/memnet"
)

// secure returns the two ends of a TLS connection over conn and peer.
func secure(t *testing.T, certs []tls.Certificate, conn, peer net.Conn) (client, server *tls.Conn) {
	t.Helper()
	client = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	server = tls.Server(peer, &tls.Config{Certificates: certs})
	var shaking sync.WaitGroup
	shaking.Go(func() {
		if err := server.Handshake(); err != nil {
			t.Error(err)
		}
	})
	if err := client.Handshake(); err != nil {
		t.Error(err)
	}
	shaking.Wait()
	return client, server
}

// certificates are those that httptest has for its servers.
func certificates() []tls.Certificate {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates
}

func TestConnOverTLS(t *testing.T) {
	certs := certificates()
	synctest.Test(t, func(t *testing.T) {
		end1, end2 := memnet.Pipe()
		client, server := secure(t, certs, end1, end2)
		a, b := heartbeat.NewConn(client, config()), heartbeat.NewConn(server, config())
		var got []byte
		var reading sync.WaitGroup
		reading.Go(func() { io.Copy(io.Discard, a) })
		reading.Go(func() { got, _ = io.ReadAll(b) })
		time.Sleep(time.Hour)
		if _, err := a.Write(message(50_000)); err != nil {
			t.Errorf("Write after an hour: %v", err)
		}
		time.Sleep(time.Hour)
		a.Close()
		b.Close()
		reading.Wait()
		if !bytes.Equal(got, message(50_000)) {
			t.Errorf("%d bytes were read", len(got))
		}
	})
}

// A ping over TLS that cannot be written for a while is missed, and not the end of
// the connection: what is written later arrives.
func TestBlockedPingOverTLS(t *testing.T) {
	certs := certificates()
	synctest.Test(t, func(t *testing.T) {
		conn, end := memnet.Pipe()
		client, server := secure(t, certs, conn, end)
		defer client.Close()
		defer server.Close()
		p := &heartbeat.Pinger{Writer: client, Interval: 10 * time.Second, Timeout: 2 * time.Second, MaxMissed: 3}
		ended := started(t, p)
		fill(t, conn)
		time.Sleep(15 * time.Second) // at 12 and 14 the ping was missed
		if len(ended) > 0 {
			t.Fatalf("ended by %v", <-ended)
		}
		drain(t, end, 0) // what fill wrote is not of TLS
		if _, err := client.Write([]byte("data")); err != nil {
			t.Errorf("Write: %v", err)
		}
		b := make([]byte, 8)
		if n, err := io.ReadFull(server, b); err != nil || string(b) != "pingdata" {
			t.Errorf("read %q, %v", b[:n], err)
		}
		p.Touch()
		p.Stop()
		wantEnd(t, ended, heartbeat.ErrStopped)
	})
}

// A silent peer ends Read over the real sockets and over net.Pipe as well.
func TestConnOverOtherNetworks(t *testing.T) {
	pipe, pipeEnd := net.Pipe()
	ends := map[string][2]net.Conn{"pipe": {pipe, pipeEnd}}
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "socket")} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		ends[network] = [2]net.Conn{conn, peer}
	}
	for network, end := range ends {
		t.Run(network, func(t *testing.T) {
			cfg := config()
			cfg.Interval, cfg.Timeout = 20*time.Millisecond, 50*time.Millisecond
			c := heartbeat.NewConn(end[0], cfg)
			defer c.Close()
			defer end[1].Close()
			if _, err := c.Read(make([]byte, 1)); err != heartbeat.ErrPeerSilent {
				t.Errorf("Read = %v, want %v", err, heartbeat.ErrPeerSilent)
			}
			if _, err := c.Write([]byte{1}); err != heartbeat.ErrPeerSilent {
				t.Errorf("Write = %v, want %v", err, heartbeat.ErrPeerSilent)
			}
		})
	}
}
