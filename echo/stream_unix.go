//go:build unix

package echo

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// rounds is how many reads of a stream that keeps coming are done in a row,
// before the runtime may look whether the connection has been closed.
const rounds = 16

// A kernelStream is a stream that is echoed by system calls of its own. Its
// goroutine waits until there is something to read before it takes a buffer, so
// that an idle connection has none: the methods of a net.Conn want theirs before
// they wait.
type kernelStream struct {
	*stream
	raw     syscall.RawConn
	buffer  *buffer
	pending []byte // read and not written, if not nil
	err     error
}

// kernel returns the function that echoes a socket, or nil if the connection is
// not one, or not only one: what wraps a socket, as TLS does, may have its
// methods too.
func (c *stream) kernel() func() error {
	var raw syscall.RawConn
	var err error
	switch conn := c.conn.(type) {
	case *net.TCPConn:
		raw, err = conn.SyscallConn()
	case *net.UnixConn:
		if conn.LocalAddr().Network() == "unixpacket" {
			return c.records(conn)
		}
		raw, err = conn.SyscallConn()
	}
	if raw == nil || err != nil {
		return nil
	}
	k := &kernelStream{stream: c, raw: raw}
	return func() error { return k.run(k.step, k.release) }
}

// errEnd is the end of the stream.
var errEnd = errors.New("end of stream")

// run calls step until the connection ends. A step reads and writes until there
// is nothing to read, and reports false then. Otherwise what is left to do is in
// pending or err, or it is called again.
func (k *kernelStream) run(step func(fd uintptr) bool, release func()) error {
	defer release()
	for {
		err := k.raw.Read(step)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			end, cause := k.passed()
			if !end {
				continue
			}
			if cause != nil {
				return cause
			}
			// The server stops, and what has arrived is still echoed.
			err = k.raw.Control(func(fd uintptr) {
				if !step(fd) {
					k.err = errEnd
				}
			})
		}
		if err == nil {
			err = k.flush()
		}
		if err == errEnd {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// step echoes what is there.
func (k *kernelStream) step(fd uintptr) bool {
	if k.buffer == nil {
		k.buffer = buffers.Get().(*buffer)
	}
	for range rounds {
		n, err := ignoringEINTR(syscall.Read, int(fd), k.buffer[:])
		switch {
		case err == syscall.EAGAIN:
			k.release()
			return false
		case err != nil:
			k.err = os.NewSyscallError("read", err)
			return true
		case n == 0:
			k.err = errEnd
			return true
		}
		k.touch()
		sent, err := ignoringEINTR(syscall.Write, int(fd), k.buffer[:n])
		k.bytes += int64(max(sent, 0))
		switch {
		case err != nil && err != syscall.EAGAIN:
			k.err = os.NewSyscallError("write", err)
			return true
		case sent < n:
			k.pending = k.buffer[max(sent, 0):n]
			return true
		}
	}
	return true
}

func ignoringEINTR(call func(int, []byte) (int, error), fd int, b []byte) (int, error) {
	for {
		n, err := call(fd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

// flush waits until what is pending is written.
func (k *kernelStream) flush() error {
	if k.err != nil || k.pending == nil {
		return k.err
	}
	b := k.pending
	k.pending = nil
	return k.write(b)
}

func (k *kernelStream) release() {
	if k.buffer != nil {
		buffers.Put(k.buffer)
		k.buffer = nil
	}
}
