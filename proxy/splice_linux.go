//go:build !portable

package proxy

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// spliceAfter is how many reads in a row must fill the buffer before splicing
// begins: two system calls and a pipe for what one buffer holds would cost more than
// copying it.
const spliceAfter = 2

// A splice moves bytes from one socket to another through a pipe, within the kernel.
// It holds a pipe only while bytes are in it, or about to be. While little comes
// it leaves the work to a buffer.
type splice struct {
	forbidden bool // the kernel or the options do not allow it
	pipe      *pipe
	held      int // bytes in the pipe
	fulls     int // reads in a row that filled the buffer
}

// read notes a read into the buffer.
func (s *splice) read(n int) {
	if n == chunk {
		s.fulls++
	} else {
		s.fulls = 0
	}
}

// wanted reports whether the next bytes are to be spliced.
func (s *splice) wanted() bool { return s.fulls >= spliceAfter && !s.forbidden }

// full reports whether bytes are in the pipe.
func (s *splice) full() bool { return s.held > 0 }

// fill moves what there is to read into the pipe. It returns errNoSplice if the buffer
// has to do it, and for what looks like nothing or the end too: it is the same where
// urgent data begins, which only a read passes by.
func (s *splice) fill(fd int) error {
	if s.pipe == nil {
		if s.pipe = pipes.take(); s.pipe == nil {
			s.fulls = 0
			return errNoSplice
		}
	}
	n, err := spliceOnce(fd, s.pipe.w, s.pipe.size)
	switch {
	case err == syscall.EINVAL || err == syscall.ENOSYS || err == syscall.EPERM:
		s.forbidden = true
		fallthrough
	case err == syscall.EAGAIN || err == nil && n == 0:
		s.release()
		return errNoSplice
	case err != nil:
		return os.NewSyscallError("splice", err)
	}
	s.held = n
	if n < chunk {
		s.fulls = 0
	}
	return nil
}

// drain moves what is in the pipe to a socket.
func (s *splice) drain(fd int) (int, error) {
	n, err := spliceOnce(s.pipe.r, fd, s.held)
	s.held -= n
	if s.held == 0 && s.fulls == 0 {
		s.release()
	}
	return n, err
}

// release gives the pipe back.
func (s *splice) release() {
	if s.pipe == nil {
		return
	}
	if s.held > 0 {
		s.pipe.close() // since what is in it would go to another
		s.held = 0
	} else {
		pipes.put(s.pipe)
	}
	s.pipe = nil
}

// spliceOnce moves up to n bytes. Without SPLICE_F_MORE, which would delay the last
// of them by 200 ms.
func spliceOnce(from, to, n int) (int, error) {
	for {
		moved, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if err != syscall.EINTR {
			return int(max(moved, 0)), err
		}
	}
}
