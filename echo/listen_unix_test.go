//go:build unix

package echo_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unicode"

	"github.com/netparts/netparts/echo"
)

// wantNoFile checks that nothing is at path.
func wantNoFile(t testing.TB, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v, want no file", path, err)
	}
}

// unixNetworks are those that have socket files on this system.
func unixNetworks() []string {
	if runtime.GOOS == "darwin" {
		return []string{"unix", "unixgram"}
	}
	return []string{"unix", "unixpacket", "unixgram"}
}

// The socket file is there while the server is, and gone when it has ended.
func TestSocketFileIsRemoved(t *testing.T) {
	for name, end := range map[string]func(*echo.Server) error{
		"Close":    (*echo.Server).Close,
		"Shutdown": func(s *echo.Server) error { return s.Shutdown(t.Context()) },
	} {
		for _, network := range unixNetworks() {
			path := socketPath(t)
			var server echo.Server
			served := make(chan error, 1)
			go func() { served <- server.ListenAndServe(network, path) }()
			for server.Addr() == nil {
				runtime.Gosched()
			}
			if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket {
				t.Errorf("%s: Lstat = %v, %v", network, info, err)
			}
			if err := end(&server); err != nil {
				t.Errorf("%s of %s: %v", name, network, err)
			}
			if err := <-served; err != echo.ErrServerClosed {
				t.Errorf("%s: %v", network, err)
			}
			wantNoFile(t, path)
		}
	}
}

// A file that has taken its place belongs to another.
func TestSocketFileOfAnother(t *testing.T) {
	for _, network := range unixNetworks() {
		path := socketPath(t)
		var server echo.Server
		listenAndServe(t, &server, network, path)
		moved := filepath.Join(filepath.Dir(path), "moved")
		must(t, os.Rename(path, moved)) // not removed, so that its number is not taken again
		var second echo.Server
		listenAndServe(t, &second, network, path)
		must(t, server.Close())
		shutDown(t, &server)
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("%s: the file of the second server is gone: %v", network, err)
		}
		must(t, second.Close())
		shutDown(t, &second)
		wantNoFile(t, path)
	}
}

// A file that somebody has removed is no error.
func TestSocketFileThatIsGone(t *testing.T) {
	for _, network := range unixNetworks() {
		path := socketPath(t)
		var server echo.Server
		listenAndServe(t, &server, network, path)
		must(t, os.Remove(path))
		if err := server.Close(); err != nil {
			t.Errorf("%s: Close: %v", network, err)
		}
	}
}

// A path in use is an error, and what uses it goes on, even if it is only a file
// that was left behind.
func TestPathInUse(t *testing.T) {
	for _, network := range unixNetworks() {
		path := socketPath(t)
		var server, second echo.Server
		addr := listenAndServe(t, &server, network, path)
		if err := second.ListenAndServe(network, path); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s: %v, want %v", network, err, syscall.EADDRINUSE)
		}
		must(t, second.Close())
		var local *net.UnixAddr
		if network == "unixgram" {
			local = unixgram(socketPath(t))
		}
		conn, err := net.DialUnix(network, local, addr.(*net.UnixAddr))
		wantPacket(t, soon(t, conn, err), "still here")

		left := filepath.Join(t.TempDir(), "left")
		must(t, os.WriteFile(left, []byte("precious"), 0o600))
		var third echo.Server
		if err := third.ListenAndServe(network, left); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("%s on a file: %v, want %v", network, err, syscall.EADDRINUSE)
		}
		if b, err := os.ReadFile(left); string(b) != "precious" {
			t.Errorf("%s: the file is %q, %v", network, b, err)
		}
	}
}

func TestBadPaths(t *testing.T) {
	for _, network := range unixNetworks() {
		for _, path := range []string{
			filepath.Join(t.TempDir(), strings.Repeat("x", 108)),
			filepath.Join(t.TempDir(), "no folder", "s"),
		} {
			var server echo.Server
			if err := server.ListenAndServe(network, path); err == nil || err == echo.ErrServerClosed {
				t.Errorf("%s on %q: %v", network, path, err)
			}
			wantNoFile(t, path)
		}
	}
}

// What a client calls itself is not what a terminal gets to see.
func TestLogOfControlCharacters(t *testing.T) {
	const evil = "c\n\x1b[2J\r\x00\u202e"
	name := strings.ReplaceAll(evil, "\x00", "")
	for _, makeHandler := range []func(*bytes.Buffer) slog.Handler{
		func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		server := echo.Server{Logger: slog.New(makeHandler(&out))}
		for _, network := range unixNetworks() {
			path := socketPath(t)
			addr := listenAndServeAlso(t, &server, network, path)
			local := &net.UnixAddr{Net: network, Name: filepath.Join(t.TempDir(), name)}
			conn, err := net.DialUnix(network, local, addr)
			wantPacket(t, soon(t, conn, err), "ping\n\x1b[2J")
		}
		shutDown(t, &server)
		text := out.String()
		if n := strings.Count(text, "\n"); n != len(unixNetworks()) {
			t.Errorf("%d lines, want one for each network:\n%q", n, text)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }); i >= 0 {
			t.Errorf("a control character in %q", text[i:])
		}
	}
}

// listenAndServeAlso is for a server that serves others already.
func listenAndServeAlso(t *testing.T, server *echo.Server, network, path string) *net.UnixAddr {
	t.Helper()
	if network == "unixgram" {
		return listenPacket(t, server, network, path).(*net.UnixAddr)
	}
	l, err := net.Listen(network, path)
	must(t, err)
	run(t, server, func() error { return server.Serve(l) })
	return l.Addr().(*net.UnixAddr)
}
