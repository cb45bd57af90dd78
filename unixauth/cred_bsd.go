//go:build darwin || freebsd

package unixauth

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// solLocal is SOL_LOCAL, the level of the options of Unix sockets. It is also that of the
// options of IP, so what kind of socket it is must be known first.
const solLocal = 0

// checkStream returns an error for all but Unix stream and packet sockets.
func checkStream(fd int) error {
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return os.NewSyscallError("getsockname", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	_, isUnix := addr.(*unix.SockaddrUnix)
	if !isUnix || kind != unix.SOCK_STREAM && kind != unix.SOCK_SEQPACKET {
		return errNotUnix
	}
	return nil
}

// readCred asks the kernel for the peer of a Unix socket. The first of its groups is the
// effective group id of the process, and the others are the supplementary groups, of
// which there is room for 15.
func readCred(fd int) (Cred, error) {
	x, err := unix.GetsockoptXucred(fd, solLocal, unix.LOCAL_PEERCRED)
	if err != nil {
		return Cred{}, os.NewSyscallError("getsockopt", err)
	}
	if x.Version != 0 || x.Ngroups < 1 || int(x.Ngroups) > len(x.Groups) {
		return Cred{}, errNotUnix
	}
	groups := slices.Clone(x.Groups[1:x.Ngroups])
	return Cred{UID: x.Uid, GID: x.Groups[0], groups: groups, groupsKnown: true, pid: peerPID(fd)}, nil
}
