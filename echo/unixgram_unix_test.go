//go:build unix

package echo_test

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/netparts/netparts/echo"
)

// unixgram is an address of a Unix datagram socket.
func unixgram(name string) *net.UnixAddr { return &net.UnixAddr{Net: "unixgram", Name: name} }

// bindUnixgram makes a socket with a deadline, whose file is at path.
func bindUnixgram(t testing.TB, path string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", unixgram(path))
	return soon(t, conn, err)
}

// A datagramPair is a server and a client that can be answered.
type datagramPair struct {
	server echo.Server
	log    journal
	addr   *net.UnixAddr
	client *net.UnixConn
}

func newDatagramPair(t testing.TB) *datagramPair {
	t.Helper()
	p := new(datagramPair)
	p.server.Logger = slog.New(&p.log)
	p.addr = listenPacket(t, &p.server, "unixgram", socketPath(t)).(*net.UnixAddr)
	p.client = bindUnixgram(t, socketPath(t))
	return p
}

// wantEcho sends a datagram from the client and wants it back from the server.
func (p *datagramPair) wantEcho(t testing.TB, message string) {
	t.Helper()
	_, err := p.client.WriteTo([]byte(message), p.addr)
	must(t, err)
	b := make([]byte, 1<<20)
	n, from, err := p.client.ReadFrom(b)
	if err != nil || string(b[:n]) != message || from.String() != p.addr.String() {
		t.Fatalf("read %d bytes %.40q from %v, %v, want %d bytes %.40q", n, b[:n], from, err, len(message), message)
	}
}

// wantTally shuts the server down and compares its record.
func (p *datagramPair) wantTally(t testing.TB, packets, dropped, ignored int64) {
	t.Helper()
	shutDown(t, &p.server)
	records := p.log.all()
	if len(records) != 1 {
		t.Fatalf("logged %v", records)
	}
	if r := records[0]; r["packets"] != packets || r["dropped"] != dropped || r["ignored"] != ignored {
		t.Errorf("logged %v, want %d packets, %d dropped, %d ignored", r, packets, dropped, ignored)
	}
}

func TestUnixgramSizes(t *testing.T) {
	p := newDatagramPair(t)
	for _, n := range []int{1, 1024, 1025, 2000} {
		p.wantEcho(t, string(pattern(n)))
	}
	p.wantTally(t, 4, 0, 0)
}

// Nobody can answer a sender that is not bound.
func TestUnboundUnixgramSender(t *testing.T) {
	p := newDatagramPair(t)
	conn, err := net.DialUnix("unixgram", nil, p.addr)
	soon(t, conn, err)
	for range 3 {
		_, err := conn.Write([]byte("anybody there?"))
		must(t, err)
	}
	p.wantEcho(t, "still here")
	p.wantTally(t, 1, 3, 0)
}

// Nor one whose socket file has vanished, or belongs to nobody any more.
func TestVanishedUnixgramSender(t *testing.T) {
	p := newDatagramPair(t)
	vanished := bindUnixgram(t, socketPath(t))
	must(t, os.Remove(vanished.LocalAddr().String()))
	_, err := vanished.WriteTo([]byte("ping"), p.addr)
	must(t, err)

	dead := bindUnixgram(t, socketPath(t))
	_, err = dead.WriteTo([]byte("ping"), p.addr)
	must(t, err)
	must(t, dead.Close())

	p.wantEcho(t, "still here")
	shutDown(t, &p.server)
	// The dead one may have been answered before it died.
	if r := p.log.all()[0]; r["packets"].(int64)+r["dropped"].(int64) != 3 || r["dropped"].(int64) < 1 {
		t.Errorf("logged %v", r)
	}
}

// A sender that does not read keeps nobody waiting.
func TestUnixgramSenderThatDoesNotRead(t *testing.T) {
	p := newDatagramPair(t)
	deaf := bindUnixgram(t, socketPath(t))
	begin := time.Now()
	for i := range 200 {
		_, err := deaf.WriteTo([]byte("ping"), p.addr)
		must(t, err)
		if i%10 == 0 {
			p.wantEcho(t, "meanwhile")
		}
	}
	p.wantEcho(t, "still here")
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("that took %v", took)
	}
	shutDown(t, &p.server)
	if r := p.log.all()[0]; r["dropped"].(int64) == 0 || r["packets"].(int64)+r["dropped"].(int64) != 221 {
		t.Errorf("logged %v, want some of 221 dropped", r)
	}
}

// A server does not answer itself.
func TestUnixgramFromTheServer(t *testing.T) {
	pc, err := net.ListenUnixgram("unixgram", unixgram(socketPath(t)))
	must(t, err)
	var log journal
	server := echo.Server{Logger: slog.New(&log)}
	_, err = pc.WriteTo([]byte("to myself"), pc.LocalAddr())
	must(t, err)
	run(t, &server, func() error { return server.ServePacket(pc) })
	client := bindUnixgram(t, socketPath(t))
	_, err = client.WriteTo([]byte("ping"), pc.LocalAddr())
	must(t, err)
	wantPacketRead(t, client, "ping")
	shutDown(t, &server)
	if r := log.all()[0]; r["ignored"] != int64(1) || r["packets"] != int64(1) {
		t.Errorf("logged %v", r)
	}
}

// Paths relative to the working directory work, also after it has changed.
func TestRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, network := range []string{"unix", "unixgram"} {
		var server echo.Server
		served := make(chan error, 1)
		name := "relative-" + network
		go func() { served <- server.ListenAndServe(network, name) }()
		here, err := os.Getwd()
		must(t, err)
		for server.Addr() == nil {
			select {
			case err := <-served:
				t.Fatal(err)
			default:
			}
		}
		t.Chdir(t.TempDir())
		must(t, server.Close())
		if err := <-served; err != echo.ErrServerClosed {
			t.Errorf("served: %v", err)
		}
		wantNoFile(t, filepath.Join(here, name))
	}
}
