//go:build linux

package unixauthbench

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/netparts/netparts/internal/bench/lab"
	"github.com/netparts/netparts/unixauth"
)

const aboutPeer = " The peer is a process of another user with five supplementary groups, or this process " +
	"with its own where it may not become another user."

// credentials asks who the peer of one connection is.
func credentials() lab.Case {
	return lab.Case{
		Name:    "credentials, five groups",
		About:   "Asks the kernel who the peer of a connection is, and compares user and groups each time." + aboutPeer,
		Sides:   lab.Sides(lab.Ours, sideCalls),
		Metrics: lab.CallMetrics("µs"),
		Targets: []lab.Target{
			{
				Metric: "µs CPU", AtMost: 0.7,
				Reason: "The two system calls alone take longer than that where entering the kernel is slow, as " +
					"in virtual machines, and no call answers for both. About nine tenths of the profile are in " +
					"them; the rest is the lock on the descriptor and the slice of groups.",
			},
			{Metric: lab.Allocs, AtMost: 1},
		},
		Run: func(t *lab.T) {
			who := client(t)
			conn := connect(t, &who)
			calls := lab.Calls{
				T: t, Unit: "µs", Count: lab.Of(t, 100_000, 4), Slice: lab.Of(t, 5000, 2),
				Work: map[string]func(int) error{
					lab.Ours:  func(n int) error { return askOurs(conn, &who, n) },
					sideCalls: func(n int) error { return askKernel(conn, &who, n) },
				},
			}
			calls.Run()
		},
	}
}

// database asks what groups the peer has, or its user.
func database() lab.Case {
	return lab.Case{
		Name: "groups of the peer",
		About: "Asks who the peer of a connection is, and what groups it has: the kernel, or for its user the " +
			"user database. The database must " +
			"list the primary group." + aboutPeer,
		Sides:   lab.Sides(lab.Ours, sideDatabase),
		Metrics: lab.CallMetrics("µs"),
		Targets: []lab.Target{{
			Metric: "µs CPU", Than: sideDatabase, AtMost: 1. / 20,
			Reason: "Without cgo os/user reads two small files itself, which takes some ten to thirty times as " +
				"long as the two system calls of ours, so that the limit is near what can be reached at all. " +
				"Through the C library, and with a directory service, the database takes many times longer.",
		}},
		Run: func(t *lab.T) {
			who := client(t)
			needDatabase(t, &who)
			conn := connect(t, &who)
			calls := lab.Calls{
				T: t, Unit: "µs", Count: lab.Of(t, 2000, 4), Slice: lab.Of(t, 500, 2),
				Work: map[string]func(int) error{
					lab.Ours:     func(n int) error { return askOurs(conn, &who, n) },
					sideDatabase: func(n int) error { return askDatabase(conn, &who, n) },
				},
			}
			calls.Run()
		},
	}
}

// connect returns the server's end of a connection from a client.
func connect(t *lab.T, who *identity) *net.UnixConn {
	l, err := net.Listen("unix", freshName())
	t.Fatal(err)
	defer l.Close() // nobody else connects to it
	t.Fatal(l.(*net.UnixListener).SetDeadline(time.Now().Add(patience)))
	p := startClient(t, who)
	lab.Tell[answer](p, order{Do: doDial, Addr: l.Addr().String()})
	conn, err := l.Accept()
	t.Fatal(err)
	t.Cleanup(func() { t.Fatal(conn.Close()) })
	return conn.(*net.UnixConn)
}

var errWrongPeer = errors.New("it is somebody else")

func askOurs(conn *net.UnixConn, who *identity, n int) error {
	for range n {
		c, err := unixauth.PeerCred(conn)
		if err != nil {
			return err
		}
		if groups, ok := c.Groups(); !ok || c.UID != who.UID || c.GID != who.GID || !slices.Equal(groups, who.Groups) {
			return fmt.Errorf("%w: %v", errWrongPeer, c)
		}
	}
	return nil
}

// askKernel makes the two system calls. The lock on the descriptor is taken once for all.
func askKernel(conn *net.UnixConn, who *identity, n int) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var callErr error
	err = raw.Control(func(fd uintptr) {
		var u unix.Ucred
		groups := make([]uint32, len(who.Groups)+1) // it may have none
		for range n {
			size := uint32(unix.SizeofUcred)
			if callErr = getsockopt(fd, unix.SO_PEERCRED, unsafe.Pointer(&u), &size); callErr != nil {
				return
			}
			size = uint32(4 * len(groups))
			if callErr = getsockopt(fd, unix.SO_PEERGROUPS, unsafe.Pointer(&groups[0]), &size); callErr != nil {
				return
			}
			if u.Uid != who.UID || u.Gid != who.GID || !slices.Equal(groups[:size/4], who.Groups) {
				callErr = errWrongPeer
				return
			}
		}
	})
	return errors.Join(err, callErr)
}

func getsockopt(fd, option uintptr, value unsafe.Pointer, size *uint32) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, option,
		uintptr(value), uintptr(unsafe.Pointer(size)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func askDatabase(conn *net.UnixConn, who *identity, n int) error {
	for range n {
		uid, ok, err := databaseAllows(conn, who.GID)
		if err != nil {
			return err
		}
		if !ok || uid != who.UID {
			return errWrongPeer
		}
	}
	return nil
}

// databaseAllows reports who the peer is, and whether the user database lists the group for
// it.
func databaseAllows(conn *net.UnixConn, gid uint32) (uid uint32, ok bool, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false, err
	}
	var u *unix.Ucred
	var callErr error
	err = raw.Control(func(fd uintptr) { u, callErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err := errors.Join(err, callErr); err != nil {
		return 0, false, err
	}
	ok, err = inDatabase(u.Uid, gid)
	return u.Uid, ok, err
}
