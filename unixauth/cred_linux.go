package unixauth

import (
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// fewGroups is how many groups are read without knowing how many there are. Few
// processes have more.
const fewGroups = 64

// checkStream returns an error for all but Unix stream and packet sockets. For others the
// kernel would say that the peer is user -1, and call it a success; or, of a Bluetooth
// socket, that it is the user of this process.
func checkStream(fd int) error {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return os.NewSyscallError("getsockopt", err)
	}
	if domain != unix.AF_UNIX || kind != unix.SOCK_STREAM && kind != unix.SOCK_SEQPACKET {
		return errNotUnix
	}
	return nil
}

// readCred asks the kernel for the peer of a Unix socket.
func readCred(fd int) (Cred, error) {
	var u unix.Ucred
	n := uint32(unix.SizeofUcred)
	if errno := getsockopt(fd, unix.SO_PEERCRED, unsafe.Pointer(&u), &n); errno != 0 {
		return Cred{}, os.NewSyscallError("getsockopt", errno)
	}
	groups, known, err := readGroups(fd)
	return Cred{UID: u.Uid, GID: u.Gid, pid: u.Pid, groups: groups, groupsKnown: known}, err
}

// readGroups asks the kernel for the supplementary groups of the peer. Linux tells them
// since 4.13.
func readGroups(fd int) (groups []uint32, known bool, err error) {
	var few [fewGroups]uint32
	n := uint32(unsafe.Sizeof(few))
	errno := getsockopt(fd, unix.SO_PEERGROUPS, unsafe.Pointer(&few), &n)
	if errno == 0 {
		return slices.Clone(few[:n/4]), true, nil
	}
	if errno == unix.ERANGE { // and n is how much room they need
		groups = make([]uint32, n/4)
		errno = getsockopt(fd, unix.SO_PEERGROUPS, unsafe.Pointer(unsafe.SliceData(groups)), &n)
	}
	switch errno {
	case 0:
		return groups[:n/4], true, nil
	case unix.ENOPROTOOPT:
		return nil, false, nil
	}
	return nil, false, os.NewSyscallError("getsockopt", errno)
}

// getsockopt is the system call, which x/sys has for options of fixed size alone. On
// 386 and s390x it has a number of its own since Linux 4.3. It does not wait, so the
// scheduler need not be told of it.
func getsockopt(fd, option int, value unsafe.Pointer, n *uint32) unix.Errno {
	for {
		_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, uintptr(option),
			uintptr(value), uintptr(unsafe.Pointer(n)), 0)
		if errno != unix.EINTR {
			return errno
		}
	}
}
