package unixauth

import (
	"errors"
	"fmt"
	"net"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// peerProcess returns the pidfd of the peer, which the kernel closes on exec.
func peerProcess(conn net.Conn) (*os.File, error) {
	socket, err := socketOf(conn)
	if err != nil {
		return nil, err
	}
	var pidfd int32
	var errno unix.Errno
	err = onStream(socket, func(fd int) error {
		n := uint32(unsafe.Sizeof(pidfd))
		errno = getsockopt(fd, unix.SO_PEERPIDFD, unsafe.Pointer(&pidfd), &n)
		return nil
	})
	if err != nil {
		return nil, noCred(err)
	}
	switch errno {
	case 0:
		return os.NewFile(uintptr(pidfd), "pidfd"), nil
	case unix.ENODATA:
		return nil, noCred(errNotUnix)
	case unix.ENOPROTOOPT:
		err = errors.ErrUnsupported
	case unix.EINVAL, unix.ESRCH:
		err = os.ErrProcessDone
	default:
		err = os.NewSyscallError("getsockopt", errno)
	}
	return nil, fmt.Errorf("unixauth: the process of a peer: %w", err)
}

// exited asks the pidfd, which becomes readable when the process ends.
func exited(file *os.File) (ended bool, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return false, fmt.Errorf("unixauth: the process of a peer: %w", err)
	}
	var pollErr error
	controlErr := raw.Control(func(fd uintptr) {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for pollErr = unix.EINTR; pollErr == unix.EINTR; {
			_, pollErr = unix.Poll(fds, 0)
		}
		ended = fds[0].Revents != 0
	})
	switch {
	case controlErr != nil: // it has no name, and this is the one reason for it
		err = os.ErrClosed
	case pollErr != nil:
		err = os.NewSyscallError("poll", pollErr)
	default:
		return ended, nil
	}
	return false, fmt.Errorf("unixauth: the process of a peer: %w", err)
}
