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
	release func() // gives the buffer back

	// step reads and writes until there is nothing to read, and reports false
	// then. Otherwise what is left to do is in pending or err, or it is called
	// again.
	step func(fd uintptr) bool

	pending   []byte       // read and not written, if not nil
	sendEmpty func() error // waits until an empty pending is written; a stream has none
	err       error
}

// kernel returns how to echo a socket, or nil if the connection is not one, or not
// only one: what wraps a socket, as TLS does, may have its methods too.
func (c *stream) kernel() *kernelStream {
	switch conn := c.conn.(type) {
	case *net.TCPConn:
		return c.bytesOf(conn)
	case *net.UnixConn:
		if conn.LocalAddr().Network() == "unixpacket" {
			return c.recordsOf(conn)
		}
		return c.bytesOf(conn)
	}
	return nil
}

// errEnd is the end of the stream.
var errEnd = errors.New("end of stream")

// run calls step until the connection ends.
func (k *kernelStream) run() error {
	defer k.release()
	for {
		err := k.raw.Read(k.step)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			if end, cause := k.passed(); end {
				return cause
			}
			continue
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

// A byteStream is a stream of bytes.
type byteStream struct {
	kernelStream
	buffer *buffer
}

// bytesOf returns how to echo a TCP or Unix stream.
func (c *stream) bytesOf(conn syscall.Conn) *kernelStream {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil // it is closed, which reading tells
	}
	s := &byteStream{kernelStream: kernelStream{stream: c, raw: raw}}
	s.step, s.release = s.echoBytes, s.putBuffer
	return &s.kernelStream
}

// echoBytes is a step.
func (s *byteStream) echoBytes(fd uintptr) bool {
	if s.buffer == nil {
		s.buffer = buffers.Get().(*buffer)
	}
	for range rounds {
		n, err := ignoringEINTR(syscall.Read, int(fd), s.buffer[:])
		switch {
		case err == syscall.EAGAIN:
			s.putBuffer()
			return false
		case err != nil:
			s.err = os.NewSyscallError("read", err)
			return true
		case n == 0:
			s.err = errEnd
			return true
		}
		s.touch()
		sent, err := ignoringEINTR(syscall.Write, int(fd), s.buffer[:n])
		s.bytes += int64(max(sent, 0))
		switch {
		case err != nil && err != syscall.EAGAIN:
			s.err = os.NewSyscallError("write", err)
			return true
		case sent < n:
			s.pending = s.buffer[max(sent, 0):n]
			return true
		}
	}
	return true
}

func (s *byteStream) putBuffer() {
	if s.buffer != nil {
		buffers.Put(s.buffer)
		s.buffer = nil
	}
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
	if len(b) == 0 {
		return k.sendEmpty()
	}
	return k.write(b)
}
