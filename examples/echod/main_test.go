package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/netparts/netparts/internal/daemon"
)

// startDaemon runs the program.
func startDaemon(t *testing.T, network string, args ...string) *daemon.Daemon {
	t.Helper()
	return daemon.Start(t, run, network, append([]string{"-network", network, "-v"}, args...)...)
}

// echoes checks that conn answers.
func echoes(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "ping" {
		t.Errorf("echo is %q, %v", b, err)
	}
}

// dial connects to the program over any network but tls.
func dial(t *testing.T, network, addr string) net.Conn {
	t.Helper()
	var conn net.Conn
	var err error
	if network == "unixgram" {
		own := &net.UnixAddr{Net: network, Name: filepath.Join(t.TempDir(), "client")}
		conn, err = net.DialUnix(network, own, &net.UnixAddr{Net: network, Name: addr})
	} else {
		conn, err = net.Dial(network, addr)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestNetworks(t *testing.T) {
	for _, network := range []string{"tcp", "udp", "unix", "unixpacket", "unixgram"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if strings.HasPrefix(network, "unix") {
				if runtime.GOOS == "windows" || network == "unixpacket" && runtime.GOOS == "darwin" {
					t.Skip("this system has no such network")
				}
				address = filepath.Join(t.TempDir(), "server")
			}
			d := startDaemon(t, network, "-address", address)
			echoes(t, dial(t, network, d.Addr))
			d.End(t)
			if _, err := os.Lstat(d.Addr); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the socket file is left: %v", err)
			}
			if log := d.Stderr.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "bytes=4") {
				t.Errorf("the log is\n%s", log)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	// A package for tests has a certificate and its key.
	keeper := httptest.NewUnstartedServer(nil)
	keeper.StartTLS()
	defer keeper.Close()
	pair := keeper.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{
		cert:    {Type: "CERTIFICATE", Bytes: pair.Certificate[0]},
		keyFile: {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := startDaemon(t, "tls", "-address", "127.0.0.1:0", "-cert", cert, "-key", keyFile)
	roots := x509.NewCertPool()
	roots.AddCert(keeper.Certificate())
	conn, err := tls.Dial("tcp", d.Addr, &tls.Config{RootCAs: roots, ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	echoes(t, conn)
	d.End(t)
}

func TestLimits(t *testing.T) {
	d := startDaemon(t, "tcp", "-address", "127.0.0.1:0", "-max-conns", "1", "-idle", "100ms")
	first, second := dial(t, "tcp", d.Addr), dial(t, "tcp", d.Addr)
	echoes(t, first)
	echoes(t, second) // when the first has been closed for being idle
	if _, err := first.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the first connection: %v", err)
	}
	d.End(t)

	d = startDaemon(t, "tcp", "-address", "127.0.0.1:0", "-idle", "0")
	echoes(t, dial(t, "tcp", d.Addr))
	d.End(t)
}

func TestMisuse(t *testing.T) {
	for _, args := range [][]string{
		{"argument"},
		{"-network", "ip"},
		{"-network", "unix"},
		{"-network", "unixgram"},
		{"-network", "tls"},
		{"-network", "tls", "-cert", "c.pem"},
		{"-cert", "c.pem", "-key", "k.pem"},
		{"-clients", "c.pem"},
		{"-clients", ""},
		{"-reload", "1s"},
		{"-network", "tls", "-cert", "c.pem", "-key", "k.pem", "-clients", ""},
		{"-network", "tls", "-cert", "c.pem", "-key", "k.pem", "-reload", "0"},
		{"-network", "tls", "-clients", "c.pem"},
		{"-idle", "-1s"},
		{"-idle", "soon"},
		{"-max-conns", "-1"},
		{"-no-such-flag"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != 2 || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, want 2 and nothing", args, status, &stdout)
		}
		if !strings.Contains(stderr.String(), "Usage of echod") {
			t.Errorf("%q: stderr %q has no usage", args, &stderr)
		}
	}
	var stdout, stderr bytes.Buffer
	if status := run(t.Context(), []string{"-h"}, &stdout, &stderr); status != 0 {
		t.Errorf("-h: exit status %d", status)
	}
}

func TestFailure(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, args := range [][]string{
		{"-address", l.Addr().String()}, // in use
		{"-address", "nowhere"},
		{"-network", "unix", "-address", t.TempDir()},
		{"-network", "unixgram", "-address", filepath.Join(t.TempDir(), "none", "s")},
		{"-network", "tls", "-cert", "none.pem", "-key", "none.pem"},
	} {
		var stdout, stderr bytes.Buffer
		if status := run(t.Context(), args, &stdout, &stderr); status != 1 || stdout.Len() > 0 {
			t.Errorf("%q: exit status %d, stdout %q, want 1 and nothing", args, status, &stdout)
		}
		if s := stderr.String(); !strings.HasPrefix(s, "echod: ") || strings.Count(s, "\n") != 1 {
			t.Errorf("%q: stderr %q, want one line", args, s)
		}
	}
}

// brokenOutput fails.
type brokenOutput struct{}

func (brokenOutput) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// Nobody would learn the port if the first line cannot be written.
func TestFirstLineThatFails(t *testing.T) {
	var stderr bytes.Buffer
	status := run(t.Context(), []string{"-address", "127.0.0.1:0"}, brokenOutput{}, &stderr)
	if want := "echod: broken pipe\n"; status != 1 || stderr.String() != want {
		t.Errorf("exit status %d, stderr %q, want 1 and %q", status, &stderr, want)
	}
}

// TestMain lets the test binary be the program.
func TestMain(m *testing.M) {
	if os.Getenv("ECHOD_TEST_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// Both signals end the program well, and remove the socket file.
func TestSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no such signals")
	}
	for _, sig := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		path := filepath.Join(t.TempDir(), "server")
		cmd := exec.Command(os.Args[0], "-network", "unix", "-address", path)
		cmd.Env = append(os.Environ(), "ECHOD_TEST_MAIN=1")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		addr := daemon.FirstLine(t, stdout, "unix")
		conn := dial(t, "unix", addr)
		echoes(t, conn)
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%v: the connection: %v, want the end", sig, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v, stderr %q", sig, err, &stderr)
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: the socket file is left: %v", sig, err)
		}
	}
}
