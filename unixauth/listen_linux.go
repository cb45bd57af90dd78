package unixauth

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func socket() (int, error) {
	return unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
}

// closeToAll makes the file, when the socket is bound, one that nobody may connect to. That
// nobody listens yet does not suffice: the kernel looks first whether somebody may
// connect, and then whether somebody listens, and between the two the mode may change
// and listen be called.
func closeToAll(fd int) error { return os.NewSyscallError("fchmod", unix.Fchmod(fd, 0)) }

// justBound reports whether a socket's file may be the one that was just bound, which is as
// closeToAll made it. Another of ours is not: it has its mode already.
func justBound(mode os.FileMode) bool { return mode.Perm() == 0 }

// A bound is the file of a socket. Other than its path it cannot come to be another.
type bound struct{ file *os.File }

func openBound(path string) (bound, error) {
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	return bound{f}, err
}

func (b bound) close()                     { b.file.Close() } // nothing was written
func (b bound) stat() (os.FileInfo, error) { return b.file.Stat() }

func (b bound) chmod(mode os.FileMode) error {
	fd := int(b.file.Fd())
	if unix.Fchmodat(fd, "", uint32(mode), unix.AT_EMPTY_PATH) == nil {
		return nil
	}
	// Kernels before 6.6 have no fchmodat2, and some sandboxes forbid what they do
	// not know.
	return os.NewSyscallError("chmod", unix.Chmod("/proc/self/fd/"+strconv.Itoa(fd), uint32(mode)))
}

// dropACL removes the ACL that the file has if its folder has a default one. As long as the
// mode is 0 nobody gains by it; chmod would put it into force, and with it users
// and groups that the options do not name.
func (b bound) dropACL(path string) error {
	const name = "system.posix_acl_access"
	err := unix.Removexattr("/proc/self/fd/"+strconv.Itoa(int(b.file.Fd())), name)
	if err == nil || err == unix.ENODATA || err == unix.EOPNOTSUPP {
		return nil
	}
	// There may be no /proc, and then there should be no ACL.
	if _, getErr := unix.Lgetxattr(path, name, nil); getErr == nil {
		return fmt.Errorf("the default ACL of the folder: %w", os.NewSyscallError("removexattr", err))
	}
	return nil
}

func (b bound) chown(uid, gid int) error {
	return os.NewSyscallError("fchownat", unix.Fchownat(int(b.file.Fd()), "", uid, gid, unix.AT_EMPTY_PATH))
}
