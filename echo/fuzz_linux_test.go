package echo_test

import (
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/netparts/netparts/echo"
)

// recordPair is a pair of connected sockets that keep records.
func recordPair(t *testing.T) (a, b *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	must(t, err)
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(file)
		must(t, err)
		must(t, file.Close())
		conns[i] = conn.(*net.UnixConn)
	}
	return conns[0], conns[1]
}

// FuzzRecords sends records of any sizes, empty ones among them, and half-closes.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{})                       // an end at once
	f.Add([]byte{0})                      // an empty record, and the end
	f.Add([]byte{1, 0, 0, 2, 0x0f, 0xa2}) // empty ones among others
	f.Add([]byte{0xd6, 0, 0xd5})          // large ones
	f.Add([]byte{0x2e})                   // one that the kernel may tell the end before
	f.Fuzz(func(t *testing.T, plan []byte) {
		a, b := recordPair(t)
		soon(t, a, nil)
		raw, err := a.SyscallConn()
		must(t, err)
		must(t, raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1)
		}))
		must(t, err)
		client := &records{a, raw}
		var server echo.Server
		ended := serveConn(t.Context(), &server, b)
		go func() {
			for _, n := range sizes(plan) {
				if err := client.send(pattern(min(n, 150_000))); err != nil {
					t.Error(err)
				}
			}
			if err := client.CloseWrite(); err != nil {
				t.Error(err)
			}
		}()
		for _, n := range sizes(plan) {
			client.wantRecord(t, pattern(min(n, 150_000)))
		}
		client.wantEnd(t)
		must(t, <-ended)
	})
}
