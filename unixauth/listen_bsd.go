//go:build darwin || freebsd

package unixauth

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket holds the lock until the descriptor is one that processes that are started
// meanwhile do not inherit.
func socket() (int, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd) // that error is the one to tell
		return -1, err
	}
	return fd, nil
}

// closeToAll does nothing: a socket has no mode here before it is bound, and the file gets
// what the umask leaves. FreeBSD holds a lock on the file while it looks whether somebody
// may connect and whether somebody listens, so that the mode is not changed in
// between.
func closeToAll(int) error { return nil }

// justBound reports true: what mode a new file has is not known here.
func justBound(os.FileMode) bool { return true }

// A bound is the file of a socket, by its path: it cannot be opened here. No symbolic link
// is followed.
type bound struct{ path string }

func openBound(path string) (bound, error) { return bound{path}, nil }

// dropACL does nothing: what a folder hands on here stays in force.
func (b bound) dropACL(string) error { return nil }

func (b bound) close()                     {}
func (b bound) stat() (os.FileInfo, error) { return os.Lstat(b.path) }

func (b bound) chmod(mode os.FileMode) error {
	return os.NewSyscallError("fchmodat", unix.Fchmodat(unix.AT_FDCWD, b.path, uint32(mode), unix.AT_SYMLINK_NOFOLLOW))
}

func (b bound) chown(uid, gid int) error {
	return os.Lchown(b.path, uid, gid)
}
