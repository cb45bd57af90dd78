package udpio

import (
	"cmp"
	"errors"
	"net"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A scatter is a WriteAll that is under way: messages that each have an address
// and a control of their own, which one system call sends.
type scatter struct {
	*Writer
	todo []Message

	msgs     [maxMessages]unix.Mmsghdr
	iovs     [maxMessages]unix.Iovec
	names    [maxMessages]sockaddr
	controls [maxMessages]control
	used     int // how many of iovs point into messages
	try      func(fd uintptr) bool
}

var scatters = sync.Pool{New: func() any {
	o := new(scatter)
	for i := range o.msgs {
		m := &o.msgs[i].Hdr
		m.Iov = &o.iovs[i]
		m.SetIovlen(1)
		m.Control = (*byte)(unsafe.Pointer(&o.controls[i].b))
	}
	o.try = o.run
	return o
}}

// writeMessages sends as many messages by one system call as that takes. Those that
// it does not take go by Write.
func (w *Writer) writeMessages(ms []Message) (first error) {
	o := scatters.Get().(*scatter)
	defer scatters.Put(o)
	o.Writer, o.todo, o.used = w, ms, 0
	for len(o.todo) > 0 {
		if err := w.sock.raw.Write(o.try); err != nil {
			if e, ok := errors.AsType[*net.OpError](err); ok {
				e.Op = "write"
			}
			fail(o.todo, err)
			first = cmp.Or(first, err)
			break
		}
		if len(o.todo) == 0 {
			break
		}
		// The first is one that the call did not take.
		m := &o.todo[0]
		o.todo = o.todo[1:]
		m.Err = w.Write(m.Data, m.Size, m.To, m.From)
		first = cmp.Or(first, m.Err)
		if isOver(m.Err) {
			fail(o.todo, m.Err)
			break
		}
	}
	o.Writer, o.todo = nil, nil
	for i := range o.used {
		o.iovs[i].Base = nil // it is the caller's
	}
	return first
}

// run sends until the first of what is left is not taken, and reports false if the
// socket has no room.
func (o *scatter) run(fd uintptr) bool {
	for len(o.todo) > 0 {
		n := o.fill(int(fd))
		if n == 0 {
			return true
		}
		sent, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&o.msgs[0])), uintptr(n), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			o.todo = o.todo[sent:]
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			return true
		}
	}
	return true
}

// fill makes messages of what is left, up to one that needs more care, and returns
// how many.
func (o *scatter) fill(fd int) int {
	if !o.sock.known {
		if err := o.sock.learnDomain(fd); err != nil {
			return 0 // Write reports it
		}
	}
	n := 0
	for n < min(len(o.todo), maxMessages) && o.set(n, &o.todo[n], fd) {
		n++
	}
	o.used = max(o.used, n)
	return n
}

// set makes message i of m. It reports false if that is for Write to do: where
// m is an error, or too much for one message.
func (o *scatter) set(i int, m *Message, fd int) bool {
	to := unmap(m.To)
	if !to.IsValid() {
		return false
	}
	h, c := &o.msgs[i].Hdr, &o.controls[i]
	h.Name, h.Namelen, c.n = nil, 0, 0
	if to != o.remote {
		index, err := o.sock.zone.parse(to.Addr().Zone())
		if err != nil {
			return false
		}
		length, err := o.names[i].encode(to, o.sock.inet6, index)
		if err != nil {
			return false
		}
		h.Name, h.Namelen = &o.names[i][0], uint32(length)
	}
	if m.From.IsValid() {
		index, err := o.sock.zone.parse(m.From.Zone())
		if err != nil || c.addSource(m.From, o.sock.inet6, index) != nil {
			return false
		}
	}
	if m.Size > 0 && len(m.Data) > m.Size {
		if !o.sock.splits(fd, m.Size) || len(m.Data) > segmentLimit(to.Addr(), m.Size) {
			return false
		}
		c.addSegment(m.Size)
	}
	o.iovs[i].Base = unsafe.SliceData(m.Data)
	o.iovs[i].SetLen(len(m.Data))
	h.SetControllen(c.n)
	return true
}
