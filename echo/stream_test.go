package echo_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/echo"
	"github.com/netparts/netparts/internal/memnet"
)

var streams = []string{"tcp", "unix", "tls"}

// A client that half-closes gets every byte, and then the end.
func TestHalfClose(t *testing.T) {
	sent := pattern(8 << 20)
	for _, network := range streams {
		t.Run(network, func(t *testing.T) {
			var server echo.Server
			addr := listen(t, &server, network)
			for _, n := range []int{0, 1, 512, 16 << 10, 16<<10 + 1, len(sent)} {
				wantWholeEcho(t, dial(t, network, addr), sent[:n])
			}
		})
	}
}

// The same by the methods of connections that are no sockets.
func TestHalfCloseOfOtherConnections(t *testing.T) {
	sent := pattern(1 << 20)
	for _, n := range []int{0, 1, 511, 512, 513, 16 << 10, 16<<10 + 1, len(sent)} {
		var server echo.Server
		client, conn := memnet.Pipe()
		ended := serveConn(t.Context(), &server, conn)
		wantWholeEcho(t, soon(t, client, nil), sent[:n])
		must(t, <-ended)
	}
}

// A wrapped is a connection of a type that the server does not know.
type wrapped struct{ net.Conn }

// What a caller wraps has methods that count, so the socket in it is not read
// behind their back.
func TestWrappedSocket(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			l, err := net.Listen(network, address(t, network))
			must(t, err)
			var server echo.Server
			run(t, &server, func() error { return server.Serve(wrapping{l}) })
			wantWholeEcho(t, dial(t, network, l.Addr()), pattern(1<<20))
		})
	}
}

// A wrapping is a listener of such connections.
type wrapping struct{ net.Listener }

func (l wrapping) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return wrapped{conn}, err
}

func TestNetPipe(t *testing.T) {
	client, conn := net.Pipe()
	var server echo.Server
	ended := serveConn(t.Context(), &server, conn)
	soon(t, client, nil)
	for _, message := range []string{"p", "ping", strings.Repeat("long", 100), strings.Repeat("x", 512)} {
		wantEcho(t, client, message)
	}
	must(t, client.Close())
	if err := <-ended; err != nil {
		t.Errorf("ServeConn: %v", err)
	}
}

// A stutterer returns what it reads together with the end, as an io.Reader may.
type stutterer struct {
	net.Conn
	rest []byte
}

func (s *stutterer) Read(b []byte) (int, error) {
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	if len(s.rest) == 0 {
		return n, io.EOF
	}
	return n, nil
}

func TestBytesThatComeWithTheEnd(t *testing.T) {
	client, conn := net.Pipe()
	soon(t, client, nil)
	var server echo.Server
	ended := serveConn(t.Context(), &server, &stutterer{Conn: conn, rest: pattern(3000)})
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, pattern(3000)) {
		t.Errorf("%d bytes came back, %v, want 3000", len(got), err)
	}
	if err := <-ended; err != nil {
		t.Errorf("ServeConn: %v", err)
	}
}

func TestManyClients(t *testing.T) {
	for _, network := range streams {
		t.Run(network, func(t *testing.T) {
			var server echo.Server
			addr := listen(t, &server, network)
			sent := pattern(100_000)
			var clients sync.WaitGroup
			for i := range 30 {
				conn := dial(t, network, addr)
				clients.Go(func() { wantWholeEcho(t, conn, sent[i*1000:]) })
			}
			clients.Wait()
		})
	}
}

// Buffers go from one connection to another, and none is used by two.
func TestBuffersAreNotShared(t *testing.T) {
	var network memnet.Network
	l, err := network.Listen("tcp", "192.0.2.1:7")
	must(t, err)
	var server echo.Server
	run(t, &server, func() error { return server.Serve(l) })
	var clients sync.WaitGroup
	for i := range 20 {
		conn, err := network.Dial("tcp", "192.0.2.1:7")
		soon(t, conn, err)
		clients.Go(func() {
			for n := range 100 {
				sent := bytes.Repeat([]byte{byte(i)}, 1+n*n%3000)
				got := make([]byte, len(sent))
				_, err := conn.Write(sent)
				if err == nil {
					_, err = io.ReadFull(conn, got)
				}
				if err != nil || !bytes.Equal(got, sent) {
					t.Errorf("client %d got %.40q, %v", i, got, err)
					return
				}
			}
		})
	}
	clients.Wait()
}

// A client that resets its connection ends that and nothing else.
func TestReset(t *testing.T) {
	var log journal
	server := echo.Server{Logger: slog.New(&log)}
	addr := listen(t, &server, "tcp")
	other := dial(t, "tcp", addr)
	for range 10 {
		conn := dial(t, "tcp", addr).(*net.TCPConn)
		wantEcho(t, conn, "ping")
		_, err := conn.Write(pattern(100_000))
		must(t, err)
		must(t, conn.SetLinger(0))
		must(t, conn.Close())
	}
	wantEcho(t, other, "still here")
	shutDown(t, &server)
	wantEnd(t, other)
	records := log.all()
	if len(records) != 11 {
		t.Fatalf("%d records, want 11: %v", len(records), records)
	}
	for _, r := range records {
		_, failed := r["error"]
		if clean := r["remote"] == other.LocalAddr().String(); r["msg"] != "connection ended" || failed == clean {
			t.Errorf("record %v", r)
		}
	}
}

// Of each connection one record tells how it went.
func TestRecordOfAConnection(t *testing.T) {
	for _, network := range streams {
		t.Run(network, func(t *testing.T) {
			var log journal
			server := echo.Server{Logger: slog.New(&log)}
			conn := dial(t, network, listen(t, &server, network))
			wantWholeEcho(t, conn, pattern(12345))
			shutDown(t, &server)
			records := log.all()
			if len(records) != 1 {
				t.Fatalf("%d records, want 1: %v", len(records), records)
			}
			r := records[0]
			duration, ok := r["duration"].(time.Duration)
			if r["bytes"] != int64(12345) || r["remote"] != conn.LocalAddr().String() || r["error"] != nil || !ok || duration <= 0 {
				t.Errorf("record %v", r)
			}
		})
	}
}

// At the limit a client waits in the backlog until another one leaves.
func TestMaxConns(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			server := echo.Server{MaxConns: 2}
			addr := listen(t, &server, network)
			first, second := dial(t, network, addr), dial(t, network, addr)
			wantEcho(t, first, "first")
			wantEcho(t, second, "second")
			third := dial(t, network, addr)
			_, err := third.Write([]byte("third"))
			must(t, err)
			must(t, third.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
			var timeout net.Error
			if n, err := third.Read(make([]byte, 5)); !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Errorf("at the limit Read = %d, %v, want a timeout", n, err)
			}
			must(t, third.SetReadDeadline(time.Now().Add(patience)))
			wantEcho(t, first, "still served")
			must(t, second.Close())
			wantRead(t, third, "third")
		})
	}
}
