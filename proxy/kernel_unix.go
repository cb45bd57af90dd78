//go:build unix

package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// A kernel is a stream of the system: a TCP connection or a Unix stream, and not
// something that wraps one, which may read otherwise.
type kernel struct {
	raw syscall.RawConn
	tcp bool
}

// newKernel returns nil if conn is something else.
func newKernel(conn net.Conn) *kernel {
	var raw syscall.RawConn
	var err error
	tcp := false
	switch conn := conn.(type) {
	case *net.TCPConn:
		raw, err = conn.SyscallConn()
		tcp = true
	case *net.UnixConn:
		if a := conn.LocalAddr(); a == nil || a.Network() != "unix" {
			return nil
		}
		raw, err = conn.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil // it is closed, which reading tells
	}
	return &kernel{raw, tcp}
}

// A kernelFlow moves the bytes of a flow by system calls of its own. Its goroutine
// waits until there is something to read before it takes a buffer or a pipe, so that
// an idle connection has none: the methods of a net.Conn want theirs before they
// wait.
type kernelFlow struct {
	*flow
	buffer  *buffer
	pending []byte // read and not delivered, in buffer
	splice  splice // moves bytes without copying them, where it can
	err     error  // of the last step
}

// runKernel runs a flow whose source is a stream of the system.
func (f *flow) runKernel() {
	k := kernelFlow{flow: f}
	defer k.release()
	k.splice.forbidden = f.dst.kernel == nil || f.pair.options.Tap != nil
	fill, drain := k.fill, k.drain // which takes memory, so once
	for {
		err := f.src.kernel.raw.Read(fill)
		if err == nil {
			err = k.err
		}
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			k.pair.ended(f, err, nil)
			return
		}
		if f.dst.kernel == nil {
			if !f.deliver(k.pending) {
				return
			}
			k.pending = nil
			continue
		}
		f.tap(k.pending)
		if err = f.dst.kernel.raw.Write(drain); err == nil {
			err = k.err
		}
		f.stuck.Store(false)
		if err != nil {
			f.lost = true
			f.pair.ended(f, nil, err)
			return
		}
	}
}

// fill takes what there is to read into the buffer or the pipe, or reports false,
// to wait with neither.
func (k *kernelFlow) fill(fd uintptr) bool {
	k.err = nil
	if k.splice.wanted() {
		k.putBuffer() // rather than waiting with it
		if err := k.splice.fill(int(fd)); err != errNoSplice {
			k.err = err
			return true
		}
	}
	if k.buffer == nil {
		k.buffer = buffers.Get().(*buffer)
	}
	n, err := ignoringEINTR(syscall.Read, int(fd), k.buffer[:])
	switch {
	case err == syscall.EAGAIN:
		k.putBuffer()
		return false
	case err != nil:
		k.err = os.NewSyscallError("read", err)
	case n == 0:
		k.err = io.EOF
	}
	k.splice.read(n)
	k.pending = k.buffer[:max(n, 0)]
	return true
}

// drain delivers what fill took, and reports false to wait for room.
func (k *kernelFlow) drain(fd uintptr) bool {
	k.err = nil
	for len(k.pending) > 0 || k.splice.full() {
		var n int
		var err error
		if k.splice.full() {
			n, err = k.splice.drain(int(fd))
		} else {
			n, err = ignoringEINTR(syscall.Write, int(fd), k.pending)
			k.pending = k.pending[max(n, 0):]
		}
		k.count(n)
		if err == syscall.EAGAIN {
			k.stuck.Store(true)
			return false
		}
		if err != nil {
			k.err = os.NewSyscallError("write", err)
			return true
		}
	}
	return true
}

func (k *kernelFlow) putBuffer() {
	if k.buffer != nil {
		buffers.Put(k.buffer)
		k.buffer, k.pending = nil, nil
	}
}

// release gives back what the flow holds.
func (k *kernelFlow) release() {
	k.putBuffer()
	k.splice.release()
}

func ignoringEINTR(call func(int, []byte) (int, error), fd int, b []byte) (int, error) {
	for {
		n, err := call(fd, b)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

var errNoSplice = errors.New("not spliced")
