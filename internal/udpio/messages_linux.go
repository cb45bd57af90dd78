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
// and a control of their own, which one system call sends. Datagrams in a row that
// go the same way are one message to the kernel, which splits it: they pass most of
// its layers as one.
type scatter struct {
	*Writer
	todo []Message

	msgs     [maxMessages]unix.Mmsghdr
	joined   [maxMessages]int // how many of todo each of msgs is
	iovs     [maxMessages]unix.Iovec
	names    [maxMessages]sockaddr
	controls [maxMessages]control
	used     int // how many of iovs point into messages
	try      func(fd uintptr) bool

	apart   bool       // nothing is joined any more
	refused unix.Errno // why the kernel would not split, until it is clear that it was that
	size    int        // of the datagrams that it would not make
}

var scatters = sync.Pool{New: func() any {
	o := new(scatter)
	for i := range o.msgs {
		m := &o.msgs[i].Hdr
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
	o.apart, o.refused = false, 0
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
		switch {
		case errno == 0:
			o.learn()
			for _, k := range o.joined[:sent] {
				o.todo = o.todo[k:]
			}
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return false
		case o.joined[0] > 1 && refusal(errno):
			o.apart, o.refused, o.size = true, errno, len(o.todo[0].Data)
		default:
			o.refused = 0 // the datagram does not go alone either
			return true
		}
	}
	return true
}

// learn remembers a refusal when the datagram that it was about went alone.
func (o *scatter) learn() {
	if o.refused != 0 {
		o.sock.refuses(o.size, o.refused)
		o.refused = 0
	}
}

// fill makes messages of what is left, up to one that needs more care, and returns
// how many.
func (o *scatter) fill(fd int) int {
	if !o.sock.known {
		if err := o.sock.learnDomain(fd); err != nil {
			return 0 // Write reports it
		}
	}
	n, used := 0, 0
	for used < min(len(o.todo), maxMessages) && o.set(n, used, fd) {
		used += o.joined[n]
		n++
	}
	o.used = max(o.used, used)
	return n
}

// set makes message i of what is left from at on. It reports false if that is for
// Write to do: where it is an error, or too much for one message.
func (o *scatter) set(i, at, fd int) bool {
	m := &o.todo[at]
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
	o.joined[i] = 1
	if m.Size > 0 && len(m.Data) > m.Size {
		if !o.sock.splits(fd, m.Size) || len(m.Data) > segmentLimit(to.Addr(), m.Size) {
			return false
		}
		c.addSegment(m.Size)
	} else if o.joined[i] = o.alike(o.todo[at:min(len(o.todo), maxMessages)], fd); o.joined[i] > 1 {
		c.addSegment(len(m.Data))
	}
	for k := range o.joined[i] {
		b := o.todo[at+k].Data
		o.iovs[at+k].Base = unsafe.SliceData(b)
		o.iovs[at+k].SetLen(len(b))
	}
	h.Iov = &o.iovs[at]
	h.SetIovlen(o.joined[i])
	h.SetControllen(c.n)
	return true
}

// alike returns how many of ms the kernel can split from one message: datagrams of
// one size, of which the last may be shorter, that go the same way as the first.
func (o *scatter) alike(ms []Message, fd int) int {
	first := &ms[0]
	size := len(first.Data)
	if o.apart || size == 0 {
		return 1
	}
	most := min(len(ms), segmentLimit(unmap(first.To).Addr(), size)/size)
	n := 1
	for n < most {
		m := &ms[n]
		if m.To != first.To || m.From != first.From || len(m.Data) == 0 || len(m.Data) > size || m.Size > 0 && m.Size < len(m.Data) {
			break
		}
		n++
		if len(m.Data) < size {
			break
		}
	}
	if n > 1 && !o.sock.splits(fd, size) {
		return 1
	}
	return n
}
