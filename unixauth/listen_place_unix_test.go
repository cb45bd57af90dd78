//go:build linux || darwin || freebsd

package unixauth_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/unixauth"
)

// makeDead makes a socket that nobody listens on.
func makeDead(tb testing.TB, path string) {
	tb.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	must(tb, err)
	l.SetUnlinkOnClose(false)
	must(tb, l.Close())
}

// A server that was killed leaves its file behind.
func TestListenReplacesDeadSocket(t *testing.T) {
	for name, makeIt := range map[string]func(testing.TB, string){"stream": makeDead, "datagram": makeDeadDatagram} {
		path := socketPath(t)
		makeIt(t, path)
		l := listen(t, path, unixauth.Options{Mode: 0o640})
		info, err := os.Lstat(path)
		must(t, err)
		if info.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		wantGreeting(t, l, path)
	}
}

// makeDeadDatagram makes a datagram socket that nobody has open.
func makeDeadDatagram(tb testing.TB, path string) {
	tb.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	must(tb, err)
	must(tb, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	must(tb, unix.Close(fd))
}

// What is at the path stays as it is, and the error says what it is.
func TestListenWhereSomethingIs(t *testing.T) {
	for _, tt := range []struct {
		want string
		make func(path string) error
	}{
		{"a regular file", func(path string) error { return os.WriteFile(path, []byte("kept"), 0o600) }},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }},
		{"a named pipe", func(path string) error { return unix.Mkfifo(path, 0o600) }},
		{"a symbolic link", func(path string) error { return os.Symlink("none", path) }},
		{"a symbolic link", func(path string) error {
			makeDead(t, path+"dead")
			return os.Symlink(path+"dead", path)
		}},
		{"a symbolic link", func(path string) error {
			return errors.Join(os.WriteFile(path+"file", nil, 0o600), os.Symlink(path+"file", path))
		}},
	} {
		path := socketPath(t)
		must(t, tt.make(path))
		before, err := os.Lstat(path)
		must(t, err)
		l, err := unixauth.Listen(path, unixauth.Options{})
		if l != nil || !errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), tt.want+" is there") {
			t.Errorf("%s: Listen = %v, %v", tt.want, l, err)
		}
		after, err := os.Lstat(path)
		must(t, err)
		if !os.SameFile(before, after) || before.Mode() != after.Mode() || before.Size() != after.Size() || before.ModTime() != after.ModTime() {
			t.Errorf("%s: it was %v and is %v", tt.want, before, after)
		}
		if target, err := os.Readlink(path); err == nil && target != "none" {
			if _, err := os.Lstat(target); err != nil {
				t.Errorf("what the link leads to: %v", err)
			}
		}
	}
}

// wantLive checks that path is said to be a live socket's.
func wantLive(tb testing.TB, path string) {
	tb.Helper()
	before, err := os.Lstat(path)
	must(tb, err)
	l, err := unixauth.Listen(path, unixauth.Options{})
	if l != nil || !errors.Is(err, fs.ErrExist) || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "a live socket is there") {
		tb.Errorf("Listen = %v, %v, want that a live socket is there", l, err)
	}
	if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
		tb.Errorf("the live socket is gone: %v", err)
	}
}

func TestListenWhereALiveSocketIs(t *testing.T) {
	t.Run("ours", func(t *testing.T) {
		path := socketPath(t)
		l := listen(t, path, unixauth.Options{})
		wantLive(t, path)
		conn, err := l.Accept() // that it was asked whether it lives
		must(t, err)
		must(t, conn.Close())
		wantGreeting(t, l, path)
	})
	for _, network := range []string{"unix", "unixpacket"} {
		t.Run(network, func(t *testing.T) {
			path := socketPath(t)
			l, err := net.Listen(network, path)
			if network == "unixpacket" && errors.Is(err, syscall.EPROTONOSUPPORT) {
				return // as on macOS
			}
			must(t, err)
			defer l.Close()
			wantLive(t, path)
		})
	}
	t.Run("datagrams", func(t *testing.T) {
		path := socketPath(t)
		conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
		must(t, err)
		defer conn.Close()
		wantLive(t, path)
	})
}

// Several servers are started for one path, where the last one left a dead socket. One
// has it, and the others hear that it lives.
func TestListenRace(t *testing.T) {
	const rounds, servers = 100, 8
	path := socketPath(t)
	for round := range rounds {
		if round%2 == 0 {
			makeDead(t, path)
		}
		var wg sync.WaitGroup
		begin := make(chan struct{})
		listeners := make([]net.Listener, servers)
		errs := make([]error, servers)
		for i := range servers {
			wg.Go(func() {
				<-begin
				listeners[i], errs[i] = unixauth.Listen(path, unixauth.Options{})
			})
		}
		close(begin)
		wg.Wait()
		wantOneWinner(t, path, listeners, errs)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
	}
}

// wantOneWinner checks that one listener has the path, and closes it.
func wantOneWinner(t *testing.T, path string, listeners []net.Listener, errs []error) {
	t.Helper()
	var winner net.Listener
	for i, l := range listeners {
		switch {
		case errs[i] == nil && winner == nil:
			winner = l
		case errs[i] == nil:
			t.Error("there are two winners")
			l.Close()
		case !errors.Is(errs[i], fs.ErrExist) || !errors.Is(errs[i], syscall.EADDRINUSE):
			t.Errorf("the loser's error: %v", errs[i])
		}
	}
	if winner == nil {
		t.Fatal("there is no winner")
	}
	go func() {
		for {
			// The losers have connected to ask, and are gone.
			if err := greet(winner, "winner"); errors.Is(err, net.ErrClosed) {
				return
			}
		}
	}()
	if got, err := greeting("unix", path); got != "winner" || err != nil {
		t.Errorf("greeting %q, %v", got, err)
	}
	must(t, winner.Close())
	wantNothing(t, filepath.Dir(path))
}

// Servers that come and go, one of which is closed while others begin. None removes the
// file of another, and there are never two.
func TestListenWhileOthersClose(t *testing.T) {
	const rounds, servers = 200, 4
	path := socketPath(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	served := 0
	for range servers {
		wg.Go(func() {
			for range rounds {
				l, err := unixauth.Listen(path, unixauth.Options{})
				if errors.Is(err, syscall.EADDRINUSE) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock() // at the end of a Listen, the one before must have been closed
				served++
				if _, err := os.Lstat(path); err != nil {
					t.Errorf("the file of one that listens: %v", err)
				}
				mu.Unlock()
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if served == 0 {
		t.Error("nobody has listened")
	}
	wantNothing(t, filepath.Dir(path))
}
