package echo_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/netparts/netparts/echo"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// soon gives conn a deadline and closes it at the end of the test.
func soon[C interface {
	SetDeadline(time.Time) error
	Close() error
}](t testing.TB, conn C, err error,
) C {
	t.Helper()
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// A stream is what the connections of clients have in common.
type stream interface {
	net.Conn
	CloseWrite() error
}

// pattern returns n bytes that differ from place to place.
func pattern(n int) []byte {
	b := make([]byte, n)
	_, _ = mathrand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// run calls a method of server that serves, and checks at the end of the test
// that it ends with ErrServerClosed and leaves nothing behind.
func run(t testing.TB, server *echo.Server, serve func() error) {
	t.Helper()
	served := make(chan error, 1)
	go func() { served <- serve() }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown after Close: %v", err)
		}
		if err := <-served; err != echo.ErrServerClosed {
			t.Errorf("served: %v, want %v", err, echo.ErrServerClosed)
		}
	})
}

// serveConn serves one connection, and returns where it is told how that ended.
func serveConn(ctx context.Context, server *echo.Server, conn net.Conn) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- server.ServeConn(ctx, conn) }()
	return ended
}

// socketPath returns where a test may make a socket file.
func socketPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "s")
}

// address returns where a server may listen.
func address(t testing.TB, network string) string {
	t.Helper()
	switch network {
	case "unix", "unixpacket", "unixgram":
		return socketPath(t)
	case "tcp6", "udp6":
		return "[::1]:0"
	}
	return "127.0.0.1:0"
}

// listen makes server listen on a stream network, "tls" included.
func listen(t testing.TB, server *echo.Server, network string) net.Addr {
	t.Helper()
	var l net.Listener
	var err error
	if network == "tls" {
		serverTLS, _ := certificate()
		l, err = tls.Listen("tcp", address(t, network), serverTLS)
	} else {
		l, err = net.Listen(network, address(t, network))
	}
	must(t, err)
	run(t, server, func() error { return server.Serve(l) })
	return l.Addr()
}

// listenPacket makes server serve a packet socket at a given address.
func listenPacket(t testing.TB, server *echo.Server, network, address string) net.Addr {
	t.Helper()
	pc, err := net.ListenPacket(network, address)
	must(t, err)
	run(t, server, func() error { return server.ServePacket(pc) })
	return pc.LocalAddr()
}

// listenAndServe does it by one call, and returns when the server listens.
func listenAndServe(t testing.TB, server *echo.Server, network, address string) net.Addr {
	t.Helper()
	run(t, server, func() error { return server.ListenAndServe(network, address) })
	for begin := time.Now(); server.Addr() == nil; runtime.Gosched() {
		if time.Since(begin) > patience {
			t.Fatalf("ListenAndServe(%q, %q) does not listen", network, address)
		}
	}
	return server.Addr()
}

// dial connects to a server of a stream network, with a deadline.
func dial(t testing.TB, network string, addr net.Addr) stream {
	t.Helper()
	if network == "tls" {
		_, clientTLS := certificate()
		conn, err := tls.Dial("tcp", addr.String(), clientTLS)
		return soon(t, conn, err)
	}
	conn, err := net.Dial(network, addr.String())
	must(t, err)
	return soon(t, conn.(stream), nil)
}

// wantEcho writes to a stream and reads the echo.
func wantEcho(t testing.TB, conn io.ReadWriter, message string) {
	t.Helper()
	if n, err := io.WriteString(conn, message); n != len(message) || err != nil {
		t.Fatalf("Write(%q) = %d, %v", message, n, err)
	}
	wantRead(t, conn, message)
}

// wantRead reads what a stream should have echoed, in as many reads as it takes.
func wantRead(t testing.TB, conn io.Reader, message string) {
	t.Helper()
	got := make([]byte, len(message))
	if n, err := io.ReadFull(conn, got); err != nil || string(got) != message {
		t.Fatalf("echo is %.80q, %v, want %.80q", got[:n], err, message)
	}
}

// wantEnd checks that a stream ends, without more bytes.
func wantEnd(t testing.TB, conn io.Reader) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read = %d, %v, want 0, EOF", n, err)
	}
}

// wantPacket writes to a connected packet socket and reads the echo.
func wantPacket(t testing.TB, conn io.ReadWriter, message string) {
	t.Helper()
	if n, err := io.WriteString(conn, message); n != len(message) || err != nil {
		t.Fatalf("Write(%.80q) = %d, %v", message, n, err)
	}
	wantPacketRead(t, conn, message)
}

// wantPacketRead reads one packet.
func wantPacketRead(t testing.TB, conn io.Reader, message string) {
	t.Helper()
	got := make([]byte, 1<<20)
	n, err := conn.Read(got)
	if err != nil || string(got[:n]) != message {
		t.Fatalf("read %d bytes %.80q, %v, want %d bytes %.80q", n, got[:n], err, len(message), message)
	}
}

// A journal is a slog.Handler that keeps what is logged.
type journal struct {
	mu      sync.Mutex
	records []map[string]any
}

func (*journal) Enabled(context.Context, slog.Level) bool { return true }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	m := map[string]any{"msg": r.Message}
	r.Attrs(func(a slog.Attr) bool {
		m[a.Key] = a.Value.Any()
		return true
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records = append(j.records, m)
	return nil
}

func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j }
func (j *journal) WithGroup(string) slog.Handler      { return j }

// all returns the records so far.
func (j *journal) all() []map[string]any {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]map[string]any(nil), j.records...)
}

// shutDown shuts server down, so that all has been logged.
func shutDown(t testing.TB, server *echo.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Fatalf("Shutdown: %v", err)
	}
}

// certificate returns configurations of a server and of its clients.
var certificate = sync.OnceValues(func() (server, client *tls.Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"echo.example"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<34, 0),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}}}
	return server, &tls.Config{RootCAs: roots, ServerName: "echo.example"}
})

// wantWholeEcho sends all, half-closes, and wants it back with the end after it.
func wantWholeEcho(t testing.TB, conn stream, sent []byte) {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		_, err := conn.Write(sent)
		if err == nil {
			err = conn.CloseWrite()
		}
		written <- err
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came back, %v, want the %d that were sent", len(got), err, len(sent))
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}
