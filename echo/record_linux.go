package echo

import (
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// maxRecord is the longest Unix packet or datagram that is echoed, in bytes. It is
// more than a socket sends unless root has raised its limit.
const maxRecord = 512 << 10

// recordBuffers are for records. Of a new one only the pages that are written to take
// memory.
var recordBuffers = sync.Pool{New: func() any { return new([maxRecord]byte) }}

// A recordStream is a connection of the network unixpacket. Reading an empty
// record and reading at the end of the stream both return nothing, but for the
// credentials of the sender (SO_PASSCRED), which only a record comes with.
type recordStream struct {
	kernelStream
	record *[maxRecord]byte

	// control has room for the credentials and for nothing else: descriptors
	// that a peer passes find none and are closed by the kernel.
	control []byte

	ended bool // reading has said so once
}

// recordsOf returns how to echo a connection record by record, or nil.
func (c *stream) recordsOf(conn *net.UnixConn) *kernelStream {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_PASSCRED, 1)
	})
	if err != nil || setErr != nil {
		return nil
	}
	growWriteBuffer(conn)
	r := &recordStream{
		kernelStream: kernelStream{stream: c, raw: raw},
		control:      make([]byte, syscall.CmsgSpace(syscall.SizeofUcred)),
	}
	r.step, r.release, r.sendEmpty = r.echoRecords, r.putRecord, r.writeEmpty
	return &r.kernelStream
}

// growWriteBuffer makes room for the longest record or datagram that a sender with
// its default buffer can send.
func growWriteBuffer(conn *net.UnixConn) {
	// The kernel grants less if it must. What is too long is dropped or ends
	// its connection then.
	_ = conn.SetWriteBuffer(maxRecord)
}

// echoRecords is a step.
func (r *recordStream) echoRecords(fd uintptr) bool {
	if r.record == nil {
		r.record = recordBuffers.Get().(*[maxRecord]byte)
	}
	for range rounds {
		n, controls, flags, _, err := syscall.Recvmsg(int(fd), r.record[:], r.control, syscall.MSG_DONTWAIT)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			r.putRecord()
			return false
		case err != nil:
			r.err = os.NewSyscallError("recvmsg", err)
			return true
		case n == 0 && controls == 0 && !r.ended:
			// The kernel looks for a record first, and for the end after that:
			// a record that was sent between the two is still there.
			r.ended = true
			continue
		case n == 0 && controls == 0:
			r.err = errEnd
			return true
		case flags&syscall.MSG_TRUNC != 0:
			r.err = fmt.Errorf("echo: record of more than %d bytes", maxRecord)
			return true
		}
		r.touch()
		_, err = syscall.SendmsgN(int(fd), r.record[:n], nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		switch err {
		case nil:
			r.bytes += int64(n)
		case syscall.EAGAIN, syscall.EINTR:
			r.pending = r.record[:n]
			return true
		default:
			r.err = os.NewSyscallError("sendmsg", err)
			return true
		}
	}
	return true
}

// writeEmpty writes an empty record, for which the methods of the connection do not
// wait.
func (r *recordStream) writeEmpty() error {
	if err := r.limitWrite(); err != nil {
		return err
	}
	var sendErr error
	err := r.raw.Write(func(fd uintptr) bool {
		for sendErr = syscall.EINTR; sendErr == syscall.EINTR; {
			_, sendErr = syscall.SendmsgN(int(fd), nil, nil, nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
		}
		return sendErr != syscall.EAGAIN
	})
	if err == nil {
		err = os.NewSyscallError("sendmsg", sendErr)
	}
	return r.wrote(0, err)
}

func (r *recordStream) putRecord() {
	if r.record != nil {
		recordBuffers.Put(r.record)
		r.record = nil
	}
}
