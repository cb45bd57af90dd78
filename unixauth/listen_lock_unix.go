//go:build linux || darwin || freebsd

package unixauth

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockPatience is how long the lock of a folder is waited for. Others hold it for the
// few system calls of a Listen.
const lockPatience = 5 * time.Second

// A folderLock keeps other servers from the folder of a socket: one that is bound and does
// not listen yet looks dead to them. It is a lock on the folder itself, so that no
// file is left behind, and ends with the process.
type folderLock struct {
	folder *os.File
	err    error // why there is none, if there is none
}

// lockFolder waits for the lock. To have none is no error, also if another keeps it: all who
// may read the folder can, and shall not keep this process from listening.
func lockFolder(folder string) (folderLock, error) {
	f, err := os.OpenFile(folder, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrPermission) {
		return folderLock{err: err}, nil
	}
	if err != nil {
		return folderLock{}, err
	}
	fd := int(f.Fd())
	begin := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return folderLock{folder: f}, nil
		case err == unix.EINTR:
		case err != unix.EWOULDBLOCK: // such as of a network file system
			f.Close() // nothing was written
			return folderLock{err: os.NewSyscallError("flock", err)}, nil
		case time.Since(begin) > lockPatience:
			f.Close() // nothing was written
			return folderLock{err: fmt.Errorf("the folder is locked by another process: %w", os.NewSyscallError("flock", err))}, nil
		default:
			time.Sleep(pause)
		}
	}
}

// tryLockFolder returns the lock if it can be had at once, and otherwise none.
func tryLockFolder(folder string) folderLock {
	f, err := os.OpenFile(folder, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return folderLock{err: err}
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close() // nothing was written
		return folderLock{err: err}
	}
	return folderLock{folder: f}
}

func (l folderLock) close() {
	if l.folder != nil {
		l.folder.Close() // nothing was written
	}
}

// absolute returns where path stays to be found when the process changes its folder. It
// does not clean the path, which symbolic links give another meaning.
func absolute(path string) (string, error) {
	if path[0] == '/' {
		return path, nil
	}
	wd, err := os.Getwd()
	return wd + "/" + path, err
}

// folderOf returns the folder of path, which is not cleaned either.
func folderOf(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "."
	}
	return path[:i+1]
}
