package unixauth_test

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/unixauth"
)

// socketPair returns two sockets that are connected to each other.
func socketPair(kind int) (a, b net.Conn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socketpair")
		conns[i], err = net.FileConn(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, nil, err
		}
	}
	return conns[0], conns[1], nil
}

// unconnected returns a socket that is not connected.
func unconnected(domain, kind int) (net.Conn, error) {
	fd, err := syscall.Socket(domain, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "socket")
	conn, err := net.FileConn(file)
	return conn, errors.Join(err, file.Close())
}

// pair is socketPair for a test.
func pair(tb testing.TB, kind int) (a, b net.Conn) {
	tb.Helper()
	a, b, err := socketPair(kind)
	must(tb, err)
	tb.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestPeerCredOfThisProcess(t *testing.T) {
	want, err := os.Getgroups()
	must(t, err)
	for _, kind := range []int{syscall.SOCK_STREAM, syscall.SOCK_SEQPACKET} {
		conn, _ := pair(t, kind)
		for name, conn := range map[string]net.Conn{"itself": conn, "wrapped": wrapped{conn}, "embedded": embedded{conn.(*net.UnixConn)}} {
			c, err := unixauth.PeerCred(conn)
			must(t, err)
			if c.UID != uint32(os.Geteuid()) || c.GID != uint32(os.Getegid()) {
				t.Errorf("%s: uid %d, gid %d", name, c.UID, c.GID)
			}
			if pid, ok := c.PID(); pid != os.Getpid() || !ok {
				t.Errorf("%s: PID = %d, %t, want %d", name, pid, ok, os.Getpid())
			}
			groups, ok := c.Groups()
			if !ok || len(groups) != len(want) {
				t.Errorf("%s: Groups = %v, %t, want %v", name, groups, ok, want)
			}
			for _, gid := range want {
				if !slices.Contains(groups, uint32(gid)) || !c.HasGroup(uint32(gid)) {
					t.Errorf("%s: Groups = %v lacks %d", name, groups, gid)
				}
			}
		}
	}
}

// The kernel says of all these that the peer is user -1, and calls it a success, or names
// who made the socket.
func TestNoCredOfOtherSockets(t *testing.T) {
	unconnected := func(domain, kind int) net.Conn {
		conn, err := unconnected(domain, kind)
		must(t, err)
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	datagram, _ := pair(t, syscall.SOCK_DGRAM)
	for name, conn := range map[string]net.Conn{
		"datagram":             datagram,
		"unconnected stream":   unconnected(syscall.AF_UNIX, syscall.SOCK_STREAM),
		"unconnected packet":   unconnected(syscall.AF_UNIX, syscall.SOCK_SEQPACKET),
		"unconnected datagram": unconnected(syscall.AF_UNIX, syscall.SOCK_DGRAM),
		"UDP":                  unconnected(syscall.AF_INET, syscall.SOCK_DGRAM),
	} {
		for kind, conn := range map[string]net.Conn{"itself": conn, "embedded": hidden{conn, conn.(syscall.Conn)}} {
			if c, err := unixauth.PeerCred(conn); !errors.Is(err, unixauth.ErrNoCred) || c.String() != "unknown" {
				t.Errorf("%s, %s: PeerCred = %v, %v", name, kind, c, err)
			}
			if p, err := unixauth.PeerProcess(conn); !errors.Is(err, unixauth.ErrNoCred) || p != nil {
				t.Errorf("%s, %s: PeerProcess = %v, %v", name, kind, p, err)
			}
		}
	}
}

// File would make the connection blocking, and deadlines would count for nothing.
func TestPeerCredDoesNotMakeTheSocketBlocking(t *testing.T) {
	conn, other := pair(t, syscall.SOCK_STREAM)
	must(t, conn.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	before := descriptors(t)
	for i := range 10000 {
		if _, err := unixauth.PeerCred(conn); err != nil {
			t.Fatal(err)
		}
		if i%100 == 0 {
			p, err := unixauth.PeerProcess(conn)
			if err != nil && kernel(t, 6, 5) {
				t.Fatal(err)
			}
			if err == nil {
				must(t, p.Close())
			}
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, and then %d", before, after)
	}
	raw, err := conn.(*net.UnixConn).SyscallConn()
	must(t, err)
	var flags int
	var flagsErr error
	must(t, raw.Control(func(fd uintptr) { flags, flagsErr = unix.FcntlInt(fd, unix.F_GETFL, 0) }))
	if flagsErr != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("flags %#x, %v: O_NONBLOCK is gone", flags, flagsErr)
	}
	// Should the deadline be ignored, this ends the wait.
	stop := time.AfterFunc(patience, func() { other.Close() })
	defer stop.Stop()
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v, want the deadline that was set before", err)
	}
	must(t, conn.SetReadDeadline(time.Now().Add(20*time.Millisecond)))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v, want the deadline that was set afterwards", err)
	}
}

// descriptors returns how many descriptors this process has.
func descriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	must(tb, err)
	return len(entries)
}

// A process that has ended keeps its number in the credentials, and its descriptor, which
// says that it has.
func TestPeerThatExited(t *testing.T) {
	conn, c := peer(t, "peer", nil)
	must(t, conn.SetReadDeadline(time.Now().Add(patience)))
	if !kernel(t, 6, 5) {
		t.Skip("the kernel has no descriptors of peers")
	}
	p, err := unixauth.PeerProcess(conn)
	must(t, err)
	defer p.Close()
	if ended, err := p.Exited(); ended || err != nil {
		t.Errorf("Exited = %t, %v, of a process that runs", ended, err)
	}
	c.end(t)
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("Read = %v, want EOF", err)
	}
	if ended, err := p.Exited(); !ended || err != nil {
		t.Errorf("Exited = %t, %v, of a process that has ended", ended, err)
	}
	cred, err := unixauth.PeerCred(conn)
	must(t, err)
	if pid, ok := cred.PID(); pid != c.cmd.Process.Pid || !ok {
		t.Errorf("PID = %d, %t, want %d", pid, ok, c.cmd.Process.Pid)
	}

	late, err := unixauth.PeerProcess(conn)
	if !kernel(t, 6, 16) && errors.Is(err, os.ErrProcessDone) {
		return
	}
	must(t, err)
	if ended, err := late.Exited(); !ended || err != nil {
		t.Errorf("Exited = %t, %v, of a descriptor of a process that had ended", ended, err)
	}
	must(t, late.Close())
	if _, err := late.Exited(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Exited = %v after Close, want os.ErrClosed", err)
	}
}

// The descriptor is not inherited by the programs that this process starts.
func TestProcessIsClosedOnExec(t *testing.T) {
	if !kernel(t, 6, 5) {
		t.Skip("the kernel has no descriptors of peers")
	}
	conn, _ := pair(t, syscall.SOCK_STREAM)
	p, err := unixauth.PeerProcess(conn)
	must(t, err)
	defer p.Close()
	raw, err := p.File().SyscallConn()
	must(t, err)
	var flags int
	must(t, raw.Control(func(fd uintptr) { flags, err = unix.FcntlInt(fd, unix.F_GETFD, 0) }))
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}
