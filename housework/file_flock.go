//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package housework

import (
	"errors"
	"os"
	"syscall"
)

// noFollow opens no symbolic link, and does not wait for who writes into a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// lockFile locks a file until it is closed, also by the end of the process, and reports
// whether that was possible.
func lockFile(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, syscall.EINTR):
			return false, os.NewSyscallError("flock", err)
		}
	}
}
